"""Which readings are late, which windows wait for them, and when those are summed up again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect

from analytics.stream.observation import KINDS, Observation, ObservedColumns, ReceivedBatches
from analytics.windows import late_windows
from analytics.windows.due_window import PATIENCE_MS, QUIET_MS, DueWindow, by_hour, open_from_ms
from analytics.windows.late_windows import AHEAD_MS, LateWindows
from analytics.windows.open_windows import OpenWindows
from analytics.windows.region_window import WINDOW_MS

LATENESS_MS = 60_000
DAY_MS = 86_400_000
NOON_MS = 1_767_268_800_000
# Batches made now find the windows before noon closable, for noon and the lateness are over.
NOW_MS = NOON_MS + LATENESS_MS
LATE_MS = NOON_MS - WINDOW_MS

DUE = DueWindow("North", LATE_MS, NOW_MS, NOW_MS + 5_000)


class Store:
    """Takes marks, and is away as often as the test says."""

    def __init__(self) -> None:
        self.marked: list[DueWindow] = []
        self.away = 0
        self.held: asyncio.Event | None = None

    async def mark(self, windows: Sequence[DueWindow]) -> None:
        """Takes some."""
        if self.held is not None:
            await self.held.wait()
        if self.away:
            self.away -= 1
            raise AutoReconnect("away")
        self.marked += windows


class Desk:
    """What looks for late readings, and where it writes."""

    def __init__(self) -> None:
        self.store = Store()
        self.registry = CollectorRegistry()
        devices = {f"m-{number}": SimpleNamespace(region="North" if number % 2 else "South") for number in range(10)}
        self.late = LateWindows(
            devices.get, self.store.mark, self.registry, lateness_ms=LATENESS_MS, kept_ms=30 * DAY_MS
        )

    def look(self, *seen: tuple[str, int], kind: str = "meter", create_ms: int = NOW_MS) -> None:
        """Batches of readings by device and start, half of them in columns."""
        half = len(seen) // 2
        observations = [observation(device_id, start_ms, kind) for device_id, start_ms in seen[:half]]
        columns = columns_of(seen[half:], kind) if seen[half:] else None
        self.late.look(ReceivedBatches(("b-1",), [create_ms - 10], columns, observations, create_ms=create_ms))

    async def written(self) -> list[DueWindow]:
        """What is marked after a write, by region and start."""
        await self.late.write()
        return sorted(self.store.marked)

    def count(self, outcome: str) -> float | None:
        """How many late readings came to this."""
        return self.registry.get_sample_value("late_readings_total", {"outcome": outcome})


def observation(device_id: str, start_ms: int, kind: str) -> Observation:
    """A reading of a minute."""
    return Observation(device_id, kind, start_ms, start_ms + 60_000, 0, NOW_MS, "REPORTING", 1.0, 5, 0)


def columns_of(seen: Sequence[tuple[str, int]], kind: str) -> ObservedColumns:
    """Readings of a minute as columns."""
    start_ms = np.array([start_ms for _, start_ms in seen], np.int64)
    zeros = np.zeros(len(seen), np.int64)
    return ObservedColumns(
        [device_id for device_id, _ in seen],
        np.full(len(seen), KINDS.index(kind), np.int64),
        start_ms,
        start_ms + 60_000,
        zeros,
        zeros,
        zeros,
        zeros.astype(np.float64),
        zeros,
        zeros,
        np.full(len(seen), np.nan),
        np.full(len(seen), np.nan),
        np.zeros(len(seen), np.bool_),
        np.full(len(seen), np.nan),
    )


@pytest.fixture
def desk() -> Desk:
    """Nothing found yet."""
    return Desk()


async def test_readings_of_open_windows_mark_nothing(desk: Desk) -> None:
    """Neither of the running quarter-hour nor of one that still waits for the late."""
    desk.look(("m-1", NOON_MS), ("m-2", NOON_MS + 30_000))
    desk.look(("m-1", NOON_MS - 1), ("m-2", LATE_MS), create_ms=NOW_MS - 1)

    assert await desk.written() == []


async def test_where_the_late_go_on_coming_one_mark_a_second_covers_them(desk: Desk) -> None:
    """The mark always reaches to the newest of them, and soon it is not late readings that the store is busy with."""
    for tick in range(100):
        newest_ms = NOW_MS + tick * 50
        desk.look(("m-1", LATE_MS), create_ms=newest_ms)
        await desk.late.write()
        assert max(mark.latest_ms for mark in desk.store.marked) >= newest_ms

    assert len(desk.store.marked) <= 7
    assert max(mark.latest_ms for mark in desk.store.marked) <= newest_ms + AHEAD_MS


async def test_a_late_reading_that_comes_alone_is_marked_for_itself(desk: Desk) -> None:
    """So its window is summed up no later than it could be; what another window was marked for is nothing to it."""
    desk.look(("m-1", LATE_MS))
    await desk.late.write()
    desk.look(("m-2", LATE_MS), create_ms=NOW_MS + 1)
    desk.look(("m-1", LATE_MS - WINDOW_MS), create_ms=NOW_MS + 1)
    await desk.late.write()
    desk.look(("m-1", LATE_MS), create_ms=NOW_MS + 3 * AHEAD_MS)
    await desk.late.write()

    assert [(mark.region, mark.start_ms, mark.latest_ms) for mark in desk.store.marked] == [
        ("North", LATE_MS, NOW_MS),
        ("South", LATE_MS, NOW_MS + 1),
        ("North", LATE_MS - WINDOW_MS, NOW_MS + 1),
        ("North", LATE_MS, NOW_MS + 3 * AHEAD_MS),
    ]


async def test_what_could_not_be_marked_covers_nothing(desk: Desk) -> None:
    """The next reading waits for a mark as if the store had never been asked."""
    desk.look(("m-1", LATE_MS))
    await desk.late.write()
    desk.store.away = 1
    desk.look(("m-1", LATE_MS), create_ms=NOW_MS + 100)
    with pytest.raises(AutoReconnect):
        await desk.late.write()
    desk.look(("m-1", LATE_MS), create_ms=NOW_MS + 200)
    await desk.late.write()

    assert [mark.latest_ms for mark in desk.store.marked] == [NOW_MS, NOW_MS + 200 + AHEAD_MS]


async def test_many_late_readings_are_one_mark_of_their_region_and_window(desk: Desk) -> None:
    """Whether they come as columns or as messages."""
    desk.look(("m-1", LATE_MS), ("m-3", LATE_MS + 60_000), ("m-5", NOON_MS - 1), ("m-2", LATE_MS))
    desk.look(("m-1", LATE_MS + 1), create_ms=NOW_MS + 7)

    north, south = DueWindow("North", LATE_MS, NOW_MS, NOW_MS + 7), DueWindow("South", LATE_MS, NOW_MS, NOW_MS)
    assert await desk.written() == [north, south]
    assert desk.count("marked") == 5


@pytest.mark.parametrize("kind", ["vehicle", "storage"])
async def test_only_meters_count(desk: Desk, kind: str) -> None:
    """The windows are sums of meters."""
    desk.look(("m-1", LATE_MS), ("m-2", LATE_MS), kind=kind)

    assert await desk.written() == []


async def test_what_comes_a_month_late_or_from_nobody_is_counted_and_marks_nothing(desk: Desk) -> None:
    """So that a clock that is wrong by years makes no windows."""
    desk.look(("m-1", NOON_MS - 31 * DAY_MS), ("stranger", LATE_MS))

    assert await desk.written() == []
    assert (desk.count("too_late"), desk.count("device_unknown")) == (1, 1)


async def test_marks_that_could_not_be_written_are_written_later_with_what_came_since(desk: Desk) -> None:
    """Whoever waits is told that they are not written."""
    desk.store.away = 1
    desk.look(("m-1", LATE_MS))
    with pytest.raises(AutoReconnect):
        await desk.late.write()
    desk.look(("m-3", LATE_MS), create_ms=NOW_MS + 9)

    assert await desk.written() == [DueWindow("North", LATE_MS, NOW_MS, NOW_MS + 9)]


async def test_who_has_nothing_new_waits_for_the_write_that_is_under_way(desk: Desk) -> None:
    """What another partition found may be in the same batch of marks."""
    desk.store.held = asyncio.Event()
    desk.look(("m-1", LATE_MS))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(desk.late.write())
        await asyncio.sleep(0)
        second = group.create_task(desk.late.write())
        await asyncio.sleep(0)
        assert not second.done()
        desk.store.held.set()

    assert first.done()
    assert len(desk.store.marked) == 1


async def test_it_is_full_when_too_many_windows_wait(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until they are written."""
    monkeypatch.setattr(late_windows, "_WAITING_MAXIMUM", 2)
    desk.look(("m-1", LATE_MS))
    assert not desk.late.is_full
    desk.look(("m-2", LATE_MS))
    assert desk.late.is_full

    await desk.late.write()

    assert not desk.late.is_full


