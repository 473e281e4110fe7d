"""What a printed invoice says, in words and figures, whatever it is printed as."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from energy.billing.v1 import invoice_pb2, tariff_pb2
from google.type.money_pb2 import Money

from billing.invoices.account_invoice import AccountInvoice, State
from billing.invoices.usage_chart import UsageChart
from common.instants import datetime_from_ms, duration_to_ms, to_ms
from common.money import coins_decimal, currency_exponent, to_decimal

_STATES = {
    State.DRAFT: "Draft, not an invoice yet",
    State.ISSUED: "Issued",
    State.PARTIALLY_PAID: "Partially paid",
    State.PAID: "Paid",
    State.CREDITED: "Credited",
    State.DISCARDED: "Discarded draft",
    State.VOID: "Void",
}
_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_LEVELS = {
    tariff_pb2.ROUNDING_LEVEL_LINE: "each line",
    tariff_pb2.ROUNDING_LEVEL_TOTAL: "the sum of a tax rate",
}


class Fact(NamedTuple):
    """Something that is said under a name."""

    name: str
    text: str


class PrintedLine(NamedTuple):
    """A line of a bill; of an energy, a power or days with its price."""

    description: str
    quantity: str
    unit_price: str
    amount: str


@dataclass(frozen=True, slots=True)
class PrintedBill:
    """The bill of one device."""

    device_id: str
    lines: tuple[PrintedLine, ...]
    sums: tuple[Fact, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrintedInvoice:
    """An invoice; `is_final` is false of what is no invoice, or no more. Without `chart`, `chart_note` says why."""

    title: str
    state: str
    is_final: bool
    facts: tuple[Fact, ...]
    bills: tuple[PrintedBill, ...]
    sums: tuple[Fact, ...]
    settlement: tuple[Fact, ...]
    balance: Fact
    notes: tuple[str, ...]
    chart: UsageChart | None
    chart_note: str


def printed_invoice(invoice: AccountInvoice, chart: UsageChart | None, chart_note: str = "") -> PrintedInvoice:
    """What is printed of an invoice; the same of the same invoice, whenever it is."""
    currency_code = invoice.currency_code

    def amount(coins: int) -> str:
        return f"{coins_decimal(coins, currency_code)} {currency_code}"

    kind = f"Adjustment {invoice.adjustment}" if invoice.adjustment else "Invoice"
    balance = invoice.balance_coins
    return PrintedInvoice(
        title=f"{kind} {invoice.number}" if invoice.number else f"{kind} (no number yet)",
        state=_STATES[invoice.state],
        is_final=invoice.state not in {State.DRAFT, State.DISCARDED, State.VOID},
        facts=tuple(_facts(invoice)),
        bills=tuple(_bill(invoice_pb2.Invoice.FromString(bill)) for bill in invoice.bills),
        sums=(
            Fact("Net", amount(invoice.net_coins)),
            Fact("Taxes", amount(invoice.tax_coins)),
            Fact("Total of the adjustment" if invoice.adjustment else "Total", amount(invoice.total_coins)),
        ),
        settlement=(
            *(Fact(f"Payment {one.payment_id}, {_day(one.create_ms)}", amount(-one.coins)) for one in invoice.payments),
            *(
                Fact(f"Credit note {one.number or one.credit_note_id}: {_shown(one.reason)}", amount(-one.coins))
                for one in invoice.credit_notes
            ),
        ),
        balance=Fact("To be paid back" if balance < 0 else "To be paid", amount(abs(balance))),
        notes=tuple(_notes(invoice)),
        chart=chart,
        chart_note=chart_note,
    )


def _facts(invoice: AccountInvoice) -> Iterator[Fact]:
    yield Fact("Account", _shown(invoice.account_id))
    yield Fact("Period", f"{invoice.start_date} to {invoice.end_date - timedelta(days=1)}")
    if invoice.adjustment:
        yield Fact("Adjusts", _shown(invoice.adjusted_invoice_id))
    if invoice.issue_ms is not None:
        yield Fact("Issued", _day(invoice.issue_ms))
    if invoice.due_date is not None:
        yield Fact("Due", str(invoice.due_date))
    yield Fact("Reference", _shown(invoice.invoice_id))


def _bill(bill: invoice_pb2.Invoice) -> PrintedBill:
    return PrintedBill(
        device_id=_shown(bill.device_id),
        lines=tuple(_line(line) for line in bill.lines),
        sums=(
            Fact("Net", _money(bill.net)),
            *(Fact(f"Tax {tax.percent.value} % on {_money(tax.base)}", _money(tax.amount)) for tax in bill.taxes),
            Fact("Total", _money(bill.total)),
        ),
        notes=tuple(_bill_notes(bill)),
    )


def _line(line: invoice_pb2.InvoiceLine) -> PrintedLine:
    quantity = f"{line.quantity.value} {line.unit}" if line.unit else ""
    if line.HasField("month_share"):
        quantity += f" x {line.month_share.numerator}/{line.month_share.denominator}"
    unit_price = _money(line.unit_price) if line.unit else ""
    return PrintedLine(_shown(line.description), quantity, unit_price, _money(line.amount))


def _bill_notes(bill: invoice_pb2.Invoice) -> Iterator[str]:
    tariffs = dict.fromkeys(line.tariff_id for line in bill.lines)
    yield f"Priced by {_listed(tariffs)}; days are local to {bill.time_zone}."
    for rounding in bill.roundings:
        mode = tariff_pb2.RoundingMode.Name(rounding.mode).removeprefix("ROUNDING_MODE_").lower().replace("_", " ")
        yield f"By {rounding.tariff_id} {_LEVELS.get(rounding.level, 'each line')} is rounded {mode}."
    if bill.estimated_reading_count:
        yield f"{bill.estimated_reading_count} of {bill.reading_count} readings are estimates."
    if bill.substituted_reading_count:
        yield f"{bill.substituted_reading_count} of {bill.reading_count} readings stand for what could not be measured."
    if bill.edited_reading_count:
        yield f"{bill.edited_reading_count} of {bill.reading_count} readings were edited by hand."
    if bill.HasField("missing_duration") and (missing_ms := duration_to_ms(bill.missing_duration)):
        whole_ms = missing_ms + duration_to_ms(bill.covered_duration)
        yield f"No readings tell of {_span(missing_ms)} of {_span(whole_ms)}; nothing of that time is billed."
    if bill.HasField("as_of"):
        yield f"By the readings known on {datetime_from_ms(to_ms(bill.as_of)):%Y-%m-%d at %H:%M:%S} UTC."


def _notes(invoice: AccountInvoice) -> Iterator[str]:
    if invoice.adjustment:
        yield "The lines are those of the whole period as it is now; the total is the difference to what was issued."
    taxes = [to_decimal(tax.amount) for bill in invoice.bills for tax in invoice_pb2.Invoice.FromString(bill).taxes]
    if not invoice.adjustment and sum(taxes) != coins_decimal(invoice.tax_coins, invoice.currency_code):
        yield "The tax of a rate is on the sum of all meters, and is rounded once; it is not the sum of their taxes."
    if invoice.is_held and invoice.state is State.DRAFT:
        yield "It rests too much on estimates or on too few readings, and is held."
    if invoice.open_dispute is not None:
        yield "It is disputed."


def _listed(names: Iterable[str]) -> str:
    *others, last = list(names) or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _day(instant_ms: int) -> str:
    return f"{datetime_from_ms(instant_ms):%Y-%m-%d}"


def _span(span_ms: int) -> str:
    """A time in hours, and what is left over of it."""
    hours, minutes = span_ms // _HOUR_MS, span_ms // _MINUTE_MS % 60
    seconds = Decimal(span_ms % _MINUTE_MS).scaleb(-3).normalize()
    parts = [(f"{hours}", "h"), (f"{minutes}", "min"), (f"{seconds:f}", "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number != "0") or "0 h"


def _money(money: Money) -> str:
    number = to_decimal(money)
    plain = number.normalize()
    # A price has as many places as it needs, and no fewer than the currency's coins.
    exponent = plain.as_tuple().exponent
    places = max(currency_exponent(money.currency_code), -exponent if isinstance(exponent, int) else 0)
    return f"{plain.quantize(Decimal(1).scaleb(-places)):f} {money.currency_code}"


def _shown(text: str) -> str:
    """A text that people have made up, with what cannot be seen written by its number: no two print alike."""
    return "".join(sign if sign.isprintable() else f"[U+{ord(sign):04X}]" for sign in text)
