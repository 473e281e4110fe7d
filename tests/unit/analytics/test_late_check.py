"""Which closed windows lack what billing has recorded late."""

from __future__ import annotations

from energy.billing.v1 import usage_service_pb2 as pb

from analytics.windows.due_window import DueWindow
from analytics.windows.late_check import lacking, late_windows
from analytics.windows.region_window import WINDOW_MS
from common.instants import from_ms

LATENESS_MS = 60_000
NOON_MS = 1_767_268_800_000
RECORD_MS = NOON_MS + LATENESS_MS
START_MS = NOON_MS - WINDOW_MS
REGION_OF = {"m-1": "North", "m-2": "North", "m-3": "South"}
KEPT_MS = 86_400_000


def late(
    start_ms: int = START_MS, *device_ids: str, record_ms: int = RECORD_MS, any_device: bool = False
) -> pb.LateQuarterHour:
    """What billing tells."""
    return pb.LateQuarterHour(
        start_time=from_ms(start_ms),
        device_ids=device_ids,
        any_device=any_device,
        latest_record_time=from_ms(record_ms),
    )


def found(*told: pb.LateQuarterHour) -> dict[tuple[str, int], int]:
    """What follows for two regions."""
    regions = ["North", "South"]
    return late_windows(told, REGION_OF.get, regions, lateness_ms=LATENESS_MS, kept_ms=KEPT_MS)


def test_a_quarter_hour_is_late_for_the_regions_of_its_devices() -> None:
    """A device that is not registered is of none; where it may be any device it is every region."""
    assert found(late(START_MS, "m-1", "m-2", "nobody")) == {("North", START_MS): RECORD_MS}
    assert found(late(START_MS, any_device=True)).keys() == {("North", START_MS), ("South", START_MS)}


def test_what_its_first_version_will_have_anyway_is_not_late() -> None:
    """Whoever waits longer for the late than billing takes for granted."""
    assert found(late(START_MS, "m-1", record_ms=RECORD_MS - 1)) == {}
    assert found(late(START_MS, "m-1", record_ms=RECORD_MS)) != {}


def test_windows_of_long_ago_are_left_as_they_are() -> None:
    """As they are when it comes by the queue."""
    oldest_ms = START_MS - KEPT_MS
    record_ms = NOON_MS + LATENESS_MS

    assert found(late(oldest_ms + WINDOW_MS, "m-1", record_ms=record_ms)) != {}
    assert found(late(oldest_ms - WINDOW_MS, "m-1", record_ms=record_ms)) == {}


def test_only_what_a_window_does_not_have_is_lacking() -> None:
    """A window has all that was recorded by the instant it is complete through; one that is not closed has none."""
    wanted = {("North", START_MS): RECORD_MS, ("South", START_MS): RECORD_MS, ("East", START_MS): RECORD_MS}
    through_ms = {("North", START_MS): RECORD_MS, ("South", START_MS): RECORD_MS - 1}

    assert lacking(wanted, through_ms) == [
        DueWindow("South", START_MS, RECORD_MS, RECORD_MS),
        DueWindow("East", START_MS, RECORD_MS, RECORD_MS),
    ]
