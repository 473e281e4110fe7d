"""The price of a quarter-hour: from which load it follows, and what a person may set instead."""

from dataclasses import replace
from decimal import Decimal

import pytest

from billing.prices.price_forecast import forecast
from billing.prices.price_override import PriceOverride, override_at
from billing.prices.price_policy import PricePolicy
from billing.prices.region_price import (
    LoadWindow,
    PriceSource,
    RegionPrice,
    first_open_start,
    never_fixed,
    next_price,
    usable_window,
)
from billing.tariffs.tariff import QUARTER_MS

NOON_MS = 1_767_268_800_000
POLICY = PricePolicy("Pune-East", 0, "INR", Decimal("5.00"), "jo")


def window(ended_quarters_ago: int, load: str | None, covered: str = "100") -> LoadWindow:
    """A window that ended so many quarters before noon."""
    end_ms = NOON_MS - ended_quarters_ago * QUARTER_MS
    load_percent = None if load is None else Decimal(load)
    return LoadWindow("Pune-East", end_ms - QUARTER_MS, end_ms, 1, load_percent, Decimal(covered))


def price_after(before: RegionPrice | None, load: str | None, override: PriceOverride | None = None) -> RegionPrice:
    """The price of noon, or of the quarter after `before`, by a load."""
    start_ms = NOON_MS if before is None else before.end_ms
    heard = None
    if load is not None:
        end_ms = start_ms - 2 * QUARTER_MS
        heard = LoadWindow("Pune-East", end_ms - QUARTER_MS, end_ms, 1, Decimal(load), Decimal(100))
    return next_price(POLICY, before, heard, override, start_ms=start_ms, fix_ms=start_ms - 300_000)


def override(price: str, start_ms: int, end_ms: int | None = None, create_ms: int = 0) -> PriceOverride:
    """A price that jo has set."""
    reason = "a cold spell is coming"
    return PriceOverride(f"o-{price}", "Pune-East", "INR", Decimal(price), start_ms, end_ms, reason, "jo", create_ms)


def test_a_price_follows_from_the_newest_window_that_ended_two_intervals_before() -> None:
    """So there was time to close it, and everybody knows the price in time."""
    windows = [window(1, "95"), window(2, "60"), window(3, "10")]

    assert usable_window(windows, NOON_MS, POLICY) == window(2, "60")


@pytest.mark.parametrize(
    "unusable",
    [window(9, "60"), window(2, None), window(2, "60", covered="49.9")],
    ids=["ended two hours before", "no capacity", "too few meters"],
)
def test_a_window_that_says_nothing_of_now_does_not_count(unusable: LoadWindow) -> None:
    """Then an older one that does is taken, or none."""
    assert usable_window([unusable], NOON_MS, POLICY) is None
    assert usable_window([unusable, window(4, "30")], NOON_MS, POLICY) == window(4, "30")


def test_the_first_price_is_that_of_the_band_its_load_is_in() -> None:
    """80 % of the capacity: 5.00 times 1.10."""
    price = price_after(None, "80")

    assert (price.per_kwh, price.source, price.name) == (Decimal("5.5"), PriceSource.LOAD, "high load")
    assert price.reason == "high load: 80 % of the capacity"


def test_a_band_that_was_just_entered_is_kept_for_an_interval() -> None:
    """Entered at noon, it may be left from a quarter past on."""
    noon = price_after(None, "80")
    quarter_past = price_after(noon, "10")

    assert (noon.name, quarter_past.name) == ("high load", "very low load")
    held = replace(POLICY, hold_minutes=30)
    low_ms = quarter_past.end_ms - 3 * QUARTER_MS
    low = LoadWindow("Pune-East", low_ms, low_ms + QUARTER_MS, 1, Decimal(10), Decimal(100))
    still = next_price(held, noon, low, None, start_ms=noon.end_ms, fix_ms=0)
    assert (still.name, still.band_since_ms) == ("high load", NOON_MS)


def test_without_load_the_price_stays_for_two_hours_and_then_is_the_base_price() -> None:
    """The last window ended 30 minutes before noon, so the price of 13:30 is the last that follows from it."""
    price = price_after(None, "80")
    sources = []
    for _ in range(8):
        price = price_after(price, None)
        sources.append((price.source, price.per_kwh))

    assert sources == [(PriceSource.HELD, Decimal("5.5"))] * 6 + [(PriceSource.BASE, Decimal("5.00"))] * 2


def test_without_any_load_the_price_is_the_base_price() -> None:
    """A region whose load nobody knows has a price all the same."""
    assert price_after(None, None).per_kwh == Decimal("5.00")
    assert never_fixed(POLICY, NOON_MS, NOON_MS + 1).source is PriceSource.BASE


