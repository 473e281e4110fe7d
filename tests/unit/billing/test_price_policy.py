"""Bands of load: which one a load is in, and what keeps a price from flapping."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from billing.prices.price_policy import DEFAULT_BANDS, PriceBand, PricePolicy, policy_at
from billing.prices.price_rule_validation import policy_violations

POLICY = PricePolicy("Pune-East", 0, "INR", Decimal("5.00"), "jo")
VERY_LOW, LOW, NORMAL, HIGH, VERY_HIGH = range(5)


@pytest.mark.parametrize(
    ("load", "band", "price"),
    [
        ("-40", VERY_LOW, "4"),
        ("0", VERY_LOW, "4"),
        ("25", VERY_LOW, "4"),
        ("25.0001", LOW, "4.5"),
        ("50", LOW, "4.5"),
        ("50.1", NORMAL, "5"),
        ("75", NORMAL, "5"),
        ("75.1", HIGH, "5.5"),
        ("90", HIGH, "5.5"),
        ("90.1", VERY_HIGH, "6.25"),
        ("300", VERY_HIGH, "6.25"),
    ],
)
def test_each_load_has_its_band_and_price(load: str, band: int, price: str) -> None:
    """Base 5.00 times 0.80, 0.90, 1.00, 1.10 and 1.25; the bound itself is in the lower band."""
    assert POLICY.band_of(Decimal(load)) == band
    assert POLICY.price_of(band) == Decimal(price)


@pytest.mark.parametrize(
    ("load", "before", "after"),
    [
        ("90.1", HIGH, VERY_HIGH),
        ("89", VERY_HIGH, VERY_HIGH),
        ("88.1", VERY_HIGH, VERY_HIGH),
        ("88", VERY_HIGH, HIGH),
        ("74", VERY_HIGH, HIGH),
        ("73", VERY_HIGH, NORMAL),
        ("10", VERY_HIGH, VERY_LOW),
        ("95", VERY_LOW, VERY_HIGH),
    ],
)
def test_a_band_is_left_downwards_only_when_the_load_is_clear_of_it(load: str, before: int, after: int) -> None:
    """Two percentage points below where the band begins; upwards at once."""
    assert POLICY.next_band(Decimal(load), before, held_minutes=15) == after


@pytest.mark.parametrize("load", ["10", "99"])
def test_a_band_is_kept_for_as_long_as_the_policy_says(load: str) -> None:
    """In either direction."""
    assert POLICY.next_band(Decimal(load), NORMAL, held_minutes=0) == NORMAL
    assert POLICY.next_band(Decimal(load), NORMAL, held_minutes=15) != NORMAL


def test_a_price_stays_within_what_the_policy_allows() -> None:
    """At a base of 18.00 the highest band would be 22.50."""
    dear = PricePolicy("Pune-East", 0, "INR", Decimal(18), "jo")
    cheap = PricePolicy("Pune-East", 0, "INR", Decimal("0.60"), "jo")

    assert dear.price_of(VERY_HIGH) == Decimal(20)
    assert cheap.price_of(VERY_LOW) == Decimal("0.50")


def test_a_price_has_no_more_than_eight_decimals() -> None:
    """0.10000003 times 0.5 is 0.050000015, and half of the last one goes up."""
    bands = (PriceBand("one", None, Decimal("0.5")),)
    policy = PricePolicy("Pune-East", 0, "INR", Decimal("0.10000003"), "jo", bands, minimum_per_kwh=Decimal(0))

    assert policy.price_of(0) == Decimal("0.05000002")


@pytest.mark.parametrize(
    ("before", "after", "is_change"),
    [
        ("5.00", "5.09", False),
        ("5.00", "5.10", True),
        ("5.00", "4.90", True),
        ("0.20", "0.205", False),
        ("0.20", "0.21", True),
        ("0", "0.01", True),
    ],
)
def test_a_change_is_two_percent_or_a_hundredth_whichever_is_more(before: str, after: str, *, is_change: bool) -> None:
    """Of 5.00 two percent are 0.10; of 0.20 they are 0.004, less than 0.01."""
    assert POLICY.is_change(Decimal(before), Decimal(after)) is is_change


def test_the_newest_policy_that_has_begun_counts() -> None:
    """From its very start, and none before the first."""
    later = PricePolicy("Pune-East", 900_000, "INR", Decimal(6), "jo", DEFAULT_BANDS)
    early = PricePolicy("Pune-East", 100, "INR", Decimal(5), "jo", DEFAULT_BANDS)

    assert policy_at([later, early], 99) is None
    assert policy_at([later, early], 100) == early
    assert policy_at([later, early], 900_000) == later


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"base_per_kwh": Decimal(-1), "minimum_per_kwh": Decimal(-5)}, []),
        ({"bands": (PriceBand("wind", None, Decimal("-0.5")),)}, []),
        ({"base_per_kwh": Decimal(-1_000_001)}, ["policy.base_price_per_kwh"]),
        ({"minimum_per_kwh": Decimal(-1), "maximum_per_kwh": Decimal(-2)}, ["policy.maximum_price_per_kwh"]),
        ({"bands": (PriceBand("wind", None, Decimal("-100.1")),)}, ["policy.bands[0].factor"]),
    ],
)
def test_prices_and_factors_may_be_below_nothing(changes: dict[str, Any], fields: list[str]) -> None:
    """As far below as above; the maximum is still at least the minimum."""
    violations = policy_violations(replace(POLICY, **changes), "policy")

    assert [one.field for one in violations] == fields
