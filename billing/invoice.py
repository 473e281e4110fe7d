"""What the readings of a period come to: rated lines as rounded amounts, their sum, the taxes on it and the total."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import reduce

from billing.bill_hold import BillHold
from billing.rating import EXACT, LineKind, RatedLine
from common.errors import CurrencyMixed
from common.money import round_half_up


@dataclass(frozen=True, slots=True)
class BilledPeriod:
    """What a bill is for: a device, its account and the local days [start_date, end_date) of its zone.

    `start_ms` and `end_ms` are the midnights of the two dates, UTC milliseconds.
    """

    account_id: str
    device_id: str
    start_date: date
    end_date: date
    start_ms: int
    end_ms: int
    time_zone: str


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A rated line and its amount: quantity times unit price, in whole coins of the currency."""

    rated: RatedLine
    amount: Decimal

    @property
    def description(self) -> str:
        """What the line is for, for people."""
        return "Daily charge" if self.rated.kind is LineKind.DAILY_CHARGE else f"Energy, {self.rated.price_name}"

    @property
    def unit(self) -> str:
        """Unit of the quantity."""
        return "day" if self.rated.kind is LineKind.DAILY_CHARGE else "kWh"


@dataclass(frozen=True, slots=True)
class InvoiceTax:
    """The tax of one rate (percent) on the sum of its lines, in whole coins of the currency."""

    percent: Decimal
    base: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Invoice:
    """A bill; every amount is in units of its currency."""

    currency_code: str
    lines: tuple[InvoiceLine, ...]
    net: Decimal
    taxes: tuple[InvoiceTax, ...]
    tax: Decimal
    total: Decimal
    reading_count: int
    estimated_reading_count: int = 0
    holds: tuple[BillHold, ...] = ()


def make_invoice(rated_lines: Sequence[RatedLine], holds: Iterable[BillHold] = ()) -> Invoice:
    """The bill of at least one line, and why it is to be held.

    Each line is rounded half up to the smallest coin; `net` is the sum of the rounded lines; each tax rate is applied
    once, to the sum of its rounded lines, and rounded likewise; `total` is `net` plus the taxes.

    Raises:
        CurrencyMixed: the lines are priced in several currencies.
    """
    currency_code = _one_currency(rated_lines)
    lines = tuple(_line(rated) for rated in rated_lines)
    taxes = tuple(
        _tax(percent, [line for line in lines if line.rated.tariff.tax_percent == percent], currency_code)
        for percent in dict.fromkeys(line.rated.tariff.tax_percent for line in lines)
    )
    net, tax = _sum(line.amount for line in lines), _sum(tax.amount for tax in taxes)
    return Invoice(
        currency_code=currency_code,
        lines=lines,
        net=net,
        taxes=taxes,
        tax=tax,
        total=EXACT.add(net, tax),
        reading_count=sum(rated.reading_count for rated in rated_lines),
        estimated_reading_count=sum(rated.estimated_reading_count for rated in rated_lines),
        holds=tuple(holds),
    )


def _one_currency(rated_lines: Sequence[RatedLine]) -> str:
    first, *others = dict.fromkeys(rated.tariff.currency_code for rated in rated_lines)
    if others:
        raise CurrencyMixed([first, *others])
    return first


def _line(rated: RatedLine) -> InvoiceLine:
    exact = EXACT.multiply(rated.quantity, rated.unit_price)
    return InvoiceLine(rated, round_half_up(exact, rated.tariff.currency_code))


def _tax(percent: Decimal, lines: Iterable[InvoiceLine], currency_code: str) -> InvoiceTax:
    base = _sum(line.amount for line in lines)
    exact = EXACT.multiply(base, percent).scaleb(-2, context=EXACT)
    return InvoiceTax(percent, base, round_half_up(exact, currency_code))


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, Decimal(0))
