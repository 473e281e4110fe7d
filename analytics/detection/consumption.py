"""Whether a meter uses much more than in the same hours of other days, or nothing where it always used something.

Hours are added up as readings come, and judged when the first reading of a later one is there. Which hour of the day
one is, and of which day, is told by the clock of its site. What is learnt forgets: each day moves the mean of an hour a
fifth of the way, by at most what is high, so that a lasting change becomes usual within days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from analytics.stream.learnt_columns import LearntColumns
from common.reading_columns import Numbers, Truths
from common.reading_location import Integers

HOUR_MS = 3_600_000
DAY_HOURS = 24
WEIGHT = 0.2
# An hour of which more is missing is not judged.
_COVERED_SHARE = 0.9


@dataclass(slots=True)
class Consumption(LearntColumns):
    """The state, a row a device: the hour that is being added up, its local day so far, and what hours usually are.

    `local_day` is the number of a day; `some_hours` and `zero_hours` count hours in a row with something and with
    nothing. The last two have a column for each hour of the day: its mean, kWh, and how many days it was learnt of.
    """

    hour_start_ms: Integers
    hour_kwh: Numbers
    covered_ms: Integers
    local_day: Integers
    day_kwh: Numbers
    some_hours: Integers
    zero_hours: Integers
    mean_kwh: Numbers
    learnt_days: Integers

    WIDTHS: ClassVar[Mapping[str, int]] = {"mean_kwh": DAY_HOURS, "learnt_days": DAY_HOURS}


class HighLimits(NamedTuple):
    """The thresholds of each row: in per cent of a mean of so many days, and over it; and that of a whole day."""

    percent: Numbers
    minimum_days: Numbers
    minimum_kwh: Numbers
    day_kwh: Numbers


class ZeroLimits(NamedTuple):
    """The thresholds of each row: hours in a row with something before, and with nothing now."""

    usual_hours: Numbers
    zero_hours: Numbers


class LocalHours(NamedTuple):
    """Which hour of the day, 0 to 23, and which day an instant is at each site."""

    hour: Integers
    day: Integers


class JudgedHours(NamedTuple):
    """What hours that are over say; `measured_kwh` is that of the hour, or of the day where its limit is passed."""

    is_high: Truths
    is_zero: Truths
    has_some: Truths
    measured_kwh: Numbers
    expected_kwh: Numbers


def energy_kwh(taken_kwh: Numbers, power_kw: Numbers, interval_ms: Integers) -> Numbers:
    """What each reading used: what it told, else its power by its time; NaN where it told neither."""
    by_power = np.maximum(power_kw, 0) * interval_ms / HOUR_MS
    used: Numbers = np.where(taken_kwh > 0, taken_kwh, by_power)
    return used


def add(state: Consumption, rows: Integers, start_ms: Integers, interval_ms: Integers, used_kwh: Numbers) -> None:
    """Adds one reading of each row to its hour; a later hour begins anew."""
    hour_ms = start_ms // HOUR_MS * HOUR_MS
    is_same = hour_ms == state.hour_start_ms[rows]
    state.hour_kwh[rows] = np.where(is_same, state.hour_kwh[rows], 0.0) + used_kwh
    state.covered_ms[rows] = np.where(is_same, state.covered_ms[rows], 0) + interval_ms
    state.hour_start_ms[rows] = hour_ms


def ended(state: Consumption, rows: Integers, start_ms: Integers) -> Integers:
    """The places of the rows whose hour is over by a reading from an instant on, and can be judged."""
    before_ms = state.hour_start_ms[rows]
    is_over = (before_ms > 0) & (start_ms >= before_ms + HOUR_MS)
    return np.flatnonzero(is_over & (state.covered_ms[rows] >= _COVERED_SHARE * HOUR_MS))


def judge(state: Consumption, rows: Integers, local: LocalHours, high: HighLimits, zero: ZeroLimits) -> JudgedHours:
    """Judges the hour of each row, which is over, and learns from it."""
    kwh, hour = state.hour_kwh[rows], local.hour
    mean, days = state.mean_kwh[rows, hour], state.learnt_days[rows, hour]
    limit = mean * high.percent / 100
    is_unusual = (days >= high.minimum_days) & (kwh > limit) & (kwh - mean > high.minimum_kwh)
    day_kwh = np.where(state.local_day[rows] == local.day, state.day_kwh[rows], 0.0) + kwh
    is_day_high = day_kwh > high.day_kwh
    state.local_day[rows], state.day_kwh[rows] = local.day, day_kwh
    is_nothing = kwh == 0
    # Who begins anew has not always used something.
    in_a_row = np.where(state.zero_hours[rows] > 0, 1, state.some_hours[rows] + 1)
    some = np.where(is_nothing, state.some_hours[rows], in_a_row)
    nothing = np.where(is_nothing, state.zero_hours[rows] + 1, 0)
    state.some_hours[rows], state.zero_hours[rows] = some, nothing
    is_zero = is_nothing & (some >= zero.usual_hours) & (nothing >= zero.zero_hours)
    learnt = np.where(is_unusual, np.maximum(limit, mean), kwh)
    state.mean_kwh[rows, hour] = np.where(days == 0, kwh, mean + WEIGHT * (learnt - mean))
    state.learnt_days[rows, hour] = days + 1
    return JudgedHours(
        is_unusual | is_day_high,
        is_zero,
        ~is_nothing,
        np.where(is_unusual | ~is_day_high, kwh, day_kwh),
        np.where(is_unusual | ~is_day_high, mean, high.day_kwh),
    )
