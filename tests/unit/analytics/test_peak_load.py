"""When some devices together took the most."""

from __future__ import annotations

import random
from collections import Counter

from analytics.usage.measured_energy import Window
from analytics.usage.peak_load import Peak, TakenEnergy, peak_of

QUARTER_MS = 900_000


def taken(quarter: int, milliwatt_hours: int, covered_ms: int = QUARTER_MS) -> TakenEnergy:
    """What flowed in in a quarter-hour."""
    return TakenEnergy(Window(quarter * QUARTER_MS, (quarter + 1) * QUARTER_MS), milliwatt_hours, covered_ms)


def test_the_peak_is_that_of_all_devices_together() -> None:
    """Of none of them it was the greatest: 2 and 2 of another time are more than 3."""
    found = peak_of([taken(0, 3_000_000), taken(1, 2_000_000), taken(1, 2_000_000), taken(2, 3_000_000)])

    assert found == Peak(taken(1, 0).interval, 4_000_000, 16_000_000)


def test_the_earliest_of_equal_peaks_counts() -> None:
    """Whatever comes first."""
    found = peak_of([taken(5, 7), taken(2, 7), taken(3, 7)])

    assert found is not None
    assert found.interval == taken(2, 0).interval


def test_a_reading_that_lasts_longer_than_the_interval_has_its_own_length() -> None:
    """An hour of 4 kWh is a load of 4 kW, less than a quarter-hour of 1.5 kWh."""
    hour = taken(0, 4_000_000, 4 * QUARTER_MS)

    assert peak_of([hour]) == Peak(hour.interval, 4_000_000, 4_000_000)
    assert peak_of([hour, taken(1, 1_500_000)]) == Peak(taken(1, 0).interval, 1_500_000, 6_000_000)


def test_a_quarter_hour_with_gaps_is_not_made_greater() -> None:
    """What was not measured is not made up."""
    assert peak_of([taken(0, 1_000_000, 60_000)]) == Peak(taken(0, 0).interval, 1_000_000, 4_000_000)


def test_nothing_has_no_peak_and_zero_has_one() -> None:
    """A measured zero is a load."""
    assert peak_of([]) is None
    assert peak_of([taken(3, 0)]) == Peak(taken(3, 0).interval, 0, 0)


def test_it_is_what_adding_up_all_gives() -> None:
    """Of many devices, in any order."""
    chance = random.Random(3)
    some = [taken(chance.randrange(50), chance.randrange(10**6)) for _ in range(2000)]
    sums = Counter[int]()
    for one in some:
        sums[one.interval.start_ms] += one.milliwatt_hours

    found = peak_of(some)

    assert found is not None
    assert (found.interval.start_ms, found.milliwatt_hours) == max(sums.items(), key=lambda item: (item[1], -item[0]))
