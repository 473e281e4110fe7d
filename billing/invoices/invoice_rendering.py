"""Makes the printed invoice of a kept one: its bills as they are kept, and the usage of its days as these saw it."""

import asyncio
import re
from collections.abc import Sequence
from datetime import date, timedelta
from enum import Enum
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from energy.billing.v1 import invoice_pb2
from google.type.date_pb2 import Date

from billing.cold.usage_pipeline import UsageQuery
from billing.cold.usage_sum import Usage
from billing.invoices.account_invoice import AccountInvoice
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.invoice_html import invoice_html
from billing.invoices.invoice_pdf import invoice_pdf
from billing.invoices.printed_invoice import printed_invoice
from billing.invoices.usage_chart import DayUsage, UsageChart, usage_chart
from billing.log.schema import METER
from common.errors import NoReadings, RequestTooExpensive
from common.instants import to_ms
from common.local_time import local_midnight_ms

DEVICES_MAXIMUM = 500
CHART_DEVICES_MAXIMUM = 50

_NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9_.+@-]")
_IMPORT, _EXPORT = "import_milliwatt_hours", "export_milliwatt_hours"


class PrintFormat(Enum):
    """What an invoice is printed as: its media type and the end of its file's name."""

    HTML = ("text/html; charset=utf-8", "html")
    PDF = ("application/pdf", "pdf")


class PrintedFile(NamedTuple):
    """A printed invoice."""

    file_name: str
    media_type: str
    content: bytes


class IntervalReader(Protocol):
    """Reads what a device used by intervals."""

    async def intervals(
        self, query: UsageQuery, limit: int | None = None, as_of_ms: int | None = None
    ) -> list[tuple[int, Usage]]:
        """Usage by the start of its intervals, epoch milliseconds."""


class InvoiceRenderer:
    """Prints invoices; the pages are made beside the event loop, one at a time."""

    def __init__(self, invoices: AccountInvoiceStore, usage: IntervalReader) -> None:
        self._invoices = invoices
        self._usage = usage
        self._printing = asyncio.Semaphore(1)

    async def render(self, invoice_id: str, wanted: PrintFormat) -> PrintedFile:
        """The file of an invoice, the same as long as nothing becomes of the invoice.

        Raises:
            InvoiceNotFound: there is none of this id.
            RequestTooExpensive: it has too many bills to be printed; they can be exported.
        """
        invoice = await self._invoices.get(invoice_id)
        if len(invoice.bills) > DEVICES_MAXIMUM:
            raise RequestTooExpensive(f"an invoice of at most {DEVICES_MAXIMUM} devices is printed")
        chart, note = await self._chart(invoice)
        write = invoice_html if wanted is PrintFormat.HTML else invoice_pdf
        async with self._printing:
            content = await asyncio.to_thread(lambda: write(printed_invoice(invoice, chart, note)))
        media_type, ending = wanted.value
        safe_name = "".join(
            sign if sign.isascii() and (sign.isalnum() or sign in "-_.+@") else "_" for sign in invoice_id
        )
        return PrintedFile(f"{safe_name}.{ending}", media_type, content)

    async def _chart(self, invoice: AccountInvoice) -> tuple[UsageChart | None, str]:
        """The chart of all its devices together, or why there is none."""
        if len(invoice.bills) > CHART_DEVICES_MAXIMUM:
            return None, f"Drawn for at most {CHART_DEVICES_MAXIMUM} devices."
        bills = [invoice_pb2.Invoice.FromString(bill) for bill in invoice.bills]
        try:
            by_device = [await self._days_of(bill) for bill in bills]
        except NoReadings:
            return None, "The readings of that time are not kept any more."
        except RequestTooExpensive:
            return None, "Too many readings have changed since for the usage of then to be drawn."
        return (usage_chart(_together(by_device)), "") if by_device else (None, "No device.")

    async def _days_of(self, bill: invoice_pb2.Invoice) -> list[DayUsage]:
        zone = ZoneInfo(bill.time_zone)
        start, end = _date(bill.start_date), _date(bill.end_date)
        start_ms, end_ms = local_midnight_ms(start, zone), local_midnight_ms(end, zone)
        query = UsageQuery(METER, bill.device_id, start_ms, end_ms, "local_day", bill.time_zone)
        as_of_ms = to_ms(bill.as_of) if bill.HasField("as_of") else None
        usages = dict(await self._usage.intervals(query, as_of_ms=as_of_ms))
        days = [start + timedelta(days=number) for number in range((end - start).days)]
        return [_day(day, usages.get(local_midnight_ms(day, zone))) for day in days]


def _day(day: date, usage: Usage | None) -> DayUsage:
    if usage is None:
        return DayUsage(day, None, None, is_estimated=False)
    energies = usage.energies
    return DayUsage(day, energies.get(_IMPORT), energies.get(_EXPORT), is_estimated=usage.estimated_count > 0)


def _together(by_device: Sequence[Sequence[DayUsage]]) -> list[DayUsage]:
    """The days of all devices added up; a day is a gap where none of them has a reading."""

    def added(energies: Sequence[int | None]) -> int | None:
        known = [energy for energy in energies if energy is not None]
        return sum(known) if known else None

    return [
        DayUsage(
            same[0].day,
            added([one.import_milliwatt_hours for one in same]),
            added([one.export_milliwatt_hours for one in same]),
            is_estimated=any(one.is_estimated for one in same),
        )
        for same in zip(*by_device, strict=True)
    ]


def _date(message: Date) -> date:
    return date(message.year, message.month, message.day)
