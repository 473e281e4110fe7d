"""Where the energy of days goes: its direction, slope, greatest and least day; a few outliers turn nothing round."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from itertools import combinations
from statistics import median
from typing import NamedTuple

DAYS_MINIMUM = 5
# Beyond so many standard deviations chance alone would be met once in twenty cases.
_SIGNIFICANT_DEVIATIONS = 1.959964


class TrendDirection(StrEnum):
    """By the names of the contract."""

    RISING = "RISING"
    FALLING = "FALLING"
    STEADY = "STEADY"
    UNKNOWN = "UNKNOWN"


class DayEnergy(NamedTuple):
    """What flowed in on a day."""

    day: date
    milliwatt_hours: int


class UsageTrend(NamedTuple):
    """The trend of some days; None stands for what too few of them say nothing of. Milliwatt-hours."""

    direction: TrendDirection
    change_per_day: float | None
    mean_day: float | None
    peak_day: date | None
    lowest_day: date | None


def usage_trend(days: Sequence[DayEnergy]) -> UsageTrend:
    """The trend of days that stand by date, not necessarily beside each other."""
    if not days:
        return UsageTrend(TrendDirection.UNKNOWN, None, None, None, None)
    return UsageTrend(
        direction=direction_of([day.milliwatt_hours for day in days]),
        change_per_day=_slope(days),
        mean_day=sum(day.milliwatt_hours for day in days) / len(days),
        peak_day=min(days, key=lambda day: (-day.milliwatt_hours, day.day)).day,
        lowest_day=min(days, key=lambda day: (day.milliwatt_hours, day.day)).day,
    )


def direction_of(energies: Sequence[int]) -> TrendDirection:
    """Where numbers go that stand in the order of time, by the test of Mann and Kendall.

    Each pair says up or down; the difference of both is beyond what chance makes of it, or it is not.
    """
    if len(energies) < DAYS_MINIMUM:
        return TrendDirection.UNKNOWN
    more = sum((later > earlier) - (later < earlier) for earlier, later in combinations(energies, 2))
    variance = _spread(len(energies)) - sum(_spread(count) for count in Counter(energies).values())
    # One less, for it goes in steps.
    if not variance or (abs(more) - 1) / math.sqrt(variance) <= _SIGNIFICANT_DEVIATIONS:
        return TrendDirection.STEADY
    return TrendDirection.RISING if more > 0 else TrendDirection.FALLING


def _spread(count: int) -> float:
    return count * (count - 1) * (2 * count + 5) / 18


def _slope(days: Sequence[DayEnergy]) -> float | None:
    slopes = [
        (later.milliwatt_hours - earlier.milliwatt_hours) / (later.day - earlier.day).days
        for earlier, later in combinations(days, 2)
    ]
    return median(slopes) if slopes else None
