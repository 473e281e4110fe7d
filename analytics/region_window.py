"""Windows of a region's load: what its meters used in a quarter-hour, and how that stands to what it can carry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

WINDOW_MS = 15 * 60_000
"""Windows begin at whole quarter-hours, UTC."""

_HOUR_MS = 3_600_000
_MILLIWATT_HOURS_PER_KWH = 1_000_000


class MeterUsage(NamedTuple):
    """What the readings of a meter that start in a window add up to; an energy that no reading carried is None."""

    import_milliwatt_hours: int | None
    export_milliwatt_hours: int | None
    covered_ms: int


class Capacity(NamedTuple):
    """What a region can carry, kW, from an instant on, UTC milliseconds; `actor` is who said so."""

    region: str
    capacity_kw: float
    start_ms: int
    actor: str


@dataclass(frozen=True, slots=True)
class RegionWindow:
    """A closed window; instants are UTC milliseconds. It says nothing of a load where no meter reported.

    `version` is 1 when it was first closed, and one more whenever later data has changed its sums.
    """

    region: str
    start_ms: int
    version: int
    import_milliwatt_hours: int
    export_milliwatt_hours: int
    meter_count: int
    reporting_meter_count: int
    covered_ms: int
    capacity_kw: float | None
    complete_through_ms: int
    close_ms: int

    @property
    def end_ms(self) -> int:
        """When it ended."""
        return self.start_ms + WINDOW_MS

    @property
    def mean_load_kw(self) -> float:
        """Import less export, over its length."""
        milliwatt_hours = self.import_milliwatt_hours - self.export_milliwatt_hours
        return milliwatt_hours * (_HOUR_MS / WINDOW_MS) / _MILLIWATT_HOURS_PER_KWH

    @property
    def load_percent(self) -> float | None:
        """Mean load in percent of the capacity; None where no capacity is set or no meter reported."""
        if self.capacity_kw is None or not self.reporting_meter_count:
            return None
        return 100 * self.mean_load_kw / self.capacity_kw

    @property
    def covered_share(self) -> float:
        """The time that readings cover as a share of that of all meters, 0 to 1."""
        whole_ms = self.meter_count * WINDOW_MS
        return min(1.0, self.covered_ms / whole_ms) if whole_ms else 0.0

    def has_sums_of(self, other: RegionWindow) -> bool:
        """Whether another summing up has come to the same."""
        same = replace(other, version=self.version, close_ms=self.close_ms)
        return replace(same, complete_through_ms=self.complete_through_ms, capacity_kw=self.capacity_kw) == self


def sum_up(
    region: str,
    start_ms: int,
    usages: Iterable[MeterUsage],
    *,
    meter_count: int,
    capacity_kw: float | None,
    complete_through_ms: int,
    close_ms: int,
) -> RegionWindow:
    """The first version of a window, from the usages of those of its meters that have a reading in it."""
    known = list(usages)
    return RegionWindow(
        region=region,
        start_ms=start_ms,
        version=1,
        import_milliwatt_hours=sum(usage.import_milliwatt_hours or 0 for usage in known),
        export_milliwatt_hours=sum(usage.export_milliwatt_hours or 0 for usage in known),
        meter_count=meter_count,
        reporting_meter_count=len(known),
        # One meter that sends what overlaps does not stand in for another that is silent.
        covered_ms=sum(min(usage.covered_ms, WINDOW_MS) for usage in known),
        capacity_kw=capacity_kw,
        complete_through_ms=complete_through_ms,
        close_ms=close_ms,
    )


def capacity_at(capacities: Iterable[Capacity], instant_ms: int) -> float | None:
    """The capacity, of those of one region, that counts at an instant; None before the first."""
    begun = [capacity for capacity in capacities if capacity.start_ms <= instant_ms]
    return max(begun, key=lambda capacity: capacity.start_ms).capacity_kw if begun else None


def ended_windows(now_ms: int, reach_ms: int) -> range:
    """The starts of the windows that have ended by now, of the last `reach_ms`, the newest first."""
    newest_ms = now_ms // WINDOW_MS * WINDOW_MS - WINDOW_MS
    return range(newest_ms, newest_ms - reach_ms, -WINDOW_MS)
