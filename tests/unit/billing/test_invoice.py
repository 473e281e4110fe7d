"""What rated lines come to: rounding, taxes, currencies, and the words on the bill."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.invoices.invoice import make_invoice
from billing.tariffs.rated_line import LineKind, RatedLine
from billing.tariffs.tariff import FlatPricing, Rounding, RoundingLevel, Tariff
from common.errors import CurrencyMixed
from common.money import RoundingMode


def tariff(currency_code: str = "USD", tax_percent: str = "18", tariff_id: str = "t") -> Tariff:
    """A tariff; the price that counts is that of the line."""
    return Tariff(tariff_id, "", currency_code, FlatPricing(Decimal(0)), None, Decimal(tax_percent))


def energy(quantity: str, unit_price: str, of: Tariff | None = None, name: str = "flat") -> RatedLine:
    """A line of energy, kWh."""
    return RatedLine(LineKind.ENERGY, of or tariff(), name, Decimal(unit_price), Decimal(quantity), 10)


def daily_charge(days: str, unit_price: str, of: Tariff | None = None) -> RatedLine:
    """A line of daily charges."""
    return RatedLine(LineKind.DAILY_CHARGE, of or tariff(), "", Decimal(unit_price), Decimal(days), 0)


def test_a_bill_adds_rounded_lines_and_the_tax_on_their_sum() -> None:
    """10.005 kWh at 1.00 is 10.01; 31 days at 0.50 are 15.50; 18 % of 25.51 is 4.5918, so 4.59; together 30.10."""
    invoice = make_invoice([energy("10.005", "1.00"), daily_charge("31", "0.50")])

    assert [line.amount for line in invoice.lines] == [Decimal("10.01"), Decimal("15.50")]
    assert (invoice.net, invoice.tax, invoice.total) == (Decimal("25.51"), Decimal("4.59"), Decimal("30.10"))
    assert invoice.currency_code == "USD"
    assert invoice.reading_count == 10


@pytest.mark.parametrize(
    ("quantity", "unit_price", "currency_code", "amount"),
    [
        # Halves go up, not to the even neighbour.
        ("0.125", "1", "USD", "0.13"),
        ("0.115", "1", "USD", "0.12"),
        ("0.124999", "1", "USD", "0.12"),
        # 3 kWh at 1.00166667 is 3.00500001.
        ("3", "1.00166667", "USD", "3.01"),
        # The yen has no smaller coin, the Kuwaiti dinar a thousandth, the unidad de fomento a ten-thousandth.
        ("1", "26.5", "JPY", "27"),
        ("1", "0.0125", "KWD", "0.013"),
        ("1", "0.00005", "CLF", "0.0001"),
        ("0", "5", "INR", "0.00"),
        # Exactly 4999999999990000.00499999999999; to 28 digits, as decimals are by default, it would be a half.
        ("1000000000000.000001", "4999.99999999", "USD", "4999999999990000.00"),
    ],
)
def test_a_line_is_rounded_half_up_to_the_smallest_coin(
    quantity: str, unit_price: str, currency_code: str, amount: str
) -> None:
    """Once, after the exact multiplication."""
    (line,) = make_invoice([energy(quantity, unit_price, tariff(currency_code))]).lines

    assert str(line.amount) == amount


def test_lines_are_rounded_before_they_are_added() -> None:
    """Three lines of 0.005 are 0.01 each: 0.03, where the exact sum 0.015 would come to 0.02."""
    invoice = make_invoice([energy("0.005", "1", name=name) for name in ("night", "day", "peak")])

    assert invoice.net == Decimal("0.03")


def test_tax_is_taken_once_a_rate_on_the_sum_of_its_lines() -> None:
    """18 % of 0.03 is 0.0054: 0.01 once, where 18 % of each 0.01 would round to nothing."""
    invoice = make_invoice([energy("0.01", "1", name=name) for name in ("night", "day", "peak")])

    assert invoice.tax == Decimal("0.01")


def test_every_tax_rate_has_its_own_line_in_the_order_of_the_bill() -> None:
    """5 % of 10.00 and 12.5 % of 20.00 + 4.00 are 0.50 and 3.00."""
    reduced, full = tariff(tax_percent="5", tariff_id="a"), tariff(tax_percent="12.5", tariff_id="b")

    invoice = make_invoice([energy("10", "1", reduced), energy("20", "1", full), daily_charge("4", "1", full)])

    assert [(tax.percent, tax.base, tax.amount) for tax in invoice.taxes] == [
        (Decimal(5), Decimal("10.00"), Decimal("0.50")),
        (Decimal("12.5"), Decimal("24.00"), Decimal("3.00")),
    ]
    assert (invoice.tax, invoice.total) == (Decimal("3.50"), Decimal("37.50"))


def test_equal_rates_are_one_rate_however_they_are_written() -> None:
    """18 and 18.00 percent are the same."""
    lines = [energy("1", "1", tariff(tax_percent="18")), energy("1", "1", tariff(tax_percent="18.00"))]

    assert len(make_invoice(lines).taxes) == 1


def test_a_rate_of_zero_is_shown_and_adds_nothing() -> None:
    """Untaxed is said, not left out."""
    invoice = make_invoice([energy("1", "1", tariff(tax_percent="0"))])

    assert [(tax.percent, tax.amount) for tax in invoice.taxes] == [(Decimal(0), Decimal("0.00"))]
    assert invoice.total == Decimal("1.00")


def test_a_period_in_two_currencies_is_refused() -> None:
    """Rupees and dollars have no sum."""
    lines = [energy("1", "1", tariff("INR")), energy("1", "1", tariff("USD"))]

    with pytest.raises(CurrencyMixed, match="INR and USD"):
        make_invoice(lines)


def test_lines_say_what_they_are_for() -> None:
    """A person reads the description, a program the kind."""
    peak, charge = make_invoice([energy("1", "1", name="peak"), daily_charge("1", "1")]).lines

    assert (peak.description, peak.unit) == ("Energy, peak", "kWh")
    assert (charge.description, charge.unit) == ("Daily charge", "day")


@pytest.mark.parametrize(
    ("mode", "amounts"),
    [
        (RoundingMode.HALF_UP, ["0.13", "0.12", "-0.13"]),
        (RoundingMode.HALF_EVEN, ["0.12", "0.12", "-0.12"]),
        (RoundingMode.UP, ["0.13", "0.13", "-0.13"]),
        (RoundingMode.DOWN, ["0.12", "0.12", "-0.12"]),
    ],
)
def test_a_tariff_says_how_its_lines_are_rounded(mode: RoundingMode, amounts: list[str]) -> None:
    """0.125, 0.121 and -0.125."""
    of = replace(tariff(), rounding=Rounding(mode))

    lines = make_invoice([energy("1", price, of, price) for price in ("0.125", "0.121", "-0.125")]).lines

    assert [str(line.amount) for line in lines] == amounts


def test_where_the_sum_is_rounded_the_difference_is_a_line() -> None:
    """Three times 0.004 are 0.01, of which the three lines have 0.00."""
    of = replace(tariff(tax_percent="0"), rounding=Rounding(level=RoundingLevel.TOTAL))

    invoice = make_invoice([energy("1", "0.004", of, name) for name in "abc"])

    assert [(line.description, str(line.amount)) for line in invoice.lines] == [
        ("Energy, a", "0.00"),
        ("Energy, b", "0.00"),
        ("Energy, c", "0.00"),
        ("Rounding of the sum", "0.01"),
    ]
    assert invoice.net == sum(line.amount for line in invoice.lines) == Decimal("0.01")


def test_a_part_of_a_month_is_rounded_once() -> None:
    """10/31 of 20.00 are 6.4516..., so 6.45."""
    charge = RatedLine(LineKind.MONTHLY_CHARGE, tariff(), "", Decimal(20), Decimal(1), 0, share=Fraction(10, 31))

    (line,) = make_invoice([charge]).lines

    assert (line.description, line.unit, line.amount) == ("Monthly charge", "month", Decimal("6.45"))


@pytest.mark.parametrize(("kwh", "lacking"), [("3", ["7.00"]), ("10", []), ("11", [])])
def test_what_charges_lack_of_the_minimum_is_a_line(kwh: str, lacking: list[str]) -> None:
    """Energy at 1.00 and a minimum of 10.00; export does not count towards it."""
    of = tariff(tax_percent="0")
    export = RatedLine(LineKind.EXPORT, of, "flat", Decimal(-1), Decimal(2), 0)
    minimum = RatedLine(LineKind.MINIMUM_CHARGE, of, "", Decimal(10), Decimal(1), 0)

    invoice = make_invoice([energy(kwh, "1", of), export, minimum])

    assert [str(line.amount) for line in invoice.lines[2:]] == lacking
    assert [line.description for line in invoice.lines[2:]] == ["Up to the minimum charge"] * len(lacking)
    assert invoice.net == max(Decimal(kwh), Decimal(10)) - 2


def test_fixed_charges_and_export_may_have_taxes_of_their_own() -> None:
    """18 % on energy, 5 % on the daily charge, none on export."""
    of = replace(tariff(), fixed_charge_tax_percent=Decimal(5), export_tax_percent=Decimal(0))
    export = RatedLine(LineKind.EXPORT, of, "flat", Decimal(-1), Decimal(2), 0)

    invoice = make_invoice([energy("100", "1", of), export, daily_charge("10", "1", of)])

    assert [(str(tax.percent), str(tax.base), str(tax.amount)) for tax in invoice.taxes] == [
        ("18", "100.00", "18.00"),
        ("0", "-2.00", "0.00"),
        ("5", "10.00", "0.50"),
    ]
    assert invoice.total == Decimal("126.50")


def test_a_line_of_a_tier_says_which() -> None:
    """For people."""
    (line,) = make_invoice([replace(energy("1", "1", name="peak"), tier=2)]).lines

    assert line.description == "Energy, peak, tier 2"
