"""What the mesh answers when a customer asks: readings on record, usage, bills and live readings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self
from zoneinfo import ZoneInfo

import grpc
from energy.analytics.v1.analytics_service_pb2 import (
    REGION_LOAD_RESOLUTION_QUARTER_HOUR,
    GetRegionLoadRequest,
    ListRegionLoadRequest,
)
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from energy.analytics.v1.region_window_pb2 import RegionWindow
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from energy.billing.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from energy.billing.v1.tariff_pb2 import FlatPricing, Tariff, TariffAssignment
from energy.billing.v1.tariff_service_pb2 import AssignTariffRequest, CreateTariffRequest
from energy.billing.v1.tariff_service_pb2_grpc import TariffServiceStub
from energy.billing.v1.usage_service_pb2 import GetLiveReadingRequest, ListReadingsRequest, SummarizeUsageRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money

from common.grpc_client import open_channel
from common.instants import from_ms, to_ms
from tests.faults.history_check import WINDOW_MS, Bill, Figures, LiveLoad, Price, Recorded, Window
from tests.faults.journal import Identity
from tests.faults.measurement import INTERVAL_MS, INTERVALS_AN_HOUR, drawn_of, energy_of, milliwatt_hours

PRICE = Price(per_kwh=Decimal("6.12345"), tax_percent=Decimal(18))

_TARIFF_ID = "faults-flat"
_CURRENCY = "INR"
_CALL_SECONDS = 20
_GLANCE_SECONDS = 2
_ASKED_AT_ONCE = 4
_PAGE_READINGS = 5_000
_MILLIWATT_HOURS_PER_KWH = 1_000_000


@dataclass(frozen=True, slots=True)
class Answers:
    """Stubs of billing and analytics."""

    usage: Any
    tariffs: Any
    invoices: Any
    analytics: Any

    @classmethod
    @asynccontextmanager
    async def of(cls, addresses: Mapping[str, str]) -> AsyncIterator[Self]:
        """Opens channels of its own to services, by their names."""
        async with open_channel(addresses["billing"]) as billing, open_channel(addresses["analytics"]) as analytics:
            yield cls(
                UsageServiceStub(billing),
                TariffServiceStub(billing),
                InvoiceServiceStub(billing),
                AnalyticsServiceStub(analytics),
            )

    async def can_read(self, identity: Identity) -> bool:
        """Whether a reading is on record and its device is seen live at least so far; False also on an error."""
        try:
            async with asyncio.timeout(_GLANCE_SECONDS):
                page = await self._page(identity.device_id, identity.start_ms, identity.start_ms + 1, "")
                request = GetLiveReadingRequest(device_id=identity.device_id)
                live = (await self.usage.GetLiveReading(request, timeout=_CALL_SECONDS)).live_reading.reading
        except (grpc.aio.AioRpcError, TimeoutError):
            return False
        is_listed = any(_recorded(each).identity == identity for each in page.readings)
        return is_listed and to_ms(live.start_time) >= identity.start_ms

    async def readings(self, device_ids: Sequence[str], days: tuple[datetime, datetime]) -> list[Recorded]:
        """Everything on record of some devices, superseded readings among it."""
        start_ms, end_ms = (int(day.timestamp() * 1000) for day in days)
        listed = await _few_at_once([self._list(device_id, start_ms, end_ms) for device_id in device_ids])
        return [reading for readings in listed for reading in readings]

    async def figures(self, device_ids: Sequence[str], days: tuple[datetime, datetime]) -> dict[str, Figures]:
        """Usage of some devices over whole days; devices without a reading are absent."""
        start, end = (from_ms(int(day.timestamp() * 1000)) for day in days)
        request = SummarizeUsageRequest(device_ids=device_ids, start_time=start, end_time=end)
        response = await self.usage.SummarizeUsage(request, timeout=_CALL_SECONDS)
        return {
            found.device_id: Figures(found.usage.reading_count, energy_of(found.usage)) for found in response.devices
        }

    async def price(self, device_ids: Sequence[str]) -> None:
        """Gives every device the flat price; doing it again changes nothing."""
        per_kwh = Money(currency_code=_CURRENCY, units=int(PRICE.per_kwh), nanos=int(PRICE.per_kwh % 1 * 10**9))
        tariff = Tariff(
            tariff_id=_TARIFF_ID,
            currency_code=_CURRENCY,
            flat=FlatPricing(price_per_kwh=per_kwh),
            tax_percent=DecimalMessage(value=str(PRICE.tax_percent)),
        )
        await self.tariffs.CreateTariff(CreateTariffRequest(tariff=tariff), timeout=_CALL_SECONDS)
        await _few_at_once([self._assign(device_id) for device_id in device_ids])

    async def bills(self, device_ids: Sequence[str], days: tuple[datetime, datetime], zone: str) -> Mapping[str, Bill]:
        """The bill of each device over whole local days."""
        start, end = (_date(day, zone) for day in days)
        bills = await _few_at_once([self._bill(device_id, start, end) for device_id in device_ids])
        return dict(zip(device_ids, bills, strict=True))

    async def windows(self, region: str, days: tuple[datetime, datetime]) -> dict[int, Window]:
        """The closed windows of a region by their start, UTC milliseconds."""
        start, end = (from_ms(int(day.timestamp() * 1000)) for day in days)
        found: dict[int, Window] = {}
        token = ""
        while True:
            request = ListRegionLoadRequest(
                region=region,
                start_time=start,
                end_time=end,
                resolution=REGION_LOAD_RESOLUTION_QUARTER_HOUR,
                page_size=2000,
                page_token=token,
            )
            page = await self.analytics.ListRegionLoad(request, timeout=_CALL_SECONDS)
            for window in page.windows:
                found[to_ms(window.start_time)] = _window(window)
            token = page.next_page_token
            if not token:
                return found

    async def live_load(self, region: str) -> LiveLoad:
        """What the meters of a region do now."""
        load = (await self.analytics.GetRegionLoad(GetRegionLoadRequest(region=region), timeout=_CALL_SECONDS)).load
        return LiveLoad(load.reporting_meter_count, load.load_kw)

    async def _assign(self, device_id: str) -> None:
        assignment = TariffAssignment(device_id=device_id, tariff_id=_TARIFF_ID, start_time=from_ms(0))
        await self.tariffs.AssignTariff(AssignTariffRequest(assignment=assignment), timeout=_CALL_SECONDS)

    async def _bill(self, device_id: str, start: Date, end: Date) -> Bill:
        request = PreviewInvoiceRequest(device_id=device_id, start_date=start, end_date=end)
        invoice = (await self.invoices.PreviewInvoice(request, timeout=_CALL_SECONDS)).invoice
        energy = sum(Decimal(line.quantity.value) for line in invoice.lines)
        figures = Figures(invoice.reading_count, int(energy * _MILLIWATT_HOURS_PER_KWH))
        return Bill(figures, _decimal(invoice.net), _decimal(invoice.tax), _decimal(invoice.total))

    async def _list(self, device_id: str, start_ms: int, end_ms: int) -> list[Recorded]:
        found: list[Recorded] = []
        token = ""
        while True:
            page = await self._page(device_id, start_ms, end_ms, token)
            found += [_recorded(each) for each in page.readings]
            token = page.next_page_token
            if not token:
                return found

    async def _page(self, device_id: str, start_ms: int, end_ms: int, token: str) -> Any:
        request = ListReadingsRequest(
            device_id=device_id,
            start_time=from_ms(start_ms),
            end_time=from_ms(end_ms),
            page_size=_PAGE_READINGS,
            page_token=token,
            include_superseded=True,
        )
        return await self.usage.ListReadings(request, timeout=_CALL_SECONDS)


async def _few_at_once(calls: Sequence[Any]) -> list[Any]:
    slots = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def one(call: Any) -> Any:
        async with slots:
            return await call

    return await asyncio.gather(*(one(call) for call in calls))


def _window(told: RegionWindow) -> Window:
    return Window(
        meters=told.reporting_meter_count,
        readings=round(told.covered_share * told.meter_count * (WINDOW_MS // INTERVAL_MS)),
        taken=milliwatt_hours(told.import_kwh),
        given=milliwatt_hours(told.export_kwh),
        least_minute=milliwatt_hours(told.minimum_load_kw / INTERVALS_AN_HOUR),
        greatest_minute=milliwatt_hours(told.maximum_load_kw / INTERVALS_AN_HOUR),
    )


def _recorded(found: Any) -> Recorded:
    reading = found.reading
    identity = Identity(reading.device_id, to_ms(reading.start_time), reading.revision)
    return Recorded(identity, drawn_of(reading), found.superseded)


def _decimal(money: Money) -> Decimal:
    return Decimal(money.units) + Decimal(money.nanos) / 10**9


def _date(day: datetime, zone: str) -> Date:
    local = day.astimezone(ZoneInfo(zone))
    return Date(year=local.year, month=local.month, day=local.day)