def test_what_a_person_sets_pauses_the_automatic_price_and_does_not_forget_it() -> None:
    """Before, during and after a price of 9.00 for one quarter."""
    before = price_after(None, "80")
    during = price_after(before, "80", override("9.00", before.end_ms))
    after = price_after(during, "80")

    assert [price.per_kwh for price in (before, during, after)] == [Decimal("5.5"), Decimal("9.00"), Decimal("5.5")]
    assert (during.source, during.reason) == (PriceSource.OVERRIDE, "set by jo: a cold spell is coming")
    assert (during.override_id, after.override_id) == ("o-9.00", "")
    assert (during.band, during.band_since_ms) == (before.band, before.band_since_ms)


def test_a_change_too_small_is_not_taken_but_a_new_policy_is() -> None:
    """A base of 5.05 is one percent more: as a load band it would not be taken, as what somebody decided it is."""
    before = price_after(None, "60")
    changed = replace(POLICY, base_per_kwh=Decimal("5.05"), start_ms=before.end_ms)
    heard = window(1, "60")
    after = next_price(changed, before, heard, None, start_ms=before.end_ms, fix_ms=0)
    small = replace(POLICY, bands=(POLICY.bands[0], POLICY.bands[1]._replace(factor=Decimal("0.81"))))
    first = next_price(small, None, window(2, "10"), None, start_ms=NOON_MS, fix_ms=0)
    second = next_price(small, first, window(1, "40"), None, start_ms=first.end_ms, fix_ms=0)

    assert after.per_kwh == Decimal("5.05")
    assert (first.per_kwh, second.per_kwh, second.name) == (Decimal(4), Decimal(4), "low load")


def test_of_several_overrides_the_one_created_last_counts() -> None:
    """For as long as it lasts."""
    long, short = override("8.00", 0, None, create_ms=1), override("9.00", 100, 200, create_ms=2)

    assert override_at([short, long], 99) == long
    assert override_at([short, long], 100) == short
    assert override_at([short, long], 200) == long
    assert override_at([short], 200) is None


def test_a_removed_override_ends_where_nothing_is_fixed_yet() -> None:
    """One that had not begun was never the price of anything, and one that is over stays as it was."""
    running, ahead, over = override("8.00", 0), override("8.00", 900), override("8.00", 0, 100)

    ended = [one.removed(500, 400, "al", "the cold is over").end_ms for one in (running, ahead, over)]

    assert ended == [500, 900, 100]
    assert override_at([ahead.removed(500, 400, "al", "the cold is over")], 900) is None


def test_a_removed_override_keeps_the_end_it_had_and_who_removed_it() -> None:
    """So it is still the same as what was asked for, and not the same as one of another end."""
    asked = override("8.00", 0, 900)
    removed = asked.removed(500, 400, "al", "the cold is over")

    assert (removed.end_ms, removed.first_end_ms, removed.remove_ms, removed.removed_by) == (500, 900, 400, "al")
    assert removed.is_same_as(replace(asked, create_ms=7))
    assert not removed.is_same_as(replace(asked, end_ms=500))
    assert not removed.is_same_as(replace(asked, end_ms=None))


def test_a_forecast_knows_what_a_person_has_set_already() -> None:
    """Of three quarters of 5.00 the middle one is set to -1.00, and the fixed first one stays."""
    day_ms = 96 * QUARTER_MS
    yesterday = [
        replace(never_fixed(POLICY, NOON_MS - day_ms + place * QUARTER_MS, 0), per_kwh=Decimal(5)) for place in range(3)
    ]
    now = never_fixed(POLICY, NOON_MS, 0)
    overrides = [override("-1.00", NOON_MS, NOON_MS + 2 * QUARTER_MS)]

    found = forecast([*yesterday, now], NOON_MS, 3, overrides)

    assert [(one.per_kwh, one.is_fixed, one.override_id, one.sample_count) for one in found] == [
        (Decimal(5), True, "", 1),
        (Decimal(-1), False, "o--1.00", 0),
        (Decimal(5), False, "", 1),
    ]


@pytest.mark.parametrize(
    ("seconds_past_noon", "quarters"), [(0, 1), (594, 1), (596, 2), (899, 2)], ids=["0:00", "9:54", "9:56", "14:59"]
)
def test_what_may_be_fixed_cannot_be_set_any_more(seconds_past_noon: int, quarters: int) -> None:
    """Prices are fixed 300 s before; 5 s more are for clocks that differ."""
    assert first_open_start(NOON_MS + seconds_past_noon * 1000, 300_000) == NOON_MS + quarters * QUARTER_MS
