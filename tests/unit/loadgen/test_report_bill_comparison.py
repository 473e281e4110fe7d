"""A stated bill beside the computed one: met, or how much comes from period, energy and price."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from loadgen.bill_comparison import ComputedBill, comparison_lines, stated_line
from loadgen.files.stated_bill import StatedBill

DAYS = (date(2014, 1, 1), date(2014, 1, 29))
STATED = StatedBill(amount=Decimal("22.08"), energy_kwh=Decimal("199.563"), currency_code="USD")
COMPUTED = ComputedBill(*DAYS, Decimal("22.08"), "USD", Decimal("199.563"))


def compared(stated: StatedBill, computed: ComputedBill, days: tuple[date, date] | None = DAYS) -> list[str]:
    """The lines after the one that says what was computed."""
    first, *others = comparison_lines(stated, computed, days)
    assert first.startswith(f"  computed for {computed.first} up to {computed.end}: {computed.total:.2f} USD")
    return others


def test_the_same_amount_for_the_same_days_is_met() -> None:
    """Nothing more is said then."""
    assert compared(STATED, COMPUTED) == ["  met"]


def test_a_finer_amount_is_met_by_its_rounding() -> None:
    """A bill is in whole coins, a file in hundred-thousandths."""
    assert compared(replace(STATED, amount=Decimal("22.07567")), COMPUTED) == ["  met, rounded to 22.08 USD"]


def test_additional_charges_may_be_within_the_amount_or_besides() -> None:
    """The format does not say; which of them is met is told."""
    stated = replace(STATED, amount=Decimal("20.08"), additional=Decimal(2))

    assert compared(stated, COMPUTED) == ["  met with the additional charges"]
    assert compared(replace(STATED, additional=Decimal(2)), COMPUTED) == ["  met"]


def test_the_same_energy_leaves_the_price() -> None:
    """Both mean prices are told, as the file has no tariff to compare."""
    computed = replace(COMPUTED, total=Decimal("28.11"))

    assert compared(STATED, computed) == [
        "  not met: the computed bill is 6.03 USD more",
        "    energy: the same",
        (
            "    price: unknown, the file names no tariff; "
            "mean with all charges: stated 0.11064 USD a kWh, computed 0.14086 USD a kWh"
        ),
    ]


def test_a_difference_that_comes_from_rounding_each_interval_is_told() -> None:
    """Of 0.555, 0.555 and 0.554 the utility made 0.56, 0.56 and 0.55; exact they are 1.664."""
    stated = replace(STATED, amount=Decimal("1.67"))
    costs = [Decimal("0.555"), Decimal("0.555"), Decimal("0.554")]
    computed = replace(COMPUTED, total=Decimal("1.66"))

    told = (
        "    rounding: the stated bill is the sum of the costs of 3 intervals, each rounded by itself; "
        "not rounded they come to 1.664 USD"
    )
    assert list(comparison_lines(stated, computed, DAYS, costs))[-1] == told
    for other in (costs[1:], [Decimal("1.67")], []):
        assert not any("rounding" in line for line in comparison_lines(stated, computed, DAYS, other))


def test_other_energy_has_its_share_at_the_stated_mean_price() -> None:
    """The shares of energy and price are the whole difference."""
    stated = StatedBill(Decimal(20), energy_kwh=Decimal(200), currency_code="USD", tariff="E-1")
    computed = replace(COMPUTED, total=Decimal(24), energy_kwh=Decimal("210.5"))

    assert compared(stated, computed) == [
        "  not met: the computed bill is 4.00 USD more",
        "    energy: 10.5 kWh more, 1.05 USD at the stated mean price; the rest is 2.95",
        (
            "    price: of E-1, which the file only names; "
            "mean with all charges: stated 0.10000 USD a kWh, computed 0.11401 USD a kWh"
        ),
    ]


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ((date(2013, 12, 1), date(2014, 1, 1)), "stated is 2013-12-01 up to 2014-01-01"),
        (None, "stated is none of whole days"),
    ],
)
def test_another_period_is_said_whether_the_amount_is_met_or_not(days: tuple[date, date] | None, told: str) -> None:
    """The same amount of other days may be a coincidence."""
    lines = compared(STATED, replace(COMPUTED, total=Decimal("22.07")), days)
    met = compared(STATED, COMPUTED, days)

    assert lines[0] == "  not met: the computed bill is 0.01 USD less"
    assert lines[1] == met[1] == f"    period: does not match, {told}"
    assert len(met) == 2


def test_readings_that_do_not_reach_over_the_period_are_said() -> None:
    """Whether the amount is met or not."""
    reach = (date(2014, 1, 1), date(2014, 1, 10))

    assert compared(STATED, replace(COMPUTED, readings_reach=reach)) == [
        "  met",
        "    period: the file has readings of 2014-01-01 up to 2014-01-10 only",
    ]


def test_energy_that_is_not_stated_is_said_to_be_unknown() -> None:
    """No share is made up."""
    lines = compared(replace(STATED, energy_kwh=None), replace(COMPUTED, total=Decimal(20), energy_kwh=Decimal(0)))

    assert lines == [
        "  not met: the computed bill is 2.08 USD less",
        "    energy: not stated, so it cannot be told apart from the price",
        "    price: unknown, the file names no tariff; mean with all charges: no energy",
    ]


def test_amounts_of_two_currencies_are_not_compared() -> None:
    """Their difference would be no money."""
    assert compared(replace(STATED, currency_code="EUR"), COMPUTED) == [
        "  not to be compared: the file's amounts are in EUR, the tariff's in USD"
    ]


def test_what_the_file_states_is_one_line() -> None:
    """All that it says, and nothing that it does not."""
    full = replace(STATED, additional=Decimal("1.5"), tariff="E-1")

    assert stated_line(full, DAYS, [Decimal("22.05567"), Decimal(0)]) == (
        "stated in the file for 2014-01-01 up to 2014-01-29: bill 22.08 USD, additional charges 1.50, "
        "energy 199.563 kWh, costs of 2 intervals 22.05567, tariff E-1"
    )
    assert stated_line(StatedBill(Decimal(1)), None, []) == "stated in the file: bill 1.00 of a currency not named"
