"""Closed windows of regions over a real store: corrected once when something came late, whoever does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio

from analytics.windows.due_window import QUIET_MS, DueWindow
from analytics.windows.region_window import WINDOW_MS, WindowSums
from analytics.windows.window_summing import CATCHING_UP_PATIENCE_MS
from common.event_outbox import PENDING
from common.mongo import Database
from tests.integration.analytics.closing import (
    CLOSABLE_MS,
    MINUTE_MS,
    NOON_MS,
    WINDOW_START_MS,
    Closing,
    all_closed,
    three_regions,
    value,
)

LATE_MS = CLOSABLE_MS + 500
QUIET_THROUGH_MS = LATE_MS + QUIET_MS + 1
DUE = DueWindow("North", WINDOW_START_MS, LATE_MS, LATE_MS)


@pytest_asyncio.fixture(loop_scope="session")
async def closing(database: Database) -> AsyncIterator[Closing]:
    """Meters, vehicles and a battery in three regions."""
    async with three_regions(database) as opened:
        yield opened


async def test_late_readings_make_the_next_version_once_they_are_on_record(closing: Closing) -> None:
    """The mark waits until billing is complete past their receipt and it has been quiet."""
    closer = closing.closer()
    await all_closed(closer)
    closing.whole_quarter("meter-2", 1)
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS - 1
    await all_closed(closer)
    assert (closing.told, await closing.stores.due.count()) == (2, 1)

    closing.billing.complete_through_ms = QUIET_THROUGH_MS
    await all_closed(closer)

    window = await closing.stores.windows.find("North", WINDOW_START_MS)
    assert window is not None
    assert (window.version, window.sums) == (2, WindowSums(15_000_015, 0, 2, 2 * WINDOW_MS))
    assert (window.complete_through_ms, closing.told) == (QUIET_THROUGH_MS, 3)
    assert await closing.stores.due.count() == 0
    assert value(closing.metrics, "region_window_corrections_total", region="North") == 1


async def test_what_came_late_waits_while_billing_catches_up_but_not_for_ever(closing: Closing) -> None:
    """Each question about what is not folded reads the log; new windows are closed meanwhile."""
    closer = closing.closer()
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS
    closing.billing.is_catching_up = True
    await all_closed(closer)
    closing.now_ms += CATCHING_UP_PATIENCE_MS - 1
    await all_closed(closer)
    assert (closing.told, await closing.stores.due.count()) == (2, 1)

    closing.now_ms += 1
    await all_closed(closer)
    assert await closing.stores.due.count() == 0


async def test_what_came_late_is_summed_up_as_soon_as_billing_has_caught_up(closing: Closing) -> None:
    """And patience begins anew when it falls behind again."""
    closer = closing.closer()
    closing.billing.complete_through_ms = QUIET_THROUGH_MS
    for is_catching_up, count in ((True, 1), (False, 0), (True, 1)):
        await closing.stores.due.mark([DUE._replace(latest_ms=LATE_MS + 1)])
        closing.billing.is_catching_up = is_catching_up
        closing.now_ms += CATCHING_UP_PATIENCE_MS - 1
        closing.billing.complete_through_ms += 10
        await all_closed(closer)
        assert await closing.stores.due.count() == count


async def test_a_new_version_is_marked_to_be_told_though_the_one_before_was(
    closing: Closing, database: Database
) -> None:
    """In the same write."""
    await all_closed(closing.closer())
    await database["region_windows"].update_many({}, {"$unset": {PENDING: ""}})
    closing.whole_quarter("meter-2", 1)
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closing.closer())

    pending = [document["_id"] async for document in database["region_windows"].find({PENDING: 1})]
    assert pending == [f"North@{WINDOW_START_MS}"]


async def test_late_readings_that_change_no_sum_make_no_version(closing: Closing) -> None:
    """Duplicates, for example; the mark is done."""
    await all_closed(closing.closer())
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closing.closer())

    window = await closing.stores.windows.find("North", WINDOW_START_MS)
    assert window is not None
    assert (window.version, closing.told) == (1, 2)
    assert await closing.stores.due.count() == 0


async def test_several_replicas_that_correct_at_once_make_one_version(closing: Closing) -> None:
    """Each compares with the version it has looked at."""
    await all_closed(closing.closer())
    closing.whole_quarter("meter-2", 1)
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS
    closers = [closing.closer(name) for name in ("one", "two", "three")]

    await asyncio.gather(*map(all_closed, closers))

    window = await closing.stores.windows.find("North", WINDOW_START_MS)
    assert window is not None
    assert (window.version, closing.told) == (2, 3)


async def test_the_newest_window_waits_for_nothing_that_has_time(closing: Closing) -> None:
    """While what came late rests for long after its first few."""
    await all_closed(closing.closer())
    starts_ms = [WINDOW_START_MS - number * WINDOW_MS for number in range(1, 9)]
    await closing.stores.due.mark([DUE._replace(start_ms=start_ms) for start_ms in starts_ms])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS
    closer = closing.closer(concurrency=1, rest_per_work=1e9)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        run = group.create_task(closer.run())
        while await closing.stores.due.count() == len(starts_ms):  # noqa: ASYNC110 - a store has no event
            await asyncio.sleep(0.01)

        closing.billing.complete_through_ms = CLOSABLE_MS + WINDOW_MS
        wanted = {"North", "South"}
        while await closing.stores.windows.closed_regions(NOON_MS) != wanted:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.01)
        # Those of one hour were summed up together.
        assert await closing.stores.due.count() == len(starts_ms) - 3
        run.cancel()


async def test_a_version_that_is_not_of_the_one_at_rest_is_not_kept(closing: Closing) -> None:
    """Neither a first one beside another, nor one after a version that is not there."""
    await all_closed(closing.closer())
    window = await closing.stores.windows.find("North", WINDOW_START_MS)
    assert window is not None

    assert not await closing.stores.windows.close_first(replace(window, meter_count=9))
    assert not await closing.stores.windows.replace(replace(window, version=3, meter_count=9))

    assert await closing.stores.windows.find("North", WINDOW_START_MS) == window


async def test_what_is_in_the_window_already_is_not_summed_up_again(closing: Closing) -> None:
    """A replica that was late itself marks windows that were closed after the readings had come."""
    closer = closing.closer()
    await all_closed(closer)
    closing.billing.totalled.clear()
    await closing.stores.due.mark([DUE._replace(first_ms=CLOSABLE_MS - 1, latest_ms=CLOSABLE_MS - 1)])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closer)

    assert (closing.billing.totalled, await closing.stores.due.count()) == ([], 0)


async def test_what_comes_late_for_a_window_that_nobody_closed_closes_it(closing: Closing) -> None:
    """Longer ago than is caught up by itself."""
    long_ago_ms = WINDOW_START_MS - 1000 * WINDOW_MS
    closing.whole_quarter("meter-1", 3, long_ago_ms)
    await closing.stores.due.mark([DUE._replace(start_ms=long_ago_ms)])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closing.closer())

    window = await closing.stores.windows.find("North", long_ago_ms)
    assert window is not None
    assert (window.version, window.sums.import_milliwatt_hours) == (1, 45)


async def test_a_mark_stays_while_late_readings_come_that_are_not_on_record_yet(closing: Closing) -> None:
    """The window is summed up after a minute all the same, and again when the last is there."""
    await all_closed(closing.closer())
    closing.whole_quarter("meter-2", 1)
    endless = DUE._replace(latest_ms=LATE_MS + 10 * MINUTE_MS)
    await closing.stores.due.mark([endless])
    closing.billing.complete_through_ms = LATE_MS + MINUTE_MS + 1

    await all_closed(closing.closer())

    window = await closing.stores.windows.find("North", WINDOW_START_MS)
    assert window is not None
    assert window.version == 2
    assert await closing.stores.due.ripe(LATE_MS + 2 * MINUTE_MS + 1, 10) == []
    (waiting,) = await closing.stores.due.ripe(endless.latest_ms + QUIET_MS + 1, 10)
    assert waiting == endless._replace(first_ms=LATE_MS + MINUTE_MS + 1)


async def test_marks_are_joined_in_whatever_order_they_are_written(closing: Closing) -> None:
    """And written twice they are the same."""
    marks = [DUE, DUE._replace(first_ms=5, latest_ms=9), DUE._replace(latest_ms=LATE_MS + 1)]
    await closing.stores.due.mark(marks)
    await closing.stores.due.mark(reversed(marks))

    assert await closing.stores.due.ripe(LATE_MS * 2, 10) == [DUE._replace(first_ms=5, latest_ms=LATE_MS + 1)]


async def test_what_comes_late_for_quarter_hours_that_were_removed_leaves_their_window(closing: Closing) -> None:
    """Billing can never answer that question again, so it is not asked for ever."""
    closing.billing.removed_devices = {"meter-1"}
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closing.closer())

    assert await closing.stores.due.count() == 0
    assert await closing.stores.windows.find("North", DUE.start_ms) is None


async def test_marks_of_a_region_without_meters_are_taken_off(closing: Closing) -> None:
    """They were moved elsewhere."""
    await closing.stores.due.mark([DUE._replace(region="West")])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closing.closer())

    assert await closing.stores.due.count() == 0
