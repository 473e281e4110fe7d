"""What the demonstration asks billing, against a small real server: latencies, the store's count, a bill."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import grpc
import pytest
from energy.billing.v1.invoice_pb2 import INVOICE_LINE_KIND_DAILY_CHARGE, INVOICE_LINE_KIND_ENERGY, Invoice, InvoiceLine
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest, PreviewInvoiceResponse
from energy.billing.v1.invoice_service_pb2_grpc import (
    InvoiceServiceServicer,
    add_InvoiceServiceServicer_to_server,
)
from energy.billing.v1.usage_pb2 import LiveReading, RecordedReading, Usage
from energy.billing.v1.usage_service_pb2 import (
    GetLiveReadingRequest,
    GetLiveReadingResponse,
    ListReadingsRequest,
    ListReadingsResponse,
    SummarizeUsageRequest,
    SummarizeUsageResponse,
)
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceServicer, add_UsageServiceServicer_to_server
from energy.common.v1.error_reason_pb2 import ERROR_REASON_OUT_OF_RANGE
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading
from energy.telemetry.v1.verdict_pb2 import Verdict
from google.type.decimal_pb2 import Decimal as DecimalMessage

from common.grpc_client import open_channel
from common.instants import from_ms, to_ms
from common.money import from_decimal
from loadgen.acked_frame import AckedFrame
from loadgen.background import in_background
from loadgen.demo_bill import LocalDays, checked_bill
from loadgen.demo_questions import Period, wait_until_stored
from loadgen.latency import LatencyHistogram
from loadgen.probe import LatencyProber

MINUTE_MS = 60_000
DAYS = LocalDays(date(2026, 3, 1), date(2026, 3, 2), "Asia/Kolkata")


@dataclass
class SmallBilling(UsageServiceServicer, InvoiceServiceServicer):
    """Answers from what the test puts here."""

    unseen_polls: int = 0
    record_time_ms: float = 0.0
    counts: list[int] = field(default_factory=list)
    summarized: Counter[str] = field(default_factory=Counter)
    readings: list[Reading] = field(default_factory=list)
    invoice: Invoice = field(default_factory=Invoice)

    async def GetLiveReading(  # noqa: N802 - the contract's name
        self, request: GetLiveReadingRequest, _context: Any
    ) -> GetLiveReadingResponse:
        """Nothing at first, then a reading far in the future."""
        if self.unseen_polls:
            self.unseen_polls -= 1
            return GetLiveReadingResponse()
        newest = Reading(device_id=request.device_id, start_time=from_ms(10**13))
        return GetLiveReadingResponse(live_reading=LiveReading(reading=newest))

    async def ListReadings(self, request: ListReadingsRequest, _context: Any) -> ListReadingsResponse:  # noqa: N802
        """The readings of the range, in pages of 1000; each recorded at the instant set."""
        start_ms, end_ms = to_ms(request.start_time), to_ms(request.end_time)
        found = [reading for reading in self.readings if start_ms <= to_ms(reading.start_time) < end_ms]
        first = int(request.page_token or 0)
        record_time = from_ms(round(self.record_time_ms))
        return ListReadingsResponse(
            readings=[RecordedReading(reading=reading, record_time=record_time) for reading in found[first:][:1000]],
            next_page_token=str(first + 1000) if len(found) > first + 1000 else "",
        )

    async def SummarizeUsage(self, request: SummarizeUsageRequest, context: Any) -> SummarizeUsageResponse:  # noqa: N802
        """The next count there is, or the last one again; a count below zero is a busy service."""
        self.summarized.update(request.device_ids)
        count = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        if count < 0:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
        return SummarizeUsageResponse(total=Usage(reading_count=count))

    async def PreviewInvoice(self, _request: PreviewInvoiceRequest, _context: Any) -> PreviewInvoiceResponse:  # noqa: N802
        """The bill that was put here."""
        return PreviewInvoiceResponse(invoice=self.invoice)


@dataclass(frozen=True)
class ServedBilling:
    """The small billing and a channel to it."""

    servicer: SmallBilling
    channel: grpc.aio.Channel


@pytest.fixture
async def billing() -> AsyncIterator[ServedBilling]:
    """A running small billing on a free port of loopback."""
    # What the demonstration does not call is left out on purpose; the server answers UNIMPLEMENTED by itself.
    servicer = SmallBilling()  # type: ignore[abstract]
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_UsageServiceServicer_to_server(servicer, server)
    add_InvoiceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        yield ServedBilling(servicer, channel)
    await server.stop(None)


def minutes(count: int, import_kwh: float = 0.1) -> list[Reading]:
    """Readings of a meter from the first minute of the day on."""
    return [
        Reading(
            device_id="meter-1",
            start_time=from_ms(DAYS.start_ms + n * MINUTE_MS),
            meter=MeterMeasurement(import_kwh=import_kwh),
        )
        for n in range(count)
    ]


def acked(readings: list[Reading], refused: range = range(0)) -> AckedFrame:
    """These readings, acked now."""
    verdicts = [Verdict(sequence=1, index=index, reason=ERROR_REASON_OUT_OF_RANGE) for index in refused]
    return AckedFrame(readings, verdicts, ack_time_ms=time.time() * 1000, latency_ms=1.0, write_count=1)


async def probe(billing: ServedBilling, frame: AckedFrame) -> tuple[LatencyHistogram, LatencyHistogram]:
    """Follows one frame to the end; the log's latencies and the hot ones."""
    log, hot = LatencyHistogram(), LatencyHistogram()
    prober = LatencyProber(billing.channel, seed=1, log_latency=log, hot_latency=hot)
    async with in_background(prober.run(), "prober"):
        async with asyncio.timeout(5):
            while not prober.is_ready:  # noqa: ASYNC110 - an event for this alone is not worth it
                await asyncio.sleep(0)
            prober.offer(frame)
            await prober.settle()
    await prober.read_log_times(5)
    return log, hot


