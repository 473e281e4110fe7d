"""What the demonstration asks the mesh once the readings are in: the store's count, a bill, a vehicle, the fleet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import grpc
from energy.analytics.v1.analytics_service_pb2 import GetFleetSummaryRequest, GetPerformanceRequest
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from energy.analytics.v1.fleet_pb2 import FleetSummary
from energy.analytics.v1.performance_pb2 import Performance
from energy.billing.v1.invoice_pb2 import Invoice
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from energy.billing.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from energy.billing.v1.usage_service_pb2 import ListReadingsRequest, SummarizeUsageRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub
from google.type.date_pb2 import Date

from common.grpc_client import SLOW_TIMEOUT_SECONDS, UNARY_TIMEOUT_SECONDS
from common.instants import from_ms, to_ms

_DEVICES_PER_CALL = 25
_HOUR_MS = 3_600_000
_BUSY = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


@dataclass(frozen=True, slots=True)
class Period:
    """Some devices over [start_ms, end_ms), milliseconds since 1970."""

    device_ids: Sequence[str]
    start_ms: int
    end_ms: int


async def wait_until_stored(
    billing: grpc.aio.Channel,
    periods: Sequence[Period],
    expected_of: Callable[[str], int],
    *,
    limit_seconds: float,
    poll_interval_seconds: float = 1.0,
) -> int:
    """Distinct readings in the store, when every device has as many as expected there, or the time is up.

    `expected_of` says of a device how many are expected. Devices are asked for a few at a time, and again only while
    some are missing: this waits for the store and should not be what it is busy with.

    Raises:
        grpc.aio.AioRpcError: a call failed for another reason than a busy service.
    """
    give_up_seconds = time.monotonic() + limit_seconds
    stored_in_all = 0
    for some in (some for period in periods for some in _parted(period)):
        expected = sum(map(expected_of, some.device_ids))
        # ruff wants an event here, but what another process stores is none of ours.
        while (stored := await _stored_if_final(billing, some, expected, give_up_seconds)) is None:  # noqa: ASYNC110
            await asyncio.sleep(poll_interval_seconds)
        stored_in_all += stored
    return stored_in_all


async def _stored_if_final(
    billing: grpc.aio.Channel, some: Period, expected: int, give_up_seconds: float
) -> int | None:
    """What is stored, if that is as much as expected or the time is up; None: ask again."""
    is_last = time.monotonic() > give_up_seconds
    try:
        stored = await _count_stored(billing, some)
    except grpc.aio.AioRpcError as error:
        if is_last or error.code() not in _BUSY:
            raise
        return None
    return stored if is_last or stored >= expected else None


async def _count_stored(billing: grpc.aio.Channel, some: Period) -> int:
    request = SummarizeUsageRequest(
        device_ids=some.device_ids, start_time=from_ms(some.start_ms), end_time=from_ms(some.end_ms)
    )
    response = await UsageServiceStub(billing).SummarizeUsage(request, timeout=SLOW_TIMEOUT_SECONDS)
    return response.total.reading_count


def _parted(period: Period) -> Iterator[Period]:
    # Whole hours, outwards: the store sums those from what it has summed before. Nothing else of the devices is near.
    start_ms = period.start_ms // _HOUR_MS * _HOUR_MS
    end_ms = -(-period.end_ms // _HOUR_MS) * _HOUR_MS
    for first in range(0, len(period.device_ids), _DEVICES_PER_CALL):
        some = period.device_ids[first : first + _DEVICES_PER_CALL]
        yield Period(some, start_ms, end_ms)


async def preview_invoice(billing: grpc.aio.Channel, device_id: str, first_day: date, end_day: date) -> Invoice:
    """The bill of a meter over local days, the last one exclusive.

    Raises:
        grpc.aio.AioRpcError: the call failed; FAILED_PRECONDITION when the period cannot be billed.
    """
    request = PreviewInvoiceRequest(device_id=device_id, start_date=_date(first_day), end_date=_date(end_day))
    response = await InvoiceServiceStub(billing).PreviewInvoice(request, timeout=SLOW_TIMEOUT_SECONDS)
    return response.invoice


async def list_imports(
    billing: grpc.aio.Channel, device_id: str, start_ms: int, end_ms: int
) -> list[tuple[int, float]]:
    """Start (milliseconds since 1970) and import (kWh) of every reading on record that counts, by start.

    Raises:
        grpc.aio.AioRpcError: a call failed.
    """
    usage = UsageServiceStub(billing)
    request = ListReadingsRequest(
        device_id=device_id, start_time=from_ms(start_ms), end_time=from_ms(end_ms), page_size=10_000
    )
    imports: list[tuple[int, float]] = []
    while True:
        page = await usage.ListReadings(request, timeout=SLOW_TIMEOUT_SECONDS)
        imports += [
            (to_ms(recorded.reading.start_time), recorded.reading.meter.import_kwh)
            for recorded in page.readings
            if recorded.reading.meter.HasField("import_kwh")
        ]
        if not page.next_page_token:
            return imports
        request.page_token = page.next_page_token


async def find_performance(
    analytics: grpc.aio.Channel, vehicle_ids: Sequence[str], start_ms: int, end_ms: int
) -> Performance | None:
    """The performance of the first vehicle that charged in the window; None when none of them did.

    Raises:
        grpc.aio.AioRpcError: a call failed.
    """
    service = AnalyticsServiceStub(analytics)
    for vehicle_id in vehicle_ids:
        request = GetPerformanceRequest(device_id=vehicle_id, start_time=from_ms(start_ms), end_time=from_ms(end_ms))
        response = await service.GetPerformance(request, timeout=SLOW_TIMEOUT_SECONDS)
        if response.performance.HasField("efficiency"):
            return response.performance
    return None


async def get_fleet_summary(analytics: grpc.aio.Channel) -> FleetSummary:
    """What the fleet does now.

    Raises:
        grpc.aio.AioRpcError: the call failed.
    """
    response = await AnalyticsServiceStub(analytics).GetFleetSummary(
        GetFleetSummaryRequest(), timeout=UNARY_TIMEOUT_SECONDS
    )
    return response.summary


def _date(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)
