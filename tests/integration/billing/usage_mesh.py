"""The usage service on a real gRPC server and store, with a registry that knows a meter in each of two zones."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from energy.billing.v1 import usage_service_pb2 as pb
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub, add_UsageServiceServicer_to_server
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER
from prometheus_client import CollectorRegistry

from billing.cold.quarantine_store import QuarantineStore
from billing.log.late_reading_store import LateReadingStore
from billing.usage_service import UsageService
from common.cached_device import CachedDevice
from common.errors import DeviceNotFound
from common.grpc_client import open_channel
from common.instants import from_ms, to_ms
from common.interceptors import standard_interceptors
from common.logs import get_logger
from common.mongo import Database
from common.store_deadline import StoreDeadlineInterceptor
from common.topology import partition_of
from tests.integration.billing.readings import MINUTE_MS, meter_readings, segments
from tests.integration.billing.store import PARTITIONS, instant_ms, no_answers, store_on

if TYPE_CHECKING:
    from energy.billing.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

KOLKATA, LORD_HOWE = "meter-kolkata", "meter-lord-howe"
HOUR_MS = 60 * MINUTE_MS
CALL_SECONDS = 20.0


def meter(device_id: str, region: str, time_zone: str) -> CachedDevice:
    """A registered meter, alone at the site of its name and together with all others in one group."""
    return CachedDevice(
        device_id,
        DEVICE_KIND_METER,
        "acc-1",
        f"site of {device_id}",
        region,
        time_zone,
        MINUTE_MS,
        (),
        0,
        group_ids=("all", region),
    )


class MadeUpRegistry:
    """Knows a meter in each of two zones, and as many without readings as it is told."""

    def __init__(self) -> None:
        self.by_id = {
            KOLKATA: meter(KOLKATA, "Pune-East", "Asia/Kolkata"),
            LORD_HOWE: meter(LORD_HOWE, "Islands", "Australia/Lord_Howe"),
        }

    async def find(self, device_id: str) -> CachedDevice:
        """The device of an id."""
        if device_id not in self.by_id:
            raise DeviceNotFound(device_id)
        return self.by_id[device_id]

    def devices(self) -> Iterable[CachedDevice]:
        """All of them."""
        return tuple(self.by_id.values())

    def by_region(self, region: str) -> Sequence[CachedDevice]:
        """Those of a region."""
        return [device for device in self.by_id.values() if device.region == region]

    def by_site(self, site_id: str) -> Sequence[CachedDevice]:
        """Those of a site."""
        return [device for device in self.by_id.values() if device.site_id == site_id]

    def by_group(self, group_id: str) -> Sequence[CachedDevice]:
        """Those of a group."""
        return [device for device in self.by_id.values() if group_id in device.group_ids]


@dataclass(frozen=True)
class Known:
    """Completeness up to an instant, epoch milliseconds; None before anything was heard."""

    latest_ms: int | None = None


@dataclass
class Asked:
    """The service as a caller reaches it, and the registry behind it."""

    stub: "UsageServiceAsyncStub"
    registry: MadeUpRegistry


@asynccontextmanager
async def usage_service(
    database: Database, registry: MadeUpRegistry, complete_through_ms: int | None = None
) -> AsyncIterator["UsageServiceAsyncStub"]:
    """Serves usage on loopback over what the store holds."""
    store = await store_on(database)
    made_up: Any = registry
    known: Any = Known(complete_through_ms)
    unused: Any = None
    servicer = UsageService(
        usage=store.usage,
        minutes=store.minutes,
        live=unused,
        registry=made_up,
        complete_through=known,
        answers=no_answers(),
        quarantine=QuarantineStore(database),
        late=LateReadingStore(database),
        is_catching_up=lambda: store.tail.is_refusing,
        clock=store.clock,
    )
    interceptors = [
        *standard_interceptors("billing.energy", get_logger(__name__), CollectorRegistry()),
        StoreDeadlineInterceptor(),
    ]
    server = grpc.aio.server(interceptors=interceptors, options=[("grpc.so_reuseport", 0)])
    add_UsageServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"127.0.0.1:{port}")
    try:
        yield UsageServiceStub(channel)
    finally:
        await channel.close()
        await server.stop(0)


async def take(database: Database, device_id: str, start: str, minutes: int) -> None:
    """Puts a reading of every minute into the store."""
    store = await store_on(database)
    readings = meter_readings(1, device_id, instant_ms(start), minutes, 0.0)
    await store.take(segments(readings, 5000, partition_of(device_id, PARTITIONS), f"{device_id}-{start}"))
    await store.fold_everything()


def listing(device_id: str, start: str, end: str, resolution: str, **more: Any) -> pb.ListUsageRequest:
    """A question for intervals."""
    return pb.ListUsageRequest(
        device_id=device_id,
        start_time=from_ms(instant_ms(start)),
        end_time=from_ms(instant_ms(end)),
        resolution=pb.UsageResolution.Value(f"USAGE_RESOLUTION_{resolution}"),
        **more,
    )


def shown(response: pb.ListUsageResponse) -> list[tuple[float, int, float]]:
    """Of each interval its hours, its readings and the share covered."""
    return [
        (
            (to_ms(one.end_time) - to_ms(one.start_time)) / HOUR_MS,
            one.usage.reading_count,
            round(one.covered_share, 6),
        )
        for one in response.intervals
    ]
