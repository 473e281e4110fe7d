"""What the meters of a region used over a window: the arithmetic, in whole milliwatt-hours and milliwatts.

A window without a reading has no load, which is not a load of 0: that no meter was heard is what it says then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

WINDOW_MS = 900_000
HOUR_MS = 3_600_000

_MILLIWATTS_PER_KW = 1_000_000
_MINUTES_AN_HOUR = 60


@dataclass(frozen=True, slots=True)
class WindowSums:
    """What some meters measured in one window; `covered_ms` adds up how long, at most the window for each meter."""

    import_milliwatt_hours: int = 0
    export_milliwatt_hours: int = 0
    reporting_meter_count: int = 0
    covered_ms: int = 0

    def plus(self, other: WindowSums) -> WindowSums:
        """Both together; they are of different meters."""
        return WindowSums(
            self.import_milliwatt_hours + other.import_milliwatt_hours,
            self.export_milliwatt_hours + other.export_milliwatt_hours,
            self.reporting_meter_count + other.reporting_meter_count,
            self.covered_ms + other.covered_ms,
        )


class LoadRange(NamedTuple):
    """The smallest and the greatest mean load of a minute in a window, milliwatts."""

    minimum_milliwatts: int
    maximum_milliwatts: int


@dataclass(frozen=True, slots=True)
class RegionWindow:
    """A closed window: [start_ms, start_ms + length_ms), UTC milliseconds.

    `version` is 1 when it was first closed. `capacity_milliwatts` is what was valid at the end of the window, None if
    nothing was set. `closed_ms` is how much of its length is closed: less than all of it only where windows are joined.
    `load_range` is None where it is not known, for some of its readings are longer than a minute.
    """

    region: str
    start_ms: int
    version: int
    sums: WindowSums
    meter_count: int
    capacity_milliwatts: int | None
    complete_through_ms: int
    close_ms: int
    length_ms: int = WINDOW_MS
    closed_ms: int = WINDOW_MS
    load_range: LoadRange | None = None

    @property
    def end_ms(self) -> int:
        """When it ends."""
        return self.start_ms + self.length_ms

    @property
    def net_milliwatt_hours(self) -> int:
        """What its meters took less what they gave."""
        return self.sums.import_milliwatt_hours - self.sums.export_milliwatt_hours

    @property
    def mean_load_kw(self) -> float:
        """Its mean load; 0 also where no meter was heard."""
        return float(self._mean_load_milliwatts() / _MILLIWATTS_PER_KW)

    @property
    def load_percent(self) -> float | None:
        """Its mean load in percent of the capacity; None: no capacity is set, or no meter was heard."""
        if self.capacity_milliwatts is None or not self.sums.reporting_meter_count:
            return None
        return float(100 * self._mean_load_milliwatts() / self.capacity_milliwatts)

    @property
    def covered_share(self) -> float:
        """The time that readings cover as a share of that of all its meters, 0 to 1."""
        whole_ms = self.meter_count * self.length_ms
        return min(1.0, self.sums.covered_ms / whole_ms) if whole_ms else 0.0

    def _mean_load_milliwatts(self) -> Fraction:
        return Fraction(self.net_milliwatt_hours * HOUR_MS, self.closed_ms)


def window_start_ms(instant_ms: int) -> int:
    """The start of the window that an instant lies in."""
    return instant_ms // WINDOW_MS * WINDOW_MS


def closable_end_ms(complete_through_ms: int, lateness_ms: int) -> int:
    """The end of the last window that can be closed: what is complete is past it, and past the time for the late."""
    return window_start_ms(complete_through_ms - lateness_ms)


def next_version(before: RegionWindow, now: RegionWindow) -> RegionWindow | None:
    """The version after `before` where summing up again gave `now`; None if nothing that was measured has changed."""
    # Windows of releases before this one have no range, which is no change of what was measured.
    has_same_range = None in (before.load_range, now.load_range) or before.load_range == now.load_range
    if before.sums == now.sums and has_same_range:
        return None
    return replace(now, version=before.version + 1)


def hours_of(windows: Iterable[RegionWindow]) -> list[RegionWindow]:
    """Windows of one region, by start, joined by the hour of UTC they lie in.

    An hour has the greatest meter counts of its windows, for which meters were heard in which is not kept, the capacity
    of the last, and is complete through the least of their instants. Windows that are not closed are no part of its
    mean, and lower its covered share.
    """
    hours: dict[int, list[RegionWindow]] = {}
    for window in windows:
        hours.setdefault(window.start_ms // HOUR_MS * HOUR_MS, []).append(window)
    return [_hour(start_ms, parts) for start_ms, parts in hours.items()]


def range_of(minutes: Iterable[WindowSums]) -> LoadRange | None:
    """The range of minutes; None of none."""
    loads = [(one.import_milliwatt_hours - one.export_milliwatt_hours) * _MINUTES_AN_HOUR for one in minutes]
    return LoadRange(min(loads), max(loads)) if loads else None


def joined_range(windows: Iterable[RegionWindow]) -> LoadRange | None:
    """The range over some windows; None where that of one is not known."""
    ranges = [window.load_range for window in windows]
    known = [one for one in ranges if one is not None]
    if not known or len(known) < len(ranges):
        return None
    return LoadRange(min(one.minimum_milliwatts for one in known), max(one.maximum_milliwatts for one in known))


def _hour(start_ms: int, parts: Sequence[RegionWindow]) -> RegionWindow:
    sums = WindowSums()
    for part in parts:
        sums = sums.plus(part.sums)
    return RegionWindow(
        region=parts[0].region,
        start_ms=start_ms,
        version=max(part.version for part in parts),
        sums=replace(sums, reporting_meter_count=max(part.sums.reporting_meter_count for part in parts)),
        meter_count=max(part.meter_count for part in parts),
        capacity_milliwatts=parts[-1].capacity_milliwatts,
        complete_through_ms=min(part.complete_through_ms for part in parts),
        close_ms=max(part.close_ms for part in parts),
        length_ms=HOUR_MS,
        closed_ms=sum(part.closed_ms for part in parts),
        load_range=joined_range(parts),
    )
