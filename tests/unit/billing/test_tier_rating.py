"""Prices that change with the amount of energy: worked examples of each way to count."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from billing.tariffs.rated_line import LineKind
from billing.tariffs.tariff import TierAllowance, TierCounter, TierRules, TierVolume
from tests.unit.billing.month_cases import STEPPED, billed, evening, rated, shown, tariff, used

GRADUATED = tariff(STEPPED)
WHOLE = replace(GRADUATED, tier_rules=TierRules(volume=TierVolume.WHOLE))
DAILY = replace(GRADUATED, tier_rules=TierRules(allowance=TierAllowance.DAY))


def test_what_lies_above_an_amount_has_the_next_price() -> None:
    """350 kWh: 100 at 0.10 are 10.00, 200 at 0.20 are 40.00, 50 at 0.40 are 20.00; together 70.00."""
    quarters = [used("2026-01-05T00:00", "80"), used("2026-01-06T00:00", "80"), used("2026-01-07T00:00", "190")]

    assert shown(rated(quarters, GRADUATED)) == [
        (LineKind.ENERGY, "flat", 1, "100", "0.1"),
        (LineKind.ENERGY, "flat", 2, "200", "0.2"),
        (LineKind.ENERGY, "flat", 3, "50", "0.4"),
    ]
    assert billed(quarters, GRADUATED).net == Decimal("70.00")


def test_an_amount_itself_belongs_to_the_lower_tier() -> None:
    """Exactly 100 kWh are all at 0.10, and one milliwatt-hour more is at 0.20."""
    at_bound = [used("2026-01-05T00:00", "60"), used("2026-01-05T01:00", "40"), used("2026-01-05T02:00", "0")]
    above = [*at_bound, used("2026-01-05T03:00", "0.000001")]

    assert shown(rated(at_bound, GRADUATED)) == [(LineKind.ENERGY, "flat", 1, "100", "0.1")]
    assert shown(rated(above, GRADUATED))[1:] == [(LineKind.ENERGY, "flat", 2, "0.000001", "0.2")]


def test_a_reading_counts_in_the_tier_it_begins_in() -> None:
    """Of three readings the second reaches from the first tier into the second."""
    quarters = [used("2026-01-05T00:00", "80"), used("2026-01-06T00:00", "80"), used("2026-01-07T00:00", "40")]

    assert [(line.tier, line.reading_count) for line in rated(quarters, GRADUATED)] == [(1, 2), (2, 1)]


@pytest.mark.parametrize(("kwh", "tier", "amount"), [("100", 1, "10.00"), ("101", 2, "20.20"), ("350", 3, "140.00")])
def test_by_whole_volume_all_energy_has_the_price_that_the_total_reaches(kwh: str, tier: int, amount: str) -> None:
    """101 kWh at 0.20 are 20.20, the first hundred included."""
    quarters = [used("2026-01-05T00:00", "50"), used("2026-01-06T00:00", str(int(kwh) - 50))]

    assert [(line.tier, str(line.quantity.normalize().quantize(1))) for line in rated(quarters, WHOLE)] == [(tier, kwh)]
    assert billed(quarters, WHOLE).net == Decimal(amount)


def test_a_daily_allowance_begins_anew_at_the_local_midnight() -> None:
    """120 kWh on each of two days: 200 kWh at 0.10 and 40 at 0.20."""
    quarters = [used("2026-01-05T10:00", "120"), used("2026-01-06T00:00", "120")]

    assert shown(rated(quarters, DAILY)) == [
        (LineKind.ENERGY, "flat", 1, "200", "0.1"),
        (LineKind.ENERGY, "flat", 2, "40", "0.2"),
    ]


def test_an_allowance_for_each_day_of_the_month_is_used_up_at_any_time_of_it() -> None:
    """31 days times 100 kWh are 3100 kWh, all of them used on one day."""
    rules = TierRules(allowance=TierAllowance.DAYS_OF_MONTH)
    quarters = [used("2026-01-05T10:00", "3100"), used("2026-01-06T00:00", "1")]

    assert shown(rated(quarters, replace(GRADUATED, tier_rules=rules))) == [
        (LineKind.ENERGY, "flat", 1, "3100", "0.1"),
        (LineKind.ENERGY, "flat", 2, "1", "0.2"),
    ]


def test_of_a_part_of_a_month_the_amounts_are_that_part() -> None:
    """Of 31 days ten: 100 kWh * 10/31 are 32.258065 kWh to the milliwatt-hour, 300 kWh * 10/31 are 96.774194."""
    lines = rated([used("2026-01-05T10:00", "100")], GRADUATED, days=(date(2026, 1, 1), date(2026, 1, 11)))

    assert [str(line.quantity) for line in lines] == ["32.258065", "64.516129", "3.225806"]


def test_each_month_of_a_period_has_its_own_allowance() -> None:
    """150 kWh in January and in February: twice 100 at 0.10, twice 50 at 0.20."""
    quarters = [used("2026-01-05T10:00", "150"), used("2026-02-05T10:00", "150")]

    assert shown(rated(quarters, GRADUATED, days=(date(2026, 1, 1), date(2026, 3, 1)))) == [
        (LineKind.ENERGY, "flat", 1, "200", "0.1"),
        (LineKind.ENERGY, "flat", 2, "100", "0.2"),
    ]


def test_under_two_versions_each_has_the_allowance_of_its_days() -> None:
    """Ten days of January under the first, 21 under the second: 32.258065 and 67.741935 kWh at the first price."""
    second = tariff(STEPPED, "second")
    quarters = [used("2026-01-05T10:00", "90"), used("2026-01-20T10:00", "90")]

    lines = rated(quarters, GRADUATED, second, changes=["2026-01-11T00:00"])

    assert [(line.tariff.tariff_id, line.tier, str(line.quantity)) for line in lines] == [
        ("t", 1, "32.258065"),
        ("t", 2, "57.741935"),
        ("second", 1, "67.741935"),
        ("second", 2, "22.258065"),
    ]


def test_all_energy_moves_on_to_the_next_step_or_that_of_each_price_by_itself() -> None:
    """80 kWh at rest, then 40 at the peak: together they pass 100, neither does alone."""
    quarters = [used("2026-01-05T10:00", "80"), used("2026-01-05T18:00", "40")]
    together = tariff(evening("0.30", "0.10", peak_steps=[("100", "0.50")]))
    apart = replace(together, tier_rules=TierRules(counter=TierCounter.PRICE))

    assert shown(rated(quarters, together)) == [
        (LineKind.ENERGY, "rest", 1, "80", "0.1"),
        (LineKind.ENERGY, "peak", 1, "20", "0.3"),
        (LineKind.ENERGY, "peak", 2, "20", "0.5"),
    ]
    assert shown(rated(quarters, apart)) == [
        (LineKind.ENERGY, "rest", 1, "80", "0.1"),
        (LineKind.ENERGY, "peak", 1, "40", "0.3"),
    ]


def test_a_price_may_be_less_than_nothing() -> None:
    """At -0.05 the grid pays for 10 kWh."""
    negative = tariff(replace(STEPPED, price_per_kwh=Decimal("-0.05")))

    assert billed([used("2026-01-05T10:00", "10")], negative).total == Decimal("-0.50")
