"""What devices add up to over a period, how two periods differ, and who took the most."""

from __future__ import annotations

import itertools
import random

import pytest

from analytics.usage.measured_energy import Window
from analytics.usage.period_totals import (
    DeviceTotals,
    change_percent,
    difference,
    per_day,
    top_consumers,
    totals_of,
)

HOUR = Window(0, 3_600_000)


def device(
    device_id: str, taken: int | None = None, given: int | None = None, power_kw: float | None = None
) -> DeviceTotals:
    """A device with a reading that covers half of the period."""
    return DeviceTotals(device_id, 1, 0.5, taken, given, power_kw, power_kw)


def test_devices_add_up_exactly_whatever_their_order() -> None:
    """Energies are whole milliwatt-hours; the largest power tells whose it was, of several the first by id."""
    some = [device("c", 3, None, 7.0), device("a", 10**15, 5, 2.0), device("b", 1, 0, 7.0), device("d")]
    expected = totals_of(HOUR, 8, some)

    assert {totals_of(HOUR, 8, order) for order in itertools.permutations(some)} == {expected}
    assert (expected.in_milliwatt_hours, expected.out_milliwatt_hours) == (10**15 + 4, 5)
    assert (expected.maximum_power_kw, expected.maximum_power_device_id) == (7.0, "b")
    assert (expected.device_count, expected.reporting_device_count, expected.reading_count) == (8, 4, 4)


def test_a_device_without_a_reading_covers_nothing() -> None:
    """The share is the mean over all devices, those that are silent too."""
    assert totals_of(HOUR, 4, [device("a"), device("b")]).covered_share == 0.25


def test_what_nobody_measured_is_absent_and_a_measured_zero_is_there() -> None:
    """Neither energy, nor load, nor power."""
    nothing = totals_of(HOUR, 2, [device("a")])
    zero = totals_of(HOUR, 2, [device("a", 0, None, 0.0)])

    assert (nothing.in_milliwatt_hours, nothing.out_milliwatt_hours, nothing.mean_load_kw) == (None, None, None)
    assert (nothing.maximum_power_kw, nothing.maximum_power_device_id) == (None, "")
    assert (zero.in_milliwatt_hours, zero.mean_load_kw, zero.maximum_power_kw) == (0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("taken", "given", "load_kw"),
    [(2_000_000, None, 4.0), (2_000_000, 500_000, 3.0), (None, 1_000_000, -2.0), (0, 0, 0.0)],
)
def test_the_mean_load_is_what_flowed_in_less_what_flowed_out_over_the_period(
    taken: int | None, given: int | None, load_kw: float
) -> None:
    """Half an hour here."""
    assert totals_of(Window(0, 1_800_000), 1, [device("a", taken, given)]).mean_load_kw == load_kw


def test_the_mean_power_is_of_one_device_only() -> None:
    """Of several it is not known in how much of the time each measured it."""
    assert totals_of(HOUR, 1, [device("a", power_kw=3.0)]).mean_power_kw == 3.0
    assert totals_of(HOUR, 2, [device("a", power_kw=3.0)]).mean_power_kw is None


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        (200, 250, 25.0),
        (200, 150, -25.0),
        (200, 0, -100.0),
        (200, 200, 0.0),
        (0, 5, None),
        (0, 0, None),
        (None, 5, None),
        (5, None, None),
        (None, None, None),
    ],
)
def test_a_change_from_nothing_has_no_percentage(before: int | None, after: int | None, percent: float | None) -> None:
    """Neither 0 nor infinite: it is absent."""
    assert change_percent(before, after) == percent


def test_a_difference_needs_both() -> None:
    """And is exact."""
    assert (difference(10**15 + 1, 2), difference(0, 3)) == (1 - 10**15, 3)
    assert (difference(None, 3), difference(3, None)) == (None, None)


def test_the_energy_of_a_day_needs_to_know_whose_days_are_meant() -> None:
    """A day and a half of 3 is 2 a day."""
    assert per_day(3, 1.5) == 2.0
    assert (per_day(None, 1.5), per_day(3, None)) == (None, None)


def test_the_top_consumers_are_those_a_full_sort_would_give() -> None:
    """By energy, then id; who measured no energy is not among them, who measured none flowing is."""
    chance = random.Random(7)
    some = [device(f"m-{number:02}", chance.choice([None, 0, 1, 2, 3])) for number in range(40)]
    chance.shuffle(some)

    found = top_consumers(some, 10)

    measured = [one for one in some if one.in_milliwatt_hours is not None]
    assert found == sorted(measured, key=lambda one: (-(one.in_milliwatt_hours or 0), one.device_id))[:10]
    assert top_consumers([device("a"), device("b", 0)], 5) == [device("b", 0)]
