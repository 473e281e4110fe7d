"""A meter charges one vehicle at a time: links are half-open in time and never overlap."""

from __future__ import annotations

import pytest

from gateway.vehicle_link import LinkOutcome, VehicleLink, in_order, outcome_of

EXISTING = VehicleLink("vehicle-1", "meter-1", 1_000, 2_000)


@pytest.mark.parametrize(
    ("start_time_ms", "end_time_ms", "outcome"),
    [
        (0, 1_000, LinkOutcome.NEW),
        (2_000, 3_000, LinkOutcome.NEW),
        (2_000, None, LinkOutcome.NEW),
        (1_000, 2_000, LinkOutcome.SAME),
        (0, 1_001, LinkOutcome.OVERLAP),
        (1_999, 3_000, LinkOutcome.OVERLAP),
        (1_200, 1_300, LinkOutcome.OVERLAP),
        (0, 9_000, LinkOutcome.OVERLAP),
        (0, None, LinkOutcome.OVERLAP),
        (1_000, None, LinkOutcome.OVERLAP),
    ],
)
def test_a_link_beside_one_that_ends(start_time_ms: int, end_time_ms: int | None, outcome: LinkOutcome) -> None:
    """The end of one link may be the start of the next."""
    link = VehicleLink("vehicle-1", "meter-1", start_time_ms, end_time_ms)

    assert outcome_of(link, [EXISTING]) is outcome


def test_nothing_follows_a_link_without_end() -> None:
    """Neither of the same vehicle nor of another."""
    endless = VehicleLink("vehicle-1", "meter-1", 1_000)

    assert outcome_of(VehicleLink("vehicle-2", "meter-1", 9_000, 9_001), [endless]) is LinkOutcome.OVERLAP
    assert outcome_of(VehicleLink("vehicle-2", "meter-1", 0, 1_000), [endless]) is LinkOutcome.NEW
    assert outcome_of(VehicleLink("vehicle-1", "meter-1", 1_000), [endless]) is LinkOutcome.SAME


def test_the_same_time_with_another_vehicle_overlaps() -> None:
    """Only the very same link is the same."""
    assert outcome_of(VehicleLink("vehicle-2", "meter-1", 1_000, 2_000), [EXISTING]) is LinkOutcome.OVERLAP


def test_links_are_kept_by_start() -> None:
    """Whatever order they were added in."""
    later = VehicleLink("vehicle-2", "meter-1", 5_000)

    assert in_order([later, EXISTING]) == (EXISTING, later)
