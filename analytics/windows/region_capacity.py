"""How much a region can carry: a value for each time, set by people, of which none is ever changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_MILLIWATTS_PER_KW = 1_000_000
CAPACITY_KW_MAXIMUM = 1e9
"""More than the whole earth carries, and its milliwatts still fit into 64 bits."""


@dataclass(frozen=True, slots=True)
class RegionCapacity:
    """What a region can carry from `start_ms` on, until the next one begins; instants in UTC milliseconds."""

    region: str
    capacity_milliwatts: int
    start_ms: int
    actor: str
    create_ms: int

    @property
    def capacity_kw(self) -> float:
        """The same in kW."""
        return self.capacity_milliwatts / _MILLIWATTS_PER_KW

    def is_same_as(self, other: RegionCapacity) -> bool:
        """Whether both say the same, whenever they were set."""
        mine = (self.region, self.capacity_milliwatts, self.start_ms, self.actor)
        return mine == (other.region, other.capacity_milliwatts, other.start_ms, other.actor)


def milliwatts(power_kw: float) -> int:
    """Whole milliwatts of a power in kW, the nearest."""
    return round(power_kw * _MILLIWATTS_PER_KW)


def capacity_at(capacities: Iterable[RegionCapacity], instant_ms: int) -> RegionCapacity | None:
    """Which of a region's capacities is valid at an instant: the one that began last; None before the first."""
    begun = [capacity for capacity in capacities if capacity.start_ms <= instant_ms]
    return max(begun, key=lambda capacity: capacity.start_ms, default=None)
