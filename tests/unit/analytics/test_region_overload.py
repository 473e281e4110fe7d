"""A region is overloaded when enough closed windows in a row say so, and not any more when the newest is well under."""

from __future__ import annotations

import pytest

from analytics.detection.region_overload import is_overloaded
from analytics.windows.region_window import WINDOW_MS, RegionWindow, WindowSums

CAPACITY_MILLIWATTS = 100_000_000


def windows(*percents: float | None) -> list[RegionWindow]:
    """Windows in a row, of a capacity of 100 kW; None: no capacity was set."""
    return [
        RegionWindow(
            region="North",
            start_ms=place * WINDOW_MS,
            version=1,
            sums=WindowSums(0 if percent is None else int(percent * 250_000), 0, 1, WINDOW_MS),
            meter_count=1,
            capacity_milliwatts=None if percent is None else CAPACITY_MILLIWATTS,
            complete_through_ms=0,
            close_ms=0,
        )
        for place, percent in enumerate(percents)
    ]


@pytest.mark.parametrize(
    ("percents", "says"),
    [
        ((95, 95), True),
        ((80, 95), None),
        ((95,), None),
        ((95, 90), None),
        ((95, 86), None),
        ((95, 84.9), False),
        ((10, 91, 92), True),
        ((None, 95), None),
        ((95, None), None),
        ((), None),
    ],
    ids=str,
)
def test_two_windows_in_a_row_over_the_limit_are_an_overload(
    percents: tuple[float | None, ...], says: bool | None
) -> None:
    """Over 90 per cent, that is, and it is over under 85; in between it is what it was."""
    found = is_overloaded(windows(*percents), raise_percent=90, clear_percent=85, consecutive_windows=2)

    assert found is says


def test_windows_with_a_gap_are_not_in_a_row() -> None:
    """What was between is not known."""
    some = windows(95, 95, 95)

    assert is_overloaded([some[0], some[2]], raise_percent=90, clear_percent=85, consecutive_windows=2) is None