def test_the_first_open_window_is_the_one_that_is_closed_after_the_batch_was_made() -> None:
    """Its end and the lateness lie behind the making of the batch, so the batch is in its first version."""
    assert open_from_ms(NOW_MS, LATENESS_MS) == NOON_MS
    assert open_from_ms(NOW_MS - 1, LATENESS_MS) == LATE_MS


def test_two_marks_of_a_window_are_the_same_in_either_order_and_once_more() -> None:
    """They may be written twice, by whomever."""
    other = replace_due(first_ms=NOW_MS - 5, latest_ms=NOW_MS)

    assert DUE.joined(other) == other.joined(DUE) == DUE.joined(other).joined(other)
    assert (DUE.joined(other).first_ms, DUE.joined(other).latest_ms) == (NOW_MS - 5, NOW_MS + 5_000)


def replace_due(first_ms: int = DUE.first_ms, latest_ms: int = DUE.latest_ms) -> DueWindow:
    """The mark with other bounds."""
    return DUE._replace(first_ms=first_ms, latest_ms=latest_ms)


@pytest.mark.parametrize(
    ("through_ms", "is_ripe", "is_done"),
    [
        (DUE.latest_ms, False, False),
        (DUE.latest_ms + 1, False, True),
        (DUE.latest_ms + QUIET_MS, False, True),
        (DUE.latest_ms + QUIET_MS + 1, True, True),
    ],
)
def test_a_window_is_summed_up_when_it_was_quiet_for_a_while(through_ms: int, is_ripe: bool, is_done: bool) -> None:
    """And is done by what is complete past the last that came."""
    assert DUE.is_ripe(through_ms) == is_ripe
    assert DUE.is_done_by(through_ms) == is_done