async def test_the_hot_latency_ends_when_the_live_view_has_the_reading(billing: ServedBilling) -> None:
    """Three empty answers, 10 ms apart, then the reading: at least 30 ms."""
    billing.servicer.unseen_polls = 3

    _, hot = await probe(billing, acked(minutes(1)))

    shortest = hot.percentile_ms(1)
    assert hot.count == 1
    assert shortest is not None
    assert shortest >= 30


async def test_the_log_latency_is_the_record_time_minus_the_ack(billing: ServedBilling) -> None:
    """A reading recorded 250 ms after its ack."""
    frame = acked(minutes(1))
    billing.servicer.readings = list(frame.readings)
    billing.servicer.record_time_ms = frame.ack_time_ms + 250

    log, _ = await probe(billing, frame)

    assert log.count == 1
    assert log.percentile_ms(50) == pytest.approx(250, rel=0.02)


async def test_a_reading_logged_before_its_ack_arrived_took_no_time(billing: ServedBilling) -> None:
    """The log may be faster than the way back of the ack."""
    frame = acked(minutes(1))
    billing.servicer.readings = list(frame.readings)
    billing.servicer.record_time_ms = frame.ack_time_ms - 5

    log, _ = await probe(billing, frame)

    assert log.percentile_ms(100) == 0.0


async def test_a_refused_reading_is_never_followed(billing: ServedBilling) -> None:
    """A frame of refused readings gives no sample."""
    log, hot = await probe(billing, acked(minutes(5), refused=range(5)))

    assert (log.count, hot.count) == (0, 0)


async def test_the_store_is_asked_until_it_holds_what_is_expected(billing: ServedBilling) -> None:
    """Two answers that fall short, one from a busy service, and then the full count."""
    billing.servicer.counts = [10, -1, 99, 100]

    stored = await wait_until_stored(
        billing.channel,
        [Period(["a", "b"], 0, 1)],
        lambda _: 50,
        limit_seconds=5,
        poll_interval_seconds=0.001,
    )

    assert stored == 100
    assert billing.servicer.summarized == {"a": 4, "b": 4}


async def test_a_store_that_stays_short_is_told_as_it_is_when_the_time_is_up(billing: ServedBilling) -> None:
    """A lost reading does not make the demonstration wait for ever, nor does it go unseen."""
    billing.servicer.counts = [99]

    stored = await wait_until_stored(
        billing.channel, [Period(["a"], 0, 1)], lambda _: 100, limit_seconds=0.05, poll_interval_seconds=0.001
    )

    assert stored == 99


async def test_devices_that_are_complete_are_not_asked_for_again(billing: ServedBilling) -> None:
    """Sixty devices are three questions when nothing is missing."""
    billing.servicer.counts = [25, 25, 10]
    device_ids = [f"meter-{n}" for n in range(60)]

    stored = await wait_until_stored(
        billing.channel, [Period(device_ids, 0, 1)], lambda _: 1, limit_seconds=5, poll_interval_seconds=0.001
    )

    assert stored == 60
    assert set(billing.servicer.summarized.values()) == {1}


def invoice(total: str) -> Invoice:
    """102 kWh off-peak at 5.00 and a day's charge of 3.00 are 513.00; 18 % of that are 92.34."""
    return Invoice(
        account_id="acc-1",
        currency_code="INR",
        lines=[
            InvoiceLine(
                kind=INVOICE_LINE_KIND_ENERGY,
                price_name="off-peak",
                quantity=DecimalMessage(value="102"),
                amount=from_decimal(Decimal("510.00"), "INR"),
                reading_count=1020,
            ),
            InvoiceLine(kind=INVOICE_LINE_KIND_DAILY_CHARGE, amount=from_decimal(Decimal("3.00"), "INR")),
        ],
        tax=from_decimal(Decimal("92.34"), "INR"),
        total=from_decimal(Decimal(total), "INR"),
    )


async def test_a_right_bill_agrees_with_the_readings_of_every_page(billing: ServedBilling) -> None:
    """1020 minutes of 0.1 kWh before 17 o'clock, listed in two pages: 102 kWh at 5.00, 3.00 a day, 18 % tax."""
    billing.servicer.readings = minutes(1020)
    billing.servicer.invoice = invoice(total="605.34")

    bill = await checked_bill(billing.channel, "meter-1", DAYS)

    assert bill.reading_count == 1020
    assert bill.problems == []


async def test_a_wrong_bill_is_found_out(billing: ServedBilling) -> None:
    """One paisa too much."""
    billing.servicer.readings = minutes(1020)
    billing.servicer.invoice = invoice(total="605.35")

    bill = await checked_bill(billing.channel, "meter-1", DAYS)

    assert bill.problems == ["the bill's total is 605.35, plain arithmetic gives 605.34"]
