"""Windows of a region's load: exact sums, honest shares, and nothing said of what nobody measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analytics.region_window import WINDOW_MS, Capacity, MeterUsage, RegionWindow, capacity_at, ended_windows, sum_up

KWH = 1_000_000
NOON_MS = 1_767_268_800_000


def window(*usages: MeterUsage, meters: int = 2, capacity_kw: float | None = 100.0) -> RegionWindow:
    """The window from noon on of a region with so many meters."""
    return sum_up(
        "North",
        NOON_MS,
        usages,
        meter_count=meters,
        capacity_kw=capacity_kw,
        complete_through_ms=NOON_MS + WINDOW_MS,
        close_ms=NOON_MS + WINDOW_MS,
    )


def test_the_load_is_import_less_export_over_a_quarter_of_an_hour() -> None:
    """12 kWh in and 2 kWh out in 15 minutes are 40 kW, of a capacity of 100 kW 40 percent."""
    found = window(MeterUsage(12 * KWH, None, WINDOW_MS), MeterUsage(None, 2 * KWH, WINDOW_MS))

    assert (found.import_milliwatt_hours, found.export_milliwatt_hours) == (12 * KWH, 2 * KWH)
    assert (found.mean_load_kw, found.load_percent, found.covered_share) == (40.0, 40.0, 1.0)


def test_a_region_may_give_more_than_it_takes() -> None:
    """Then its load is negative."""
    assert window(MeterUsage(None, 5 * KWH, WINDOW_MS)).load_percent == -20.0


@pytest.mark.parametrize(("usages", "capacity_kw"), [((), 100.0), ((MeterUsage(KWH, None, WINDOW_MS),), None)])
def test_a_load_is_not_told_where_no_meter_reported_or_no_capacity_is_set(
    usages: tuple[MeterUsage, ...], capacity_kw: float | None
) -> None:
    """Unknown is not zero."""
    assert window(*usages, capacity_kw=capacity_kw).load_percent is None


def test_a_meter_that_sends_twice_does_not_stand_in_for_one_that_is_silent() -> None:
    """Two meters, one of which reports, and its readings overlap: half is covered."""
    found = window(MeterUsage(KWH, None, 2 * WINDOW_MS))

    assert (found.reporting_meter_count, found.covered_share) == (1, 0.5)


def test_only_what_was_summed_up_makes_a_new_version() -> None:
    """Neither when it was made nor the capacity of then."""
    one = window(MeterUsage(KWH, None, WINDOW_MS))

    assert one.has_sums_of(replace(one, version=3, close_ms=1, complete_through_ms=2, capacity_kw=None))
    assert not one.has_sums_of(replace(one, import_milliwatt_hours=KWH + 1))
    assert not one.has_sums_of(replace(one, covered_ms=1))


def test_the_capacity_that_was_set_last_before_an_instant_counts() -> None:
    """From its very start, and none before the first."""
    capacities = [Capacity("North", 200.0, 20, "jo"), Capacity("North", 100.0, 10, "jo")]

    assert [capacity_at(capacities, instant) for instant in (9, 10, 19, 20)] == [None, 100.0, 100.0, 200.0]


def test_windows_that_have_ended_come_newest_first() -> None:
    """At 12:15 sharp the one from noon on has ended."""
    assert list(ended_windows(NOON_MS + WINDOW_MS, 2 * WINDOW_MS)) == [NOON_MS, NOON_MS - WINDOW_MS]
    assert ended_windows(NOON_MS + WINDOW_MS - 1, WINDOW_MS)[0] == NOON_MS - WINDOW_MS