def test_a_window_for_which_it_never_ends_is_summed_up_all_the_same() -> None:
    """Every minute."""
    endless = replace_due(latest_ms=NOW_MS + PATIENCE_MS + 5)

    assert not endless.is_ripe(NOW_MS + PATIENCE_MS)
    assert endless.is_ripe(NOW_MS + PATIENCE_MS + 1)
    assert not endless.is_done_by(NOW_MS + PATIENCE_MS + 1)


def test_windows_are_closed_newest_first_and_those_before_are_caught_up() -> None:
    """As far back as it reaches, an hour at a time; the newest one is for who closes it in haste."""
    windows = OpenWindows(reach_ms=7 * WINDOW_MS)
    windows.know(NOON_MS)
    closed = []

    while starts_ms := windows.newest_missed():
        closed.append([(NOON_MS - start_ms) // WINDOW_MS for start_ms in starts_ms])
        windows.tried(starts_ms, are_closed=True)

    assert closed == [[4, 3, 2], [7, 6, 5]]
    assert windows.last_known == NOON_MS - WINDOW_MS


def test_a_new_window_goes_before_what_is_caught_up() -> None:
    """For prices follow from it; the one before it is missed where it could not be closed."""
    windows = OpenWindows(reach_ms=8 * WINDOW_MS)
    windows.know(NOON_MS)
    assert windows.last_known == NOON_MS - WINDOW_MS

    windows.know(NOON_MS + WINDOW_MS)

    assert windows.last_known == NOON_MS
    assert max(windows.newest_missed()) == NOON_MS - WINDOW_MS
    windows.tried([NOON_MS], are_closed=True)
    assert windows.last_known is None


def test_windows_that_cannot_be_closed_hold_up_no_others_and_come_again() -> None:
    """After every other one had its turn."""
    windows = OpenWindows(reach_ms=6 * WINDOW_MS)
    windows.know(NOON_MS)
    windows.tried([NOON_MS - WINDOW_MS], are_closed=True)
    first = windows.newest_missed()
    windows.tried(first, are_closed=False)

    second = windows.newest_missed()
    assert second == [NOON_MS - 6 * WINDOW_MS, NOON_MS - 5 * WINDOW_MS]
    windows.tried(second, are_closed=True)

    assert not windows.has_untried
    assert windows.newest_missed() == first == [NOON_MS - back * WINDOW_MS for back in (4, 3, 2)]


def test_what_is_out_of_reach_is_left_open_and_time_that_stands_still_opens_nothing() -> None:
    """Bounded, whatever happens."""
    windows = OpenWindows(reach_ms=2 * WINDOW_MS)
    windows.know(NOON_MS)
    windows.know(NOON_MS)
    assert len(windows) == 2

    windows.know(NOON_MS + 100 * WINDOW_MS)

    assert len(windows) == 2
    assert windows.last_known == NOON_MS + 99 * WINDOW_MS


def test_what_stays_open_is_kept_longer_than_is_caught_up_at_the_start() -> None:
    """However far what is complete jumps, and whatever cannot be closed meanwhile."""
    windows = OpenWindows(reach_ms=2 * WINDOW_MS, kept_ms=50 * WINDOW_MS)
    windows.know(NOON_MS)
    assert (len(windows), windows.closed_through_ms) == (2, NOON_MS - 2 * WINDOW_MS)

    windows.know(NOON_MS + 10 * WINDOW_MS)
    assert (len(windows), windows.closed_through_ms) == (12, NOON_MS - 2 * WINDOW_MS)

    windows.know(NOON_MS + 100 * WINDOW_MS)
    assert (len(windows), windows.closed_through_ms) == (50, NOON_MS + 50 * WINDOW_MS)


def test_it_is_known_through_when_all_is_closed() -> None:
    """Up to the first that is open, and at the end up to all that may be closed."""
    windows = OpenWindows(reach_ms=2 * WINDOW_MS)
    assert windows.closed_through_ms is None
    windows.know(NOON_MS)

    windows.tried([NOON_MS - WINDOW_MS], are_closed=True)
    assert windows.closed_through_ms == NOON_MS - 2 * WINDOW_MS
    windows.tried([NOON_MS - 2 * WINDOW_MS], are_closed=True)

    assert windows.closed_through_ms == NOON_MS


def test_due_windows_of_one_region_and_hour_are_summed_up_together() -> None:
    """In the order in which the first of each came."""
    other, third, first = (replace_due(latest_ms=0)._replace(start_ms=NOON_MS + n * WINDOW_MS) for n in (5, 3, 0))
    elsewhere = first._replace(region="Elsewhere")

    assert by_hour([other, third, elsewhere, first]) == [[other], [third, first], [elsewhere]]


def test_a_batch_without_a_time_is_as_old_as_its_parts() -> None:
    """Of a release that did not tell when a batch was made."""
    desk = Desk()
    batches = ReceivedBatches(("b-1",), [NOW_MS], None, [observation("m-1", LATE_MS, "meter")])

    desk.late.look(replace(batches, create_ms=0))

    assert desk.count("marked") == 1
