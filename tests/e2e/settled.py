"""When a mesh has done all that follows for alerts from what it was sent: what it should not do would be seen then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

from energy.registry.v1 import device_pb2
from energy.telemetry.v1.reading_pb2 import Reading, StorageMeasurement

from common.event_outbox import PENDING
from common.instants import duration_from_ms, from_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from loadgen.bench.metrics_page import scrape, sums
from tests.e2e.mesh_client import eventually

REGION = "Settled"
_LOOKED_AT = "detection_readings_total"


class Settling:
    """Counts what is sent to a mesh to which nobody else sends, and waits until it has all had its effect."""

    def __init__(
        self,
        mesh: Mesh,
        database: Database,
        *,
        make: Callable[[str, device_pb2.DeviceKind.ValueType, str], Awaitable[None]],
        send: Callable[[list[Reading]], Awaitable[None]],
        now_ms: Callable[[], int],
    ) -> None:
        self._metrics_port = int(mesh.keepers["analytics"].program.environ["METRICS_PORT"])
        self._database = database
        self._make = make
        self._send = send
        self._now_ms = now_ms
        self._names = (f"settled-{now_ms()}-{number}" for number in count())
        self._looked_at_before = 0.0
        self.sent_count = 0

    async def begin(self) -> None:
        """Nothing was sent yet."""
        self._looked_at_before = await self._looked_at()

    async def settle(self) -> None:
        """Returns when all that was sent is looked at and stored, and all that follows from it is written and told.

        What is seen is written in the order in which it was looked at: a last alert that is there says that all before
        it are.
        """
        sent_count = self.sent_count
        await eventually(lambda: self._has_looked_at(sent_count))
        name = next(self._names)
        await self._make(name, device_pb2.DEVICE_KIND_STORAGE, REGION)
        start_time, storage = from_ms(self._now_ms() - 1000), StorageMeasurement(temperature_celsius=60.0)
        reading = Reading(device_id=name, start_time=start_time, interval=duration_from_ms(1000), storage=storage)
        await self._send([reading])
        await eventually(lambda: self._is_raised(name))
        await eventually(self._has_told_all)

    async def _has_looked_at(self, sent_count: int) -> bool:
        return await self._looked_at() - self._looked_at_before >= sent_count

    async def _looked_at(self) -> float:
        return sums(await scrape(self._metrics_port), [_LOOKED_AT]).get(_LOOKED_AT, 0.0)

    async def _is_raised(self, device_id: str) -> bool:
        return await self._database["alerts"].find_one({"device_id": device_id}) is not None

    async def _has_told_all(self) -> bool:
        for collection, waiting in (
            ("alerts", {"notification_pending": 1}),
            ("alerts", {PENDING: 1}),
            ("notification_deliveries", {"state": "PENDING"}),
        ):
            if await self._database[collection].find_one(waiting) is not None:
                return False
        return True
