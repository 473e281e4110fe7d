"""How many accounts a second get the invoice of a month, beside how many times a second their usage alone is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import grpc
from energy.billing.v1.invoice_service_pb2 import GenerateInvoicesRequest, GenerateInvoicesResponse
from energy.billing.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from energy.billing.v1.tariff_pb2 import Tariff, TimeOfUsePeriod, TimeOfUsePricing, TimeOfUseWindow
from energy.billing.v1.tariff_service_pb2 import AssignTariffRequest, CreateTariffRequest
from energy.billing.v1.tariff_service_pb2_grpc import TariffServiceStub
from energy.billing.v1.usage_service_pb2 import USAGE_RESOLUTION_QUARTER_HOUR, ListUsageRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub
from energy.registry.v1.registry_service_pb2 import BatchCreateDevicesRequest
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from common.grpc_client import SLOW_TIMEOUT_SECONDS
from common.instants import from_ms
from loadgen.bench.ack_book import AckBook
from loadgen.bench.fleet import TIME_ZONE, BenchFleet
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.raw_streams import LoadFailed, send_frames
from loadgen.bench.rig import Rig
from loadgen.bench.row import ACCOUNTS_A_SECOND, AIMS, Row, void_row
from loadgen.bench.schedule import Schedule
from loadgen.bench.stored import fault_in_store

NAME = "accounts_invoiced"

_REGION = "Bench-Accounts"
_ZONE = ZoneInfo(TIME_ZONE)
_QUARTER_SECONDS = 900
# Further back than the readings of any other row.
_MONTHS_BEFORE_DAYS = 400
_ASKED_AT_ONCE = 4
_SEND_SECONDS = 60.0
_LEAST_SECONDS = 5.0
_PAGE = 10_000


async def invoice_row(rig: Rig) -> Row:
    """Drafts of the invoices of a month, one account a meter, by quarter-hours that were sent and folded before."""
    first, after = month_of(datetime.now(UTC).date() - timedelta(days=_MONTHS_BEFORE_DAYS))
    start_seconds, end_seconds = _midnight_seconds(first), _midnight_seconds(after)
    fleet = BenchFleet(f"{rig.fleet.prefix}i", rig.durations.invoice_accounts, devices_an_account=1, regions=(_REGION,))
    await _make_known(rig, fleet, start_seconds)
    source = FrameSource(
        fleet, start_seconds, frame_size=fleet.size, interval_seconds=_QUARTER_SECONDS, carries_interval=True
    )
    book = AckBook()
    schedule = Schedule(fleet.size, frames=(end_seconds - start_seconds) // _QUARTER_SECONDS)
    try:
        async with asyncio.timeout(_SEND_SECONDS):
            await send_frames(rig.gateway, source, schedule, book)
    except (LoadFailed, TimeoutError) as failure:
        return void_row(NAME, ACCOUNTS_A_SECOND, f"the month was not taken: {failure}")
    finally:
        rig.acked += book.acked
    fault = await fault_in_store(rig, source, book)
    fold_seconds = min(rig.durations.invoice_fold_seconds, rig.seconds_left - 2 * rig.durations.invoice_seconds)
    figures, _ = await rig.drained(fold_seconds, lambda now: now.folded >= now.logged)
    rig.unfolded = round(max(0.0, figures.logged - figures.folded))
    months = _MonthsRead(rig.billing, fleet.device_ids(), (start_seconds, end_seconds))
    read = await months.a_second(rig.durations.invoice_seconds)
    begun = time.monotonic()
    last, megabytes = await _generate(rig, (first, after), max(_LEAST_SECONDS, rig.seconds_left))
    invoiced = last.draft_count / (time.monotonic() - begun)
    if fault is None and last.draft_count != fleet.size:
        fault = f"{last.draft_count} of {fleet.size} accounts got a draft"
    return Row(
        NAME,
        None if fault else invoiced,
        ACCOUNTS_A_SECOND,
        {"usage_read": read},
        void=fault,
        aim=AIMS[NAME],
        details={
            "accounts": fleet.size,
            "quarter_hours_each": source.rounds,
            "unfolded": rig.unfolded,
            "months_read": months.count,
            "billing_megabytes_at_half": megabytes[0],
            "billing_megabytes_at_end": megabytes[1],
        },
    )


def month_of(day: date) -> tuple[date, date]:
    """The first days of the month that a day is in, and of the next one."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


