"""Invoices for other programs: as rows for a spreadsheet or as JSON, in pieces of bounded size."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from energy.billing.v1 import invoice_pb2
from google.protobuf.json_format import MessageToJson
from google.type.money_pb2 import Money

from billing.invoices.account_invoice import AccountInvoice
from billing.invoices.account_invoice_codec import account_invoice_message
from billing.invoices.formula_safe import csv_row
from billing.invoices.invoice_list_store import InvoiceFilter, InvoiceListStore, InvoicePlace, place_of
from common.instants import duration_to_ms, rfc3339
from common.money import coins_decimal, to_coins, to_decimal

_PAGE_SIZE = 100
CHUNK_BYTES = 64 << 10
"""A piece is sent when it has grown to this."""

_NAMED_COLUMNS = ("invoice_id", "adjusted_invoice_id", "number", "state", "account_id", "start_date", "end_date")
_INVOICE_COLUMNS = (
    *_NAMED_COLUMNS,
    *("currency_code", "net", "tax", "total", "paid", "credited", "balance", "issue_time", "due_date", "overdue"),
    *("disputed", "held", "held_issue_reason"),
    *("covered_seconds", "missing_seconds"),
)
_LINE_COLUMNS = (
    *_NAMED_COLUMNS,
    *("device_id", "kind", "description", "tariff_id", "price_name", "tier", "quantity", "unit", "unit_price"),
    *("amount", "currency_code", "tax_percent"),
    *("covered_seconds", "missing_seconds"),
)
_BILLED_BEFORE = ("billed_before", "Billed before")


class ExportFormat(Enum):
    """How invoices are written: a row each, a row for each line of their bills, or a JSON array of their messages."""

    CSV = "csv"
    CSV_LINES = "csv_lines"
    JSON = "json"


class _Writing(NamedTuple):
    begin: str
    pieces: Callable[[AccountInvoice, int], Iterator[str]]
    between: str
    end: str


async def export_chunks(
    store: InvoiceListStore, wanted: InvoiceFilter, written: ExportFormat, now_ms: int
) -> AsyncIterator[bytes]:
    """The invoices by the start of their period and id, as they are kept, in UTF-8; the pieces together are one file.

    Raises:
        pymongo.errors.PyMongoError: the store failed; the file is not whole then.
    """
    writing = _WRITINGS[written]
    waiting, between = bytearray(writing.begin.encode()), ""
    async for invoice in _invoices(store, wanted):
        for piece in writing.pieces(invoice, now_ms):
            waiting += (between + piece).encode()
            between = writing.between
            if len(waiting) >= CHUNK_BYTES:
                yield bytes(waiting)
                waiting.clear()
    yield bytes(waiting) + writing.end.encode()


async def _invoices(store: InvoiceListStore, wanted: InvoiceFilter) -> AsyncIterator[AccountInvoice]:
    after: InvoicePlace | None = None
    while True:
        page = await store.page(wanted, after, _PAGE_SIZE, with_bills=True)
        for invoice in page:
            yield invoice
        if len(page) < _PAGE_SIZE:
            return
        after = place_of(page[-1], wanted)


def _invoice_rows(invoice: AccountInvoice, now_ms: int) -> Iterator[str]:
    amounts = (
        *(invoice.net_coins, invoice.tax_coins, invoice.total_coins),
        *(invoice.paid_coins, invoice.credited_coins, invoice.balance_coins),
    )
    bills = [invoice_pb2.Invoice.FromString(bill) for bill in invoice.bills]
    yield csv_row(
        [
            *_named(invoice),
            invoice.currency_code,
            *(f"{coins_decimal(coins, invoice.currency_code):f}" for coins in amounts),
            "" if invoice.issue_ms is None else rfc3339(invoice.issue_ms),
            "" if invoice.due_date is None else invoice.due_date.isoformat(),
            _yes(value=invoice.is_overdue(now_ms)),
            _yes(value=invoice.open_dispute is not None),
            _yes(value=invoice.is_held),
            invoice.held_issue_reason,
            *_coverage(bills),
        ]
    )


def _line_rows(invoice: AccountInvoice, now_ms: int) -> Iterator[str]:  # noqa: ARG001 - lines know no moment
    bills, written_coins = [invoice_pb2.Invoice.FromString(bill) for bill in invoice.bills], 0
    for bill in bills:
        for line in bill.lines:
            written_coins += to_coins(to_decimal(line.amount), line.amount.currency_code)
            yield csv_row(
                [
                    *_named(invoice),
                    bill.device_id,
                    invoice_pb2.InvoiceLineKind.Name(line.kind).removeprefix("INVOICE_LINE_KIND_").lower(),
                    line.description,
                    line.tariff_id,
                    line.price_name,
                    str(line.tier or ""),
                    line.quantity.value,
                    line.unit,
                    _price(line.unit_price),
                    _amount(line.amount),
                    bill.currency_code,
                    line.tax_percent.value,
                    *_coverage([bill]),
                ]
            )
    if invoice.adjustment:
        # Its lines are those of the whole period; with what was billed before, its rows add up to what it bills.
        before = f"{coins_decimal(invoice.net_coins - written_coins, invoice.currency_code):f}"
        unused = [""] * 6
        yield csv_row([*_named(invoice), "", *_BILLED_BEFORE, *unused, before, invoice.currency_code, "", "", ""])


def _json(invoice: AccountInvoice, now_ms: int) -> Iterator[str]:
    yield MessageToJson(account_invoice_message(invoice, now_ms), preserving_proto_field_name=True, indent=None)


_WRITINGS = {
    ExportFormat.CSV: _Writing(csv_row(_INVOICE_COLUMNS), _invoice_rows, "", ""),
    ExportFormat.CSV_LINES: _Writing(csv_row(_LINE_COLUMNS), _line_rows, "", ""),
    ExportFormat.JSON: _Writing("[\n", _json, ",\n", "\n]\n"),
}


def _named(invoice: AccountInvoice) -> list[str]:
    return [
        invoice.invoice_id,
        invoice.adjusted_invoice_id,
        invoice.number,
        invoice.state.value,
        invoice.account_id,
        invoice.start_date.isoformat(),
        invoice.end_date.isoformat(),
    ]


def _coverage(bills: Sequence[invoice_pb2.Invoice]) -> list[str]:
    """The time that readings cover, and that none does, of all bills together; empty where one does not tell."""
    if not all(bill.HasField("covered_duration") for bill in bills):
        return ["", ""]
    covered_ms = sum(duration_to_ms(bill.covered_duration) for bill in bills)
    missing_ms = sum(duration_to_ms(bill.missing_duration) for bill in bills)
    return [f"{Decimal(spell_ms).scaleb(-3):f}" for spell_ms in (covered_ms, missing_ms)]


def _amount(money: Money) -> str:
    return f"{coins_decimal(to_coins(to_decimal(money), money.currency_code), money.currency_code):f}"


def _price(money: Money) -> str:
    # Finer than a coin.
    return f"{to_decimal(money):f}".rstrip("0").rstrip(".")


def _yes(*, value: bool) -> str:
    return "true" if value else "false"
