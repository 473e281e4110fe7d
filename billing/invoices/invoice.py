"""What the readings of a period come to: rated lines as rounded amounts, their sum, the taxes on it and the total."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import reduce

from billing.invoices.bill_hold import BillHold
from billing.invoices.coverage import Coverage
from billing.tariffs.rated_line import EXACT, LineKind, RatedLine
from billing.tariffs.tariff import RoundingLevel, Tariff
from common.errors import CurrencyMixed
from common.money import round_amount

_TITLES = {
    LineKind.ENERGY: "Energy",
    LineKind.DEMAND: "Demand",
    LineKind.EXPORT: "Export",
    LineKind.EXPORT_NETTED: "Export set off against import",
    LineKind.EXPORT_BANK_USED: "Export of before set off against import",
    LineKind.EXPORT_BANK_KEPT: "Export kept for later",
    LineKind.DAILY_CHARGE: "Daily charge",
    LineKind.MONTHLY_CHARGE: "Monthly charge",
    LineKind.MINIMUM_CHARGE: "Up to the minimum charge",
    LineKind.ROUNDING: "Rounding of the sum",
}
_ENERGIES = (
    LineKind.ENERGY,
    LineKind.EXPORT,
    LineKind.EXPORT_NETTED,
    LineKind.EXPORT_BANK_USED,
    LineKind.EXPORT_BANK_KEPT,
)
_UNITS = {
    **dict.fromkeys(_ENERGIES, "kWh"),
    LineKind.DEMAND: "kW",
    LineKind.DAILY_CHARGE: "day",
    LineKind.MONTHLY_CHARGE: "month",
}


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
    """A rated line, its amount in whole coins of the currency, and the rate of the tax on it, percent."""

    rated: RatedLine
    amount: Decimal
    tax_percent: Decimal

    @property
    def description(self) -> str:
        """What the line is for, for people."""
        tier = f"tier {self.rated.tier}" if self.rated.tier else ""
        return ", ".join(part for part in (_TITLES[self.rated.kind], self.rated.price_name, tier) if part)

    @property
    def unit(self) -> str:
        """Unit of the quantity; empty where the line is a mere difference."""
        return _UNITS.get(self.rated.kind, "")


@dataclass(frozen=True, slots=True)
class InvoiceTax:
    """The tax of one rate (percent) on the sum of its lines, in whole coins of the currency."""

    percent: Decimal
    base: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Invoice:
    """A bill; every amount is in units of its currency.

    `readings_digest` is that of everything that was read for it, empty where nobody asked for it. `history_start_date`
    is the first day whose readings it rests on; like the coverage it is None of a mere estimate.
    """

    currency_code: str
    lines: tuple[InvoiceLine, ...]
    net: Decimal
    taxes: tuple[InvoiceTax, ...]
    tax: Decimal
    total: Decimal
    reading_count: int
    estimated_reading_count: int = 0
    edited_reading_count: int = 0
    substituted_reading_count: int = 0
    holds: tuple[BillHold, ...] = ()
    readings_digest: str = ""
    coverage: Coverage | None = None
    history_start_date: date | None = None


def make_invoice(rated_lines: Sequence[RatedLine], holds: Iterable[BillHold] = ()) -> Invoice:
    """The bill of at least one line, and why it is to be held.

    Each line is rounded to the smallest coin as its tariff says; where a tariff rounds the sum, what that differs from
    its rounded lines is a line; what a tariff's lines, without export, lack of its minimum charge is a line too. `net`
    is the sum of the lines; each tax rate is applied once, to the sum of its lines, and rounded as the first of their
    tariffs says; `total` is `net` plus the taxes.

    Raises:
        CurrencyMixed: the lines are priced in several currencies.
    """
    currency_code = _one_currency(rated_lines)
    lines = [_line(rated, currency_code) for rated in rated_lines if rated.kind is not LineKind.MINIMUM_CHARGE]
    lines += list(_roundings(lines, currency_code))
    lines += list(_minimum_charges(rated_lines, lines, currency_code))
    taxes = tuple(
        _tax(percent, [line for line in lines if line.tax_percent == percent], currency_code)
        for percent in dict.fromkeys(line.tax_percent for line in lines)
    )
    net, tax = _sum(line.amount for line in lines), _sum(tax.amount for tax in taxes)
    return Invoice(
        currency_code=currency_code,
        lines=tuple(lines),
        net=net,
        taxes=taxes,
        tax=tax,
        total=EXACT.add(net, tax),
        reading_count=sum(rated.reading_count for rated in rated_lines),
        estimated_reading_count=sum(rated.estimated_reading_count for rated in rated_lines),
        edited_reading_count=sum(rated.edited_reading_count for rated in rated_lines),
        substituted_reading_count=sum(rated.substituted_reading_count for rated in rated_lines),
        holds=tuple(holds),
    )


def _one_currency(rated_lines: Sequence[RatedLine]) -> str:
    first, *others = dict.fromkeys(rated.tariff.currency_code for rated in rated_lines)
    if others:
        raise CurrencyMixed([first, *others])
    return first


def _line(rated: RatedLine, currency_code: str) -> InvoiceLine:
    return InvoiceLine(
        rated, round_amount(rated.exact_amount, currency_code, rated.tariff.rounding.mode), rated.tax_percent
    )


def _roundings(lines: Sequence[InvoiceLine], currency_code: str) -> Iterator[InvoiceLine]:
    """What the rounded sum of a tariff's lines of a tax rate differs from the sum of its rounded lines."""
    for (tariff_id, percent), tariff in _tariffs(lines).items():
        if tariff.rounding.level is RoundingLevel.TOTAL:
            group = [line for line in lines if (line.rated.tariff.tariff_id, line.tax_percent) == (tariff_id, percent)]
            exact = sum((line.rated.exact_amount for line in group), Fraction(0))
            rounded = round_amount(exact, currency_code, tariff.rounding.mode)
            difference = EXACT.subtract(rounded, _sum(line.amount for line in group))
            if difference:
                yield _difference(LineKind.ROUNDING, tariff, difference, percent)


