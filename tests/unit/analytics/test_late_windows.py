"""Late readings: each window they belong into is marked once, with the time of the last of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pymongo.errors import AutoReconnect

from analytics.late_windows import LateWindows
from analytics.observation import Observation, ObservedColumns, ReceivedBatches
from analytics.region_window import WINDOW_MS
from common.cached_device import CachedDevice

NOON_MS = 1_767_268_800_000
METER = 0
VEHICLE = 1


class Marks:
    """Keeps what is marked; is away as often as a test says."""

    def __init__(self) -> None:
        self.marked: list[dict[tuple[str, int], int]] = []
        self.away = 0

    async def mark_stale(self, received_ms: Mapping[tuple[str, int], int]) -> None:
        """Takes marks."""
        if self.away:
            self.away -= 1
            raise AutoReconnect("away")
        self.marked.append(dict(received_ms))


def find(device_id: str) -> CachedDevice | None:
    """The meters of two regions."""
    region = {"n-1": "North", "n-2": "North", "s-1": "South"}.get(device_id)
    return None if region is None else CachedDevice(device_id, 1, "acc", "", region, "UTC", 60_000, (), 0)


def columns(*readings: tuple[str, int, int], kind: int = METER) -> ReceivedBatches:
    """Readings as device, minutes before noon, and seconds after noon at which they were received."""
    count = len(readings)
    zeros = np.zeros(count, np.int64)
    starts = np.array([NOON_MS - minutes * 60_000 for _, minutes, _ in readings], np.int64)
    received = np.array([NOON_MS + seconds * 1000 for _, _, seconds in readings], np.int64)
    seen = ObservedColumns(
        [device_id for device_id, _, _ in readings],
        np.full(count, kind, np.int64),
        starts,
        starts + 60_000,
        zeros,
        received,
        zeros,
        np.zeros(count),
        zeros,
        zeros,
    )
    return ReceivedBatches(("b",), [], seen, [])


async def marked(*batches: ReceivedBatches) -> dict[tuple[str, int], int]:
    """What is marked of some deliveries at five past noon."""
    marks = Marks()
    late = LateWindows(find, marks, lambda: NOON_MS + 300_000)
    for some in batches:
        late.notice(some)
    await late.flush()
    return marks.marked[0]


async def test_readings_of_the_window_that_is_open_mark_nothing() -> None:
    """They are on time."""
    assert await marked(columns(("n-1", 0, 1), ("s-1", -4, 2))) == {}


async def test_each_window_is_marked_once_with_the_last_receipt() -> None:
    """Two meters of one region in one window, and one of another; a device that is not known has no region."""
    found = await marked(columns(("n-1", 1, 1), ("n-2", 15, 9), ("s-1", 16, 3), ("gone", 1, 4)), columns(("n-1", 2, 5)))

    assert found == {
        ("North", NOON_MS - WINDOW_MS): NOON_MS + 9_000,
        ("South", NOON_MS - 2 * WINDOW_MS): NOON_MS + 3_000,
    }


async def test_vehicles_are_not_part_of_a_regions_load() -> None:
    """Their energy came through a meter."""
    assert await marked(columns(("n-1", 1, 1), kind=VEHICLE)) == {}


async def test_readings_that_came_one_by_one_are_noticed_alike() -> None:
    """Those that could not be read as columns."""
    start_ms = NOON_MS - 60_000
    seen = Observation("n-1", "meter", start_ms, NOON_MS, 0, NOON_MS + 7, "REPORTING", None, 1, 0)

    found = await marked(ReceivedBatches(("b",), [], None, [seen]))

    assert found == {("North", NOON_MS - WINDOW_MS): NOON_MS + 7}


async def test_what_could_not_be_marked_is_marked_later() -> None:
    """Together with what came meanwhile."""
    marks = Marks()
    marks.away = 1
    late = LateWindows(find, marks, lambda: NOON_MS + 300_000)
    late.notice(columns(("n-1", 1, 1)))
    await late.flush()
    late.notice(columns(("s-1", 1, 2)))
    await late.flush()

    assert len(marks.marked) == 1
    assert set(marks.marked[0]) == {("North", NOON_MS - WINDOW_MS), ("South", NOON_MS - WINDOW_MS)}