def _midnight_seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=_ZONE).timestamp())


async def _make_known(rig: Rig, fleet: BenchFleet, start_seconds: int) -> None:
    """Registers the meters and gives each a price by the time of day."""
    await RegistryServiceStub(rig.gateway).BatchCreateDevices(
        BatchCreateDevicesRequest(devices=fleet.devices(0, fleet.size)), timeout=SLOW_TIMEOUT_SECONDS
    )
    tariffs = TariffServiceStub(rig.billing)
    tariff = Tariff(tariff_id=f"{fleet.prefix}-tariff", currency_code="INR", time_of_use=_by_the_clock())
    await tariffs.CreateTariff(CreateTariffRequest(tariff=tariff), timeout=SLOW_TIMEOUT_SECONDS)

    async def assign(device_id: str) -> None:
        request = AssignTariffRequest()
        request.assignment.device_id, request.assignment.tariff_id = device_id, tariff.tariff_id
        request.assignment.start_time.CopyFrom(from_ms(start_seconds * 1000))
        await tariffs.AssignTariff(request, timeout=SLOW_TIMEOUT_SECONDS)

    await asyncio.gather(*(assign(device_id) for device_id in fleet.device_ids()))


def _by_the_clock() -> TimeOfUsePricing:
    evening = TimeOfUsePeriod(
        name="peak",
        price_per_kwh=Money(currency_code="INR", units=8),
        windows=[TimeOfUseWindow(start_minute=18 * 60, end_minute=22 * 60)],
    )
    return TimeOfUsePricing(
        periods=[evening], default_name="off-peak", default_price_per_kwh=Money(currency_code="INR", units=5)
    )


class _MonthsRead:
    """Asks for the usage of a month by quarter-hours, of one device after the other, a few at a time."""

    def __init__(self, billing: grpc.aio.Channel, device_ids: Sequence[str], month_seconds: tuple[int, int]) -> None:
        self._usage = UsageServiceStub(billing)
        self._waiting = iter(device_ids)
        self._month = [from_ms(seconds * 1000) for seconds in month_seconds]
        self.count = 0

    async def a_second(self, limit_seconds: float) -> float:
        """Devices a second, of all of them or of those that were asked for before the limit."""
        began = time.monotonic()
        await asyncio.gather(*(self._one_after_another(began + limit_seconds) for _ in range(_ASKED_AT_ONCE)))
        return self.count / (time.monotonic() - began)

    async def _one_after_another(self, ends_at: float) -> None:
        for device_id in self._waiting:
            request = ListUsageRequest(
                device_id=device_id,
                start_time=self._month[0],
                end_time=self._month[1],
                resolution=USAGE_RESOLUTION_QUARTER_HOUR,
                page_size=_PAGE,
            )
            await self._usage.ListUsage(request, timeout=SLOW_TIMEOUT_SECONDS)
            self.count += 1
            if time.monotonic() > ends_at:
                return


async def _generate(
    rig: Rig, month: tuple[date, date], limit_seconds: float
) -> tuple[GenerateInvoicesResponse, tuple[float, float]]:
    """The last report of the run, and what memory billing had when half of the accounts were done, and all."""
    first, after = (Date(year=day.year, month=day.month, day=day.day) for day in month)
    request = GenerateInvoicesRequest(start_date=first, end_date=after, region=_REGION)
    last, processes = GenerateInvoicesResponse(), rig.processes()
    at_half = None
    async for response in InvoiceServiceStub(rig.billing).GenerateInvoices(request, timeout=limit_seconds):
        last = response
        if at_half is None and 2 * response.done_count >= response.account_count:
            at_half = processes.resident_megabytes("billing")
    at_end = processes.resident_megabytes("billing")
    return last, (round(at_half or at_end, 1), round(at_end, 1))
