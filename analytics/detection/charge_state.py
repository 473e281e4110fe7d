"""What the state of charge of a battery says: whether a vehicle that is plugged in charges, and a pack keeps its band.

Pure rules over columns, a row a device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from analytics.stream.learnt_columns import LearntColumns
from common.reading_columns import Numbers, Truths
from common.reading_location import Integers

# Less is what two readings of the same charge differ by.
RISE_PERCENT = 1.0


@dataclass(slots=True)
class ChargeRises(LearntColumns):
    """The state: the charge that a plugged vehicle had when it last rose, per cent, and when that was, UTC ms."""

    risen_percent: Numbers
    risen_ms: Integers

    UNKNOWN: ClassVar[tuple[str, ...]] = ("risen_percent",)


class Stalled(NamedTuple):
    """The rows in which a charge is low and has not risen for long, and those in which that is not so."""

    is_there: Truths
    is_sound: Truths


def follow_rises(
    state: ChargeRises,
    start_ms: Integers,
    charge_percent: Numbers,
    is_plugged: Truths,
    *,
    low_percent: Numbers,
    stalled_ms: Numbers,
) -> Stalled:
    """Takes one reading of each row; a charge that was not measured says nothing, and a vehicle that left is sound."""
    is_known = is_plugged & ~np.isnan(charge_percent)
    # Comparisons with what is not known are false.
    is_rise = is_known & (charge_percent >= state.risen_percent + RISE_PERCENT)
    is_new = is_known & (np.isnan(state.risen_percent) | (charge_percent < state.risen_percent - RISE_PERCENT))
    begins = is_rise | is_new
    state.risen_percent = np.where(begins, charge_percent, np.where(is_plugged, state.risen_percent, np.nan))
    state.risen_ms = np.where(begins, start_ms, state.risen_ms)
    is_low = is_known & (charge_percent < low_percent)
    is_there = is_low & ~begins & (start_ms - state.risen_ms >= stalled_ms)
    return Stalled(is_there, is_rise | ~is_plugged | (is_known & ~is_low))
