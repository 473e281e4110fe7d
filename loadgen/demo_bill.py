"""A bill by the demonstration's time-of-use tariff, asked of the mesh and checked against the readings on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import grpc
from energy.billing.v1.invoice_pb2 import INVOICE_LINE_KIND_DAILY_CHARGE, INVOICE_LINE_KIND_ENERGY, Invoice

from common.errors import reason_of
from common.instants import datetime_from_ms, datetime_to_ms
from common.money import to_decimal
from loadgen.demo_checks import BillFigures, differences, recompute
from loadgen.demo_questions import list_imports, preview_invoice
from loadgen.demo_tariffs import TIME_OF_USE_ID, assign_tariff

LONGEST_BILL_DAYS = 366

_CANNOT_BE_PRICED = {
    "INTERVAL_CROSSES_PRICE": "its intervals reach over a change of price",
    "NO_READINGS": "it holds no energy taken from the grid",
}


@dataclass(frozen=True, slots=True)
class LocalDays:
    """Whole local days [first, end) of a zone."""

    first: date
    end: date
    time_zone: str

    @classmethod
    def around(cls, start_ms: int, end_ms: int, time_zone: str) -> LocalDays:
        """The days that hold [start_ms, end_ms), UTC milliseconds, cut to the longest bill there is."""
        zone = ZoneInfo(time_zone)
        first = datetime_from_ms(start_ms).astimezone(zone).date()
        end = datetime_from_ms(end_ms - 1).astimezone(zone).date() + timedelta(days=1)
        return cls(first, min(end, first + timedelta(days=LONGEST_BILL_DAYS)), time_zone)

    @property
    def start_ms(self) -> int:
        """Local midnight of the first day, UTC milliseconds."""
        return self._midnight_ms(self.first)

    @property
    def end_ms(self) -> int:
        """Local midnight after the last day, UTC milliseconds."""
        return self._midnight_ms(self.end)

    @property
    def count(self) -> int:
        """How many days."""
        return (self.end - self.first).days

    def _midnight_ms(self, day: date) -> int:
        return datetime_to_ms(datetime.combine(day, datetime.min.time(), ZoneInfo(self.time_zone)))


@dataclass(frozen=True, slots=True)
class CheckedBill:
    """A bill, how many readings it was checked against, and what does not agree (a sentence each)."""

    invoice: Invoice
    reading_count: int
    problems: list[str]


async def checked_bill(billing: grpc.aio.Channel, device_id: str, days: LocalDays) -> CheckedBill:
    """The bill of a meter that has the time-of-use tariff, compared with plain arithmetic over its readings.

    Raises:
        grpc.aio.AioRpcError: a call failed; FAILED_PRECONDITION when the period cannot be billed.
    """
    invoice = await preview_invoice(billing, device_id, days.first, days.end)
    imports = await list_imports(billing, device_id, days.start_ms, days.end_ms)
    plain = recompute(imports, time_zone=days.time_zone, days=days.count)
    return CheckedBill(invoice, len(imports), differences(plain, figures_of(invoice)))


async def bill_if_possible(billing: grpc.aio.Channel, device_id: str, days: LocalDays) -> CheckedBill | str:
    """Assigns the time-of-use tariff and bills; a sentence when this tariff cannot price what the device sent.

    Raises:
        grpc.aio.AioRpcError: a call failed for another reason.
    """
    await assign_tariff(billing, TIME_OF_USE_ID, [device_id], start_ms=days.start_ms)
    try:
        return await checked_bill(billing, device_id, days)
    except grpc.aio.AioRpcError as error:
        reason = _CANNOT_BE_PRICED.get(reason_of(error) or "")
        if reason is None:
            raise
        return f"no bill by the time-of-use tariff: {reason}"


def figures_of(invoice: Invoice) -> BillFigures:
    """The figures of a bill by one tariff, as decimals."""
    energy = [line for line in invoice.lines if line.kind == INVOICE_LINE_KIND_ENERGY]
    fixed = [line for line in invoice.lines if line.kind == INVOICE_LINE_KIND_DAILY_CHARGE]
    return BillFigures(
        energy_kwh={line.price_name: Decimal(line.quantity.value) for line in energy},
        energy_amounts={line.price_name: to_decimal(line.amount) for line in energy},
        daily_charges=sum((to_decimal(line.amount) for line in fixed), Decimal(0)),
        tax=to_decimal(invoice.tax),
        total=to_decimal(invoice.total),
        reading_count=sum(line.reading_count for line in energy),
    )