def _minimum_charges(
    rated_lines: Iterable[RatedLine], lines: Sequence[InvoiceLine], currency_code: str
) -> Iterator[InvoiceLine]:
    """What the charges of a tariff lack of its minimum."""
    minimums: dict[str, list[RatedLine]] = {}
    for rated in rated_lines:
        if rated.kind is LineKind.MINIMUM_CHARGE:
            minimums.setdefault(rated.tariff.tariff_id, []).append(rated)
    for tariff_id, of_tariff in minimums.items():
        tariff = of_tariff[0].tariff
        exact = sum((rated.exact_amount for rated in of_tariff), Fraction(0))
        charges = _sum(
            line.amount for line in lines if line.rated.tariff.tariff_id == tariff_id and not line.rated.is_of_export
        )
        lacking = EXACT.subtract(round_amount(exact, currency_code, tariff.rounding.mode), charges)
        if lacking > 0:
            yield _difference(LineKind.MINIMUM_CHARGE, tariff, lacking, of_tariff[0].tax_percent)


def _difference(kind: LineKind, tariff: Tariff, amount: Decimal, tax_percent: Decimal) -> InvoiceLine:
    return InvoiceLine(RatedLine(kind, tariff, "", amount, Decimal(1), 0), amount, tax_percent)


def _tariffs(lines: Iterable[InvoiceLine]) -> dict[tuple[str, Decimal], Tariff]:
    return {(line.rated.tariff.tariff_id, line.tax_percent): line.rated.tariff for line in lines}


def _tax(percent: Decimal, lines: Sequence[InvoiceLine], currency_code: str) -> InvoiceTax:
    base = _sum(line.amount for line in lines)
    exact = Fraction(base) * Fraction(percent) / 100
    return InvoiceTax(percent, base, round_amount(exact, currency_code, lines[0].rated.tariff.rounding.mode))


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, Decimal(0))
