"""What the power of a device usually is, learnt from its readings, and what is unusual: pure rules, a row a device.

The usual is a mean and a variance that forget: each reading that is not unusual moves them by a fifth of the way. What
is unusual the same way for long enough is the new usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from analytics.stream.learnt_columns import LearntColumns
from common.reading_columns import Numbers, Truths
from common.reading_location import Integers

# New = 0.8 of the old and 0.2 of the reading; nothing is unusual before ten readings.
WEIGHT = 0.2
WARM_UP_READINGS = 10
# A lasting change: so many readings in a row.
LASTING_READINGS = 30
# No power at all is one only after a day of minutes: an outage of hours is no less one for lasting.
LASTING_OUTAGE_READINGS = 1440
_OUTAGE_SIGN = -2
# What a percentage of next to nothing is measured by.
SMALLEST_BASELINE_KW = 0.1


@dataclass(slots=True)
class Baselines(LearntColumns):
    """The state, a row a device: what it usually is, the run of unusual readings, and that of equal ones.

    `run_sign` is 1 in a run above the usual, -1 below, -2 in an outage; `equal_count` counts readings of the value
    `newest_kw` in a row.
    """

    mean_kw: Numbers
    variance: Numbers
    count: Integers
    run_sign: Integers
    run_count: Integers
    run_mean_kw: Numbers
    run_variance: Numbers
    newest_kw: Numbers
    equal_count: Integers

    UNKNOWN: ClassVar[tuple[str, ...]] = ("newest_kw",)


class Limits(NamedTuple):
    """The thresholds of each row, in the units of their names."""

    outage_kw: Numbers
    outage_baseline_kw: Numbers
    spike_percent: Numbers
    spike_deviations: Numbers
    drop_percent: Numbers
    drop_deviations: Numbers


class Unusual(NamedTuple):
    """What each reading was, at most one of the three; `expected_kw` is what it was held against."""

    is_outage: Truths
    is_spike: Truths
    is_drop: Truths
    change_percent: Numbers
    expected_kw: Numbers


def judge(state: Baselines, power_kw: Numbers, limits: Limits) -> Unusual:
    """What is unusual about one reading of each row; the state learns from it."""
    expected_kw = state.mean_kw.copy()
    is_warm = state.count >= WARM_UP_READINGS
    distance_kw = power_kw - expected_kw
    change_percent = 100 * distance_kw / np.maximum(np.abs(expected_kw), SMALLEST_BASELINE_KW)
    deviation_kw = np.sqrt(state.variance)
    # First, for an outage is a drop, too.
    is_outage = is_warm & (np.abs(power_kw) < limits.outage_kw) & (expected_kw > limits.outage_baseline_kw)
    rest = is_warm & ~is_outage
    is_spike = rest & (change_percent > limits.spike_percent) & (distance_kw > limits.spike_deviations * deviation_kw)
    is_drop = rest & (change_percent < -limits.drop_percent) & (-distance_kw > limits.drop_deviations * deviation_kw)
    sign = np.where(is_outage, _OUTAGE_SIGN, is_spike.astype(np.int64) - is_drop.astype(np.int64))
    is_lasting = _follow_runs(state, power_kw, sign)
    is_outage &= ~is_lasting
    is_spike &= ~is_lasting
    is_drop &= ~is_lasting
    _learn(state, power_kw, ~(is_outage | is_spike | is_drop | is_lasting))
    return Unusual(is_outage, is_spike, is_drop, change_percent, expected_kw)


def count_equal(state: Baselines, power_kw: Numbers) -> Integers:
    """How often each row has said the same value in a row by now; 0 is no value to be stuck at."""
    is_equal = (power_kw == state.newest_kw) & (power_kw != 0)
    state.equal_count = np.where(is_equal, state.equal_count + 1, 1)
    state.newest_kw = power_kw.copy()
    return state.equal_count


def _follow_runs(state: Baselines, power_kw: Numbers, sign: Integers) -> Truths:
    """Which runs have lasted so long that they are the new usual, which is then set."""
    goes_on = (sign != 0) & (sign == state.run_sign)
    state.run_count = np.where(sign == 0, 0, np.where(goes_on, state.run_count + 1, 1))
    before_kw = np.where(goes_on, state.run_mean_kw, power_kw)
    step = (power_kw - before_kw) / np.maximum(state.run_count, 1)
    state.run_mean_kw = before_kw + step
    spread = (power_kw - before_kw) * (power_kw - state.run_mean_kw)
    before = np.where(goes_on, state.run_variance, 0.0)
    state.run_variance = before + (spread - before) / np.maximum(state.run_count, 1)
    state.run_sign = sign
    is_lasting: Truths = state.run_count >= np.where(sign == _OUTAGE_SIGN, LASTING_OUTAGE_READINGS, LASTING_READINGS)
    state.mean_kw = np.where(is_lasting, state.run_mean_kw, state.mean_kw)
    state.variance = np.where(is_lasting, state.run_variance, state.variance)
    state.run_count = np.where(is_lasting, 0, state.run_count)
    state.run_sign = np.where(is_lasting, 0, state.run_sign)
    return is_lasting


def _learn(state: Baselines, power_kw: Numbers, is_usual: Truths) -> None:
    is_first = is_usual & (state.count == 0)
    distance = power_kw - state.mean_kw
    mean_kw = state.mean_kw + WEIGHT * distance
    variance = (1 - WEIGHT) * (state.variance + WEIGHT * distance * distance)
    state.mean_kw = np.where(is_first, power_kw, np.where(is_usual, mean_kw, state.mean_kw))
    state.variance = np.where(is_usual & ~is_first, variance, state.variance)
    state.count = state.count + is_usual
