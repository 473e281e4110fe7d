"""How the voltage of a meter kept to EN 50160 over the last seven days: pure rules, a row a device.

EN 50160: of the means over ten minutes of a week 95 % lie within 10 % of the nominal voltage, and all of them within
+10 and -15 %. What was not measured is no part of the share; what is still to come of the day is, as good, so that the
share of a day does not jump at midnight. A day here is one of UTC, and the week the newest seven of them. Means are
counted by the day, so that a week costs a device 24 bytes and no reading is looked at twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analytics.stream.learnt_columns import LearntColumns
from common.reading_columns import Numbers, Truths
from common.reading_location import Integers

SLOT_MS = 600_000
DAY_MS = 86_400_000
WEEK_DAYS = 7
DAY_SLOTS = DAY_MS // SLOT_MS
WEEK_SLOTS = WEEK_DAYS * DAY_SLOTS

_BYTES = np.dtype(np.int64).itemsize


@dataclass(slots=True)
class VoltageWeeks(LearntColumns):
    """The state: the ten minutes that are being added up, and the days of the week before.

    `outside_by_day`, `beyond_by_day` and `measured_by_day` hold a count in each of their lowest seven bytes, by the
    number of the day since 1970 modulo 7; a day has 144 means. `newest_day` is the day that counts last.
    """

    slot_start_ms: Integers
    sum_v: Numbers
    count: Integers
    newest_day: Integers
    outside_by_day: Integers
    beyond_by_day: Integers
    measured_by_day: Integers

    def take_as_measured(self) -> None:
        """Takes all means of the days before the newest as measured, as releases did that did not count them."""
        counts = np.full((self.newest_day.size, _BYTES), DAY_SLOTS, np.uint8)
        counts[np.arange(self.newest_day.size), self.newest_day % WEEK_DAYS] = 0
        counts[:, WEEK_DAYS:] = 0
        self.measured_by_day = np.where(self.newest_day > 0, _whole(counts), 0)


class Band(NamedTuple):
    """The thresholds of each row: the band of 95 %, and the lower end of that of all; V."""

    low_v: Numbers
    high_v: Numbers
    lowest_v: Numbers


class Week(NamedTuple):
    """The rows in which ten minutes are over; how many means of their week lie outside the bands, and of how many.

    `coming_count` is how many are still to come of the last day.
    """

    is_over: Truths
    outside_count: Integers
    beyond_count: Integers
    measured_count: Integers
    coming_count: Integers


def follow(state: VoltageWeeks, start_ms: Integers, voltage_v: Numbers, band: Band) -> Week:
    """Takes one reading of each row, later than all before it."""
    slot_start_ms = start_ms - start_ms % SLOT_MS
    is_over = (state.count > 0) & (slot_start_ms > state.slot_start_ms)
    mean_v = state.sum_v / np.maximum(state.count, 1)
    # A week is that of the reading, so that days without any end it as well.
    _turn(state, np.maximum(start_ms // DAY_MS, state.newest_day))
    is_of_week = is_over & (state.slot_start_ms // DAY_MS > state.newest_day - WEEK_DAYS)
    day = state.slot_start_ms // DAY_MS % WEEK_DAYS
    is_outside = is_of_week & ((mean_v < band.low_v) | (mean_v > band.high_v))
    is_beyond = is_of_week & ((mean_v < band.lowest_v) | (mean_v > band.high_v))
    state.outside_by_day = _add(state.outside_by_day, day, is_outside)
    state.beyond_by_day = _add(state.beyond_by_day, day, is_beyond)
    state.measured_by_day = _add(state.measured_by_day, day, is_of_week)
    is_new = is_over | (state.count == 0)
    state.sum_v = np.where(is_new, voltage_v, state.sum_v + voltage_v)
    state.count = np.where(is_new, 1, state.count + 1)
    state.slot_start_ms = np.where(is_new, slot_start_ms, state.slot_start_ms)
    return Week(
        is_over,
        _sums(state.outside_by_day),
        _sums(state.beyond_by_day),
        _sums(state.measured_by_day),
        DAY_SLOTS - slot_start_ms % DAY_MS // SLOT_MS,
    )


def _turn(state: VoltageWeeks, day: Integers) -> None:
    """Forgets the days that are not of the week that ends with a day."""
    passed = np.minimum(day - state.newest_day, WEEK_DAYS)
    outside, beyond, measured = map(_bytes, (state.outside_by_day, state.beyond_by_day, state.measured_by_day))
    for later in range(1, int(passed.max(initial=0)) + 1):
        rows = np.flatnonzero(passed >= later)
        place = (state.newest_day[rows] + later) % WEEK_DAYS
        outside[rows, place] = beyond[rows, place] = measured[rows, place] = 0
    state.outside_by_day, state.beyond_by_day, state.measured_by_day = map(_whole, (outside, beyond, measured))
    state.newest_day = day


def _add(packed: Integers, day: Integers, is_one_more: Truths) -> Integers:
    counts = _bytes(packed)
    rows = np.flatnonzero(is_one_more)
    counts[rows, day[rows]] += 1
    return _whole(counts)


def _sums(packed: Integers) -> Integers:
    sums: Integers = _bytes(packed)[:, :WEEK_DAYS].sum(axis=1, dtype=np.int64)
    return sums


def _bytes(packed: Integers) -> npt.NDArray[np.uint8]:
    return packed.astype("<i8").view(np.uint8).reshape(-1, _BYTES)


def _whole(counts: npt.NDArray[np.uint8]) -> Integers:
    packed: Integers = np.ascontiguousarray(counts).view("<i8").reshape(-1).astype(np.int64)
    return packed
