"""Which vehicle a meter's readings charge, and since when: links in time, never two at once for one meter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class VehicleLink:
    """A meter measures the charging of a vehicle over [start_time_ms, end_time_ms); None is without end."""

    vehicle_id: str
    meter_id: str
    start_time_ms: int
    end_time_ms: int | None = None

    def overlaps(self, other: VehicleLink) -> bool:
        """Whether both hold at some instant."""
        starts_before_other_ends = other.end_time_ms is None or self.start_time_ms < other.end_time_ms
        ends_after_other_starts = self.end_time_ms is None or other.start_time_ms < self.end_time_ms
        return starts_before_other_ends and ends_after_other_starts


class LinkOutcome(Enum):
    """What a new link means beside those a meter has."""

    NEW = "new"
    SAME = "same"
    OVERLAP = "overlap"


def outcome_of(link: VehicleLink, links: Sequence[VehicleLink]) -> LinkOutcome:
    """Whether a link can be added to the links of its meter, or is there already."""
    if link in links:
        return LinkOutcome.SAME
    if any(link.overlaps(other) for other in links):
        return LinkOutcome.OVERLAP
    return LinkOutcome.NEW


def in_order(links: Sequence[VehicleLink]) -> tuple[VehicleLink, ...]:
    """Links by start time, those that start together by their ids."""
    return tuple(sorted(links, key=lambda link: (link.start_time_ms, link.meter_id, link.vehicle_id)))
