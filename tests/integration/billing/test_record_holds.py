"""What billing records itself is never in the past of an answer, however long its write takes."""

import asyncio
from collections.abc import Sequence

import pytest
from pymongo.errors import AutoReconnect

from billing.log.complete_through import CompleteThrough
from billing.log.completeness import Watermark
from billing.log.computed_readings import ComputedReadings
from billing.log.log_writer import LogWriter
from billing.log.record_hold_store import RecordHoldStore
from billing.log.segment import Segment
from billing.log.watermark_store import WatermarkStore
from common.mongo import Database
from tests.integration.billing.store import PARTITIONS, Store, store_on
from tests.integration.billing.test_validation_service import quarter


class SlowWriter(LogWriter):
    """A log whose write is on its way until it is let go on, and may be lost."""

    def __init__(self, store: Store, failure: AutoReconnect | None = None) -> None:
        """`failure` is what the caller hears instead of success."""
        super().__init__(store.log)
        self._store = store
        self._failure = failure
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()

    async def append(self, segments: Sequence[Segment]) -> set[str]:
        """Writes when it may."""
        self.began.set()
        await self.go_on.wait()
        if self._failure is not None:
            raise self._failure
        return await self._store.log.append(segments)


def computed_on(database: Database, store: Store, writer: LogWriter) -> ComputedReadings:
    """The way of estimates and edits into the log."""
    holds = RecordHoldStore(database, store.clock)
    return ComputedReadings(
        writer, store.tail, lambda _: None, PARTITIONS, holds=holds, clock_ms=store.clock, clock=lambda: 0.0
    )


async def through(database: Database, store: Store, at_ms: int) -> int | None:
    """What another replica tells, once every device's batches until an instant are on record."""
    watermarks = WatermarkStore(database)
    await watermarks.raise_to({0: (Watermark(), Watermark(at_ms, 1))})
    return await CompleteThrough(watermarks, RecordHoldStore(database, store.clock)).refresh()


async def test_answers_are_not_complete_through_an_edit_that_is_on_its_way(database: Database) -> None:
    """Half a minute long; when it is in the log they go on, and what was told before it was before its record time."""
    store = await store_on(database)
    writer = SlowWriter(store)
    begun_ms = store.clock()
    appending = asyncio.create_task(computed_on(database, store, writer).append([quarter(0, 5)]))
    async with asyncio.timeout(20):
        await writer.began.wait()
    store.clock.advance_ms(30_000)

    held_ms = await through(database, store, store.clock())
    writer.go_on.set()
    await appending

    (segment,) = await store.log.load(await store.log.unmerged_ids())
    assert held_ms is not None
    assert begun_ms < held_ms < segment.record_ms
    assert await through(database, store, store.clock()) == store.clock()


async def test_a_write_of_which_nothing_is_known_holds_answers_until_it_cannot_come_any_more(
    database: Database,
) -> None:
    """It may still arrive for as long as a server works on what nobody waits for."""
    store = await store_on(database)
    writer = SlowWriter(store, AutoReconnect("lost"))
    writer.go_on.set()
    begun_ms = store.clock()
    with pytest.raises(AutoReconnect):
        await computed_on(database, store, writer).append([quarter(0, 5)])

    store.clock.advance_ms(60_000)
    held_ms = await through(database, store, store.clock())
    store.clock.advance_ms(61_000)

    assert held_ms is not None
    assert held_ms < begun_ms + 60_000
    assert await through(database, store, store.clock()) == store.clock()


async def test_a_hold_that_came_too_late_is_placed_anew(database: Database) -> None:
    """A store that took three of five seconds may have told of an instant that is nearly reached."""
    times = iter([0, 3_000, 3_000, 3_100])
    holds = RecordHoldStore(database, lambda: next(times))

    hold = await holds.place(5_000)

    assert hold.record_ms == 8_000
    assert await RecordHoldStore(database, lambda: 0).earliest_ms() == 8_000
