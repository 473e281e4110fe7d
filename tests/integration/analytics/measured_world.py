"""A real billing with readings in it and a real analytics in front, and what readings add up to in plain Python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from energy.billing.v1 import usage_service_pb2
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub
from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import Reading

from common.energy import milliwatt_hours
from common.instants import from_ms, to_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from tests.integration.analytics.real_billing import real_billing
from tests.integration.analytics.running_analytics import PARTITIONS, Queues, open_queues, running_analytics
from tests.wire.analytics.peers import Registry

_READINGS_A_BATCH = 500


@dataclass
class MeasuredWorld:
    """Analytics as people reach it; `readings` are all that were sent, by device."""

    analytics: Any
    billing: Any
    database: Database
    _queues: Queues
    readings: dict[str, list[Reading]] = field(default_factory=dict)
    _sequence: int = 0

    async def send(self, readings: Sequence[Reading]) -> None:
        """Returns when billing answers with all of them."""
        for first in range(0, len(readings), _READINGS_A_BATCH):
            some = readings[first : first + _READINGS_A_BATCH]
            self._sequence += 1
            batch = ReadingBatch(
                batch_id=f"measured-{self._sequence}",
                writer="measured-writer",
                sequence=self._sequence,
                partition=0,
                create_time=from_ms(to_ms(some[-1].start_time)),
                partition_count=PARTITIONS,
                parts=[Part(receive_time=some[-1].start_time, readings=some)],
            )
            await self._queues.publish(batch.SerializeToString(), message_id=batch.batch_id)
        for reading in readings:
            self.readings.setdefault(reading.device_id, []).append(reading)
        await self._until_answered()

    def within(self, device_ids: Iterable[str], start_ms: int, end_ms: int) -> list[Reading]:
        """The readings of some devices that start in [start_ms, end_ms)."""
        return [
            reading
            for device_id in device_ids
            for reading in self.readings.get(device_id, ())
            if start_ms <= to_ms(reading.start_time) < end_ms
        ]

    async def _until_answered(self) -> None:
        starts = [to_ms(reading.start_time) for some in self.readings.values() for reading in some]
        asked = usage_service_pb2.SummarizeUsageRequest(
            device_ids=sorted(self.readings), start_time=from_ms(min(starts)), end_time=from_ms(max(starts) + 1)
        )
        async with asyncio.timeout(30):
            while True:
                answer = await self.billing.SummarizeUsage(asked, timeout=10)
                if answer.total.reading_count >= len(starts):
                    return
                await asyncio.sleep(0.05)


def energy(readings: Iterable[Reading], name: str) -> int:
    """What a field of the measurements adds up to, milliwatt-hours."""
    return sum(
        milliwatt_hours(getattr(getattr(reading, str(reading.WhichOneof("measurement"))), name)) for reading in readings
    )


@asynccontextmanager
async def measured_world(servers: Mesh, devices: Registry) -> AsyncIterator[MeasuredWorld]:
    """An empty store, the real billing and the real analytics, which know these devices."""
    async with (
        open_queues(servers.amqp_url) as queues,
        real_billing(servers, devices) as billing,
        grpc.aio.insecure_channel(billing.address) as channel,
        running_analytics(
            servers.amqp_url,
            servers.mongo_url,
            gateway_address=billing.gateway_address,
            billing_address=billing.address,
        ) as analytics,
    ):
        async with asyncio.timeout(20):
            await analytics.app.registry_cache.wait_complete()
        yield MeasuredWorld(
            AnalyticsServiceStub(analytics.channel), UsageServiceStub(channel), billing.database, queues
        )
