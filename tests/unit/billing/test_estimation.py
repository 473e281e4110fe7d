"""Gaps are filled by a line, by like days, and so that the register is met; to the milliwatt-hour."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.estimation import Gap, ReferenceDay, by_line, by_reference_days, gaps_between, scaled, whole
from billing.metering.metered_interval import MeteredInterval

QUARTER_MS = 900_000
MONDAY = date(2026, 3, 2)


def interval(place: int, energy: int | None, *, is_estimated: bool = False) -> MeteredInterval:
    """The quarter-hour of a place."""
    return MeteredInterval(place * QUARTER_MS, QUARTER_MS, energy, is_estimated=is_estimated)


def gap(first: int, end: int) -> Gap:
    """A gap from quarter-hour to quarter-hour."""
    return Gap(first * QUARTER_MS, end * QUARTER_MS, QUARTER_MS)


def test_gaps_are_what_no_interval_covers() -> None:
    """At the beginning, between and at the end; room for less than an interval is none."""
    found = gaps_between([interval(2, 1), interval(3, 1), interval(6, 1)], 0, 8 * QUARTER_MS, QUARTER_MS)

    assert found == [gap(0, 2), gap(4, 6), gap(7, 8)]
    assert gaps_between([interval(0, 1)], 0, QUARTER_MS + 1, QUARTER_MS) == []
    assert list(found[0].starts_ms) == [0, QUARTER_MS]


def test_two_hours_are_bridged_by_a_line() -> None:
    """Eight quarter-hours between 100 and 190 rise by ten each."""
    assert by_line(gap(1, 9), interval(0, 100), interval(9, 190)) == [110, 120, 130, 140, 150, 160, 170, 180]


def test_more_than_two_hours_are_not() -> None:
    """The ninth quarter-hour is too much."""
    assert by_line(gap(1, 10), interval(0, 100), interval(10, 190)) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, interval(2, 5)),
        (interval(0, 5), None),
        (interval(0, None), interval(2, 5)),
        (interval(0, 5, is_estimated=True), interval(2, 5)),
        (interval(0, 5), interval(3, 5)),
        (interval(0, 5), MeteredInterval(2 * QUARTER_MS, 2 * QUARTER_MS, 5)),
    ],
    ids=["nothing before", "nothing after", "not measured", "an estimate", "not beside it", "another length"],
)
def test_a_line_needs_good_neighbours(before: MeteredInterval | None, after: MeteredInterval | None) -> None:
    """Neither end of the line may be missing, estimated or of another kind."""
    assert by_line(gap(1, 2), before, after) is None


def day(offset: int, energies: dict[int, int]) -> ReferenceDay:
    """The day so many days from a Monday, its class by the calendar."""
    found = MONDAY + timedelta(days=offset)
    return ReferenceDay(found, found.weekday() < 5, energies)


def test_a_long_gap_takes_the_mean_of_the_three_latest_like_days() -> None:
    """Tuesday to Thursday stand for Friday; Monday is too old and the weekend is of another class."""
    days = [day(-1, {0: 900}), *(day(offset, {0: 10**offset, 15: offset}) for offset in range(4))]

    assert by_reference_days([0, 15], MONDAY + timedelta(days=4), days, is_workday=True) == [370, 2]


def test_weekends_stand_for_holidays() -> None:
    """A holiday on a Friday is estimated from weekend days."""
    days = [day(offset, {0: 5}) for offset in (-8, -2, -1)] + [day(offset, {0: 99}) for offset in range(3)]

    assert by_reference_days([0], MONDAY + timedelta(days=4), days, is_workday=False) == [5]


def test_two_like_days_are_too_few() -> None:
    """Nothing is made up where there is too little to go by."""
    assert by_reference_days([0], MONDAY + timedelta(days=4), [day(1, {0: 5}), day(2, {0: 5})], is_workday=True) is None


def test_a_day_that_lacks_a_minute_is_no_like_day() -> None:
    """The day on which the clock jumped from 2:00 to 3:00 says nothing of 2:30; the day before it does."""
    spring = {minute: 7 for minute in range(0, 1440, 15) if not 120 <= minute < 180}
    days = [day(offset, dict.fromkeys(range(0, 1440, 15), 1)) for offset in range(3)] + [day(3, spring)]

    assert by_reference_days([150], MONDAY + timedelta(days=4), days, is_workday=True) == [1]
    assert by_reference_days([180], MONDAY + timedelta(days=4), days, is_workday=True) == [3]


def test_a_minute_that_comes_twice_is_estimated_twice() -> None:
    """On the day that has 25 hours both of 2:30 get what 2:30 had."""
    days = [day(offset, {150: 6}) for offset in range(3)]

    assert by_reference_days([150, 150], MONDAY + timedelta(days=4), days, is_workday=True) == [6, 6]


def test_the_residue_goes_to_the_largest_and_of_equals_to_the_latest() -> None:
    """A third each of ten is three, and four for the last."""
    assert whole([Fraction(10, 3)] * 3) == [3, 3, 4]
    assert scaled([1, 2, 1], 10) == [2, 6, 2]
    assert scaled([0, 0, 0], 10) == [3, 3, 4]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=100), st.integers(0, 10**12))
def test_scaled_energies_add_up_to_the_register(energies: list[int], total: int) -> None:
    """Not a milliwatt-hour is lost or made, none is negative, and zeros stay zeros unless all are."""
    found = scaled(energies, total)

    assert sum(found) == total
    assert all(energy >= 0 for energy in found)
    if any(energies):
        assert all(after == 0 for before, after in zip(energies, found, strict=True) if before == 0)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 8))
def test_a_line_stays_between_its_ends(first: int, last: int, count: int) -> None:
    """No estimate of a line is outside its end points by more than the residue, and their sum is that of the line."""
    found = by_line(gap(1, count + 1), interval(0, first), interval(count + 1, last))

    assert found is not None
    assert abs(2 * sum(found) - count * (first + last)) <= 1
    assert all(min(first, last) <= energy <= max(first, last) + count for energy in found)


def test_a_total_below_zero_is_refused() -> None:
    """A register that fell scales nothing."""
    with pytest.raises(ValueError, match="not negative"):
        scaled([1], -1)
