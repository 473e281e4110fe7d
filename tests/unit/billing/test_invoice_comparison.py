"""Why one bill is not another: worked examples, and what is true of any two."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from energy.billing.v1 import invoice_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.invoices.invoice import BilledPeriod, make_invoice
from billing.invoices.invoice_codec import Knowledge, invoice_message
from billing.invoices.invoice_comparison import LineDifference, compare
from billing.tariffs.rated_line import LineKind, RatedLine
from billing.tariffs.tariff import FlatPricing, Tariff
from common.errors import CurrencyMixed
from tests.unit.billing.month_cases import JANUARY

TARIFF = Tariff("t", "", "EUR", FlatPricing(Decimal(0)), None, Decimal(10))
PERIOD = BilledPeriod("acc-1", "m-1", *JANUARY, 0, 1, "UTC")


def bill(*lines: RatedLine) -> invoice_pb2.Invoice:
    """The message of a bill of some lines."""
    return invoice_message(PERIOD, make_invoice(lines), Knowledge(None))


def energy(kwh: str, price: str, name: str = "flat", tariff: Tariff = TARIFF) -> RatedLine:
    """A line of energy."""
    return RatedLine(LineKind.ENERGY, tariff, name, Decimal(price), Decimal(kwh), 1)


def shown(lines: Sequence[LineDifference]) -> list[tuple[str, str, str, str]]:
    """Description, difference, and what of it is by quantity and by price."""
    return [
        (line.description, f"{line.difference:.2f}", f"{line.by_quantity:.2f}", f"{line.by_price:.2f}")
        for line in lines
    ]


def test_a_difference_is_told_apart_by_quantity_and_price() -> None:
    """100 kWh at 0.20, then 130 at 0.25: 30 more at the old price are 6.00, 0.05 more for each of 130 are 6.50."""
    found = compare(bill(energy("100", "0.20")), bill(energy("130", "0.25")))

    assert shown(found.lines) == [("Energy, flat", "12.50", "6.00", "6.50")]
    assert (found.tax, found.total) == (Decimal("1.25"), Decimal("13.75"))


def test_what_is_in_one_bill_only_is_a_matter_of_quantity() -> None:
    """A peak that was not there before, and a daily charge that is gone."""
    charge = RatedLine(LineKind.DAILY_CHARGE, TARIFF, "", Decimal("0.50"), Decimal(31), 0)

    found = compare(bill(energy("10", "1", "rest"), charge), bill(energy("10", "1", "rest"), energy("5", "2", "peak")))

    assert shown(found.lines) == [
        ("Energy, rest", "0.00", "0.00", "0.00"),
        ("Daily charge", "-15.50", "-15.50", "0.00"),
        ("Energy, peak", "10.00", "10.00", "0.00"),
    ]


def test_lines_of_two_versions_with_the_same_names_are_compared_together() -> None:
    """A price that changed within the later month: 50 kWh at 0.20 and 50 at 0.30 beside 100 at 0.20."""
    second = replace(TARIFF, tariff_id="second")

    found = compare(bill(energy("100", "0.20")), bill(energy("50", "0.20"), energy("50", "0.30", tariff=second)))

    assert shown(found.lines) == [("Energy, flat", "5.00", "0.00", "5.00")]


def test_a_part_of_a_month_is_a_smaller_quantity() -> None:
    """A monthly charge of 31.00 for ten days of 31 is 21.00 less, and none of it by price."""
    whole = RatedLine(LineKind.MONTHLY_CHARGE, TARIFF, "", Decimal(31), Decimal(1), 0)

    found = compare(bill(whole), bill(replace(whole, share=Fraction(10, 31))))

    assert shown(found.lines) == [("Monthly charge", "-21.00", "-21.00", "0.00")]


def test_bills_in_different_currencies_are_not_compared() -> None:
    """Nothing says what one is in the other."""
    with pytest.raises(CurrencyMixed):
        compare(bill(energy("1", "1")), bill(energy("1", "1", tariff=replace(TARIFF, currency_code="USD"))))


LINES = st.lists(
    st.builds(
        energy,
        st.decimals(0, 1000, places=6).map(str),
        st.decimals(-1, 1, places=8).map(str),
        st.sampled_from(["peak", "rest", "night"]),
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, derandomize=True)
@given(before=LINES, after=LINES)
def test_the_differences_add_up_to_that_of_the_totals(before: list[RatedLine], after: list[RatedLine]) -> None:
    """Line by line by quantity and price, and the tax."""
    found = compare(bill(*before), bill(*after))

    by_line = sum((line.by_quantity + line.by_price for line in found.lines), Decimal(0))
    assert by_line + found.tax == found.total
