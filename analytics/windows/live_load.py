"""What the meters of a region do now, from the live picture."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.fleet.fleet import FleetGroup
from analytics.windows.region_capacity import RegionCapacity


@dataclass(frozen=True, slots=True)
class LiveLoad:
    """The load of a region at `now_ms`, UTC milliseconds, by the newest reading of each meter that is not silent.

    `load_kw` is None where none of them has told a power: that is unknown, not 0.
    """

    region: str
    now_ms: int
    load_kw: float | None
    meter_count: int
    silent_meter_count: int
    capacity_kw: float | None

    @property
    def reporting_meter_count(self) -> int:
        """Meters that are not silent."""
        return self.meter_count - self.silent_meter_count

    @property
    def load_percent(self) -> float | None:
        """The load in percent of the capacity; None where either is not known."""
        if self.load_kw is None or self.capacity_kw is None:
            return None
        return 100 * self.load_kw / self.capacity_kw


def live_load(region: str, now_ms: int, meters: FleetGroup, capacity: RegionCapacity | None) -> LiveLoad:
    """The load of a region whose meters are counted in a group of the fleet."""
    return LiveLoad(
        region=region,
        now_ms=now_ms,
        load_kw=meters.power_kw if meters.power_device_count else None,
        meter_count=meters.device_count,
        silent_meter_count=meters.stale_device_count,
        capacity_kw=None if capacity is None else capacity.capacity_kw,
    )
