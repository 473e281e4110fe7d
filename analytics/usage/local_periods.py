"""The local days and months that a period lies in, each as the part of it that the period has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from analytics.usage.measured_energy import Window
from common.local_time import local_day_of, local_days, local_midnight_ms

Calendar = Literal["day", "month"]

_DAY = timedelta(days=1)
_LONGEST_MONTH_DAYS = 31


@dataclass(frozen=True, slots=True)
class LocalPeriod:
    """A local day, or a month by its first day, and the part of it that is meant; `share` is that of the whole."""

    day: date
    part: Window
    share: float


def local_periods(window: Window, zone: ZoneInfo, calendar: Calendar) -> Iterator[LocalPeriod]:
    """The days or months that a window lies in, by date, without those that the zone skips."""
    first = local_day_of(window.start_ms, zone).day
    last = local_day_of(window.end_ms - 1, zone).day
    if calendar == "day":
        for day in local_days(first, last + _DAY, zone):
            yield _clipped(day.day, Window(day.start_ms, day.end_ms), window)
        return
    month = first.replace(day=1)
    while month <= last:
        following = (month + _LONGEST_MONTH_DAYS * _DAY).replace(day=1)
        whole = Window(local_midnight_ms(month, zone), local_midnight_ms(following, zone))
        yield _clipped(month, whole, window)
        month = following


def day_count(window: Window, zone: ZoneInfo) -> float:
    """How many local days a window has; a day of which it has a part counts as that part."""
    return sum(period.share for period in local_periods(window, zone, "day"))


def _clipped(day: date, whole: Window, window: Window) -> LocalPeriod:
    part = Window(max(whole.start_ms, window.start_ms), min(whole.end_ms, window.end_ms))
    return LocalPeriod(day, part, (part.end_ms - part.start_ms) / (whole.end_ms - whole.start_ms))
