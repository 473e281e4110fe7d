"""What a closed window says: sums, load, percent and share, and when it says something new."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analytics.windows.region_window import (
    WINDOW_MS,
    LoadRange,
    RegionWindow,
    WindowSums,
    closable_end_ms,
    hours_of,
    next_version,
    range_of,
    window_start_ms,
)

START_MS = 1_767_225_600_000
HOURS_MS = 3_600_000

WINDOW = RegionWindow(
    region="North",
    start_ms=START_MS,
    version=1,
    sums=WindowSums(
        import_milliwatt_hours=30_000_001,
        export_milliwatt_hours=5_000_000,
        reporting_meter_count=2,
        covered_ms=1_350_000,
    ),
    meter_count=3,
    capacity_milliwatts=200_000_000,
    complete_through_ms=START_MS + WINDOW_MS + 60_000,
    close_ms=START_MS + WINDOW_MS + 61_000,
)


def test_the_mean_load_is_import_less_export_over_the_quarter_hour() -> None:
    """25.000001 kWh in a quarter of an hour."""
    assert WINDOW.mean_load_kw == 100.000004


def test_the_load_is_told_in_percent_of_the_capacity() -> None:
    """Negative where more is given than taken."""
    giving = replace(WINDOW, sums=WindowSums(0, 25_000_000, 1, WINDOW_MS))

    assert WINDOW.load_percent == 50.000002
    assert giving.load_percent == -50.0


def test_without_a_capacity_there_is_no_percent() -> None:
    """The load is there all the same."""
    window = replace(WINDOW, capacity_milliwatts=None)

    assert (window.load_percent, window.mean_load_kw) == (None, 100.000004)


def test_a_region_that_fell_silent_has_no_percent_and_no_share() -> None:
    """Unknown is not zero, so nobody makes a price of it."""
    silent = replace(WINDOW, sums=WindowSums())

    assert (silent.load_percent, silent.covered_share, silent.sums.reporting_meter_count) == (None, 0.0, 0)


def test_a_load_of_nothing_that_was_measured_is_a_load() -> None:
    """Zero is a value."""
    idle = replace(WINDOW, sums=WindowSums(0, 0, 3, 3 * WINDOW_MS))

    assert (idle.load_percent, idle.covered_share) == (0.0, 1.0)


def test_the_share_is_of_the_time_of_all_meters() -> None:
    """One and a half quarter-hours of three."""
    assert WINDOW.covered_share == 0.5
    assert replace(WINDOW, meter_count=0).covered_share == 0.0


@pytest.mark.parametrize(
    ("through_ms", "end_ms"),
    [
        (START_MS + 59_999, START_MS - WINDOW_MS),
        (START_MS + 60_000, START_MS),
        (START_MS + WINDOW_MS + 59_999, START_MS),
        (START_MS + WINDOW_MS + 60_000, START_MS + WINDOW_MS),
    ],
)
def test_a_window_may_be_closed_when_the_lateness_is_over(through_ms: int, end_ms: int) -> None:
    """By what is complete, not by a clock."""
    assert closable_end_ms(through_ms, 60_000) == end_ms


def test_windows_are_aligned_to_utc_before_1970_too() -> None:
    """Rounded down."""
    assert window_start_ms(START_MS + WINDOW_MS - 1) == START_MS
    assert window_start_ms(-1) == -WINDOW_MS


def test_the_same_sums_are_no_news() -> None:
    """Whatever else was found: other capacities, other meters that sent nothing, a later instant."""
    again = replace(WINDOW, meter_count=4, capacity_milliwatts=None, complete_through_ms=START_MS * 2, close_ms=1)

    assert next_version(WINDOW, again) is None


@pytest.mark.parametrize(
    "change",
    [{"import_milliwatt_hours": 1}, {"export_milliwatt_hours": 1}, {"reporting_meter_count": 3}, {"covered_ms": 1}],
)
def test_any_other_sum_is_the_next_version(change: dict[str, int]) -> None:
    """With all that was found now."""
    again = replace(WINDOW, sums=replace(WINDOW.sums, **change), close_ms=7)

    assert next_version(replace(WINDOW, version=4), again) == replace(again, version=5)


def test_an_hour_is_its_four_windows_together() -> None:
    """Sums add up; a mean is over the hour; the meters are those of the window that heard most."""
    parts = [replace(WINDOW, start_ms=START_MS + number * WINDOW_MS, version=number + 1) for number in range(4)]
    parts[2] = replace(parts[2], sums=replace(parts[2].sums, reporting_meter_count=3), complete_through_ms=5)
    parts[3] = replace(parts[3], capacity_milliwatts=400_000_000)

    (hour,) = hours_of(parts)

    assert (hour.start_ms, hour.end_ms, hour.version) == (START_MS, START_MS + HOURS_MS, 4)
    assert (hour.sums.import_milliwatt_hours, hour.sums.reporting_meter_count) == (120_000_004, 3)
    assert (hour.mean_load_kw, hour.load_percent, hour.covered_share) == (100.000004, 25.000001, 0.5)
    assert hour.complete_through_ms == 5


def test_a_window_that_is_not_closed_is_missing_from_the_share_of_its_hour_only() -> None:
    """The mean is over what is known."""
    parts = [WINDOW, replace(WINDOW, start_ms=START_MS + HOURS_MS - WINDOW_MS)]

    (hour,) = hours_of(parts)

    assert (hour.mean_load_kw, hour.covered_share) == (100.000004, 0.25)


def test_windows_of_several_hours_are_told_apart() -> None:
    """By the hour of UTC in which they start."""
    starts_ms = [START_MS, START_MS + HOURS_MS - WINDOW_MS, START_MS + HOURS_MS]

    hours = hours_of(replace(WINDOW, start_ms=start_ms) for start_ms in starts_ms)

    assert [hour.start_ms for hour in hours] == [START_MS, START_MS + HOURS_MS]


def test_the_range_of_a_window_is_that_of_its_minutes() -> None:
    """A kilowatt-hour in a minute is sixty kilowatts; nothing measured has no range."""
    minutes = [WindowSums(1_000_000, 0, 1, 60_000), WindowSums(0, 500_000, 1, 60_000)]

    assert range_of(minutes) == LoadRange(-30_000_000, 60_000_000)
    assert range_of([]) is None


def test_an_hour_has_the_range_of_its_windows_where_all_have_one() -> None:
    """One whose readings are longer than a minute may hide a peak."""
    first = replace(WINDOW, load_range=LoadRange(1, 5))
    second = replace(WINDOW, start_ms=START_MS + WINDOW_MS, load_range=LoadRange(-2, 3))

    assert hours_of([first, second])[0].load_range == LoadRange(-2, 5)
    assert hours_of([first, replace(second, load_range=None)])[0].load_range is None


def test_another_range_is_another_version_but_not_one_that_was_never_known() -> None:
    """Readings that change places within a window change its peak."""
    before = replace(WINDOW, load_range=LoadRange(1, 5))

    changed = next_version(before, replace(WINDOW, load_range=LoadRange(1, 6)))
    assert changed is not None
    assert (changed.version, changed.load_range) == (2, LoadRange(1, 6))
    assert next_version(replace(WINDOW, load_range=None), before) is None
