"""When some devices together took the most: their intervals laid over each other, in whole milliwatts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from analytics.usage.measured_energy import Window

_HOUR_MS = 3_600_000


class TakenEnergy(NamedTuple):
    """What flowed into a device, or into a region, in an interval; `covered_ms` is how long its readings last."""

    interval: Window
    milliwatt_hours: int
    covered_ms: int


class Peak(NamedTuple):
    """The interval of the greatest load."""

    interval: Window
    milliwatt_hours: int
    milliwatts: int


def peak_of(taken: Iterable[TakenEnergy]) -> Peak | None:
    """The interval with the greatest load over all devices, the earliest of several; None of nothing.

    A reading counts in the interval of its start. One that lasts longer has its energy over its own length, or else
    an hourly meter would seem to take four times what it does.
    """
    peaks: dict[Window, Peak] = {}
    for interval, milliwatt_hours, covered_ms in taken:
        milliwatts = milliwatt_hours * _HOUR_MS // max(interval.end_ms - interval.start_ms, covered_ms)
        known = peaks.get(interval, Peak(interval, 0, 0))
        peaks[interval] = Peak(interval, known.milliwatt_hours + milliwatt_hours, known.milliwatts + milliwatts)
    return min(peaks.values(), key=lambda peak: (-peak.milliwatts, peak.interval.start_ms), default=None)
