"""What a customer of the mesh has: its addresses, the stubs, and a stream to send readings on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import grpc
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from energy.billing.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from energy.billing.v1.tariff_service_pb2_grpc import TariffServiceStub
from energy.billing.v1.usage_pb2 import RecordedReading, Usage
from energy.billing.v1.usage_service_pb2 import ListReadingsRequest, SummarizeUsageRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub

from common.grpc_client import open_channel
from common.instants import from_ms, to_ms
from loadgen.fleet import Fleet
from loadgen.latency import LatencyHistogram
from loadgen.pacing import Pacing
from loadgen.registration import link_vehicles, register_devices
from loadgen.run import drive
from loadgen.streams import Streams
from loadgen.tally import Tally

LIMIT_SECONDS = 30
CALL_SECONDS = 20


@dataclass
class MeshClient:
    """One caller of a running mesh."""

    gateway: grpc.aio.Channel
    registry: Any
    telemetry: Any
    usage: Any
    tariffs: Any
    invoices: Any
    analytics: Any

    @classmethod
    @asynccontextmanager
    async def connected(cls, environment: Mapping[str, str]) -> AsyncIterator[Self]:
        """A caller with open channels."""
        async with (
            open_channel(environment["GATEWAY_ADDRESS"]) as gateway,
            open_channel(environment["BILLING_ADDRESS"]) as billing,
            open_channel(environment["ANALYTICS_ADDRESS"]) as analytics,
        ):
            yield cls(
                gateway,
                RegistryServiceStub(gateway),
                TelemetryServiceStub(gateway),
                UsageServiceStub(billing),
                TariffServiceStub(billing),
                InvoiceServiceStub(billing),
                AnalyticsServiceStub(analytics),
            )

    async def register(self, fleet: Fleet) -> None:
        """Makes a fleet's devices and links known."""
        await register_devices(self.gateway, fleet.devices())
        await link_vehicles(self.gateway, fleet.links())

    async def stream(self, steps: Iterable[Sequence[Reading]]) -> Tally:
        """Sends readings on a stream until all are acked."""
        tally = Tally()
        async with Streams(self.gateway, tally=tally, ack_latency=LatencyHistogram(), frame_size=200) as streams:
            await drive(steps, streams, pacing=Pacing())
        return tally

    async def summary(self, device_ids: Sequence[str], start_ms: int, end_ms: int) -> dict[str, Usage]:
        """Usage of each device."""
        response = await self.usage.SummarizeUsage(
            SummarizeUsageRequest(device_ids=device_ids, start_time=from_ms(start_ms), end_time=from_ms(end_ms)),
            timeout=CALL_SECONDS,
        )
        return {found.device_id: found.usage for found in response.devices}

    async def complete(
        self, device_ids: Sequence[str], start_ms: int, end_ms: int, through_ms: int
    ) -> dict[str, Usage]:
        """Usage of each device, of the first answer that is complete through an instant."""
        request = SummarizeUsageRequest(device_ids=device_ids, start_time=from_ms(start_ms), end_time=from_ms(end_ms))
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                response = await self.usage.SummarizeUsage(request, timeout=CALL_SECONDS)
                if response.HasField("complete_through") and to_ms(response.complete_through) >= through_ms:
                    return {found.device_id: found.usage for found in response.devices}
                await asyncio.sleep(0.1)

    async def stored(self, device_ids: Sequence[str], start_ms: int, end_ms: int, count: int) -> dict[str, Usage]:
        """Usage of each device as soon as so many readings are in the log."""
        found: dict[str, Usage] = {}

        async def is_there() -> bool:
            found.update(await self.summary(device_ids, start_ms, end_ms))
            return sum(usage.reading_count for usage in found.values()) >= count

        await eventually(is_there)
        return found

    async def readings(self, device_id: str, start_ms: int, end_ms: int, page_size: int = 700) -> list[RecordedReading]:
        """Every reading of a device, page by page."""
        found: list[RecordedReading] = []
        token = ""
        while True:
            page = await self.usage.ListReadings(
                ListReadingsRequest(
                    device_id=device_id,
                    start_time=from_ms(start_ms),
                    end_time=from_ms(end_ms),
                    page_size=page_size,
                    page_token=token,
                ),
                timeout=CALL_SECONDS,
            )
            found += page.readings
            token = page.next_page_token
            if not token:
                return found


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits until a condition holds, within a limit."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not await condition():  # noqa: ASYNC110 - the state of another process has no event
            await asyncio.sleep(0.05)
