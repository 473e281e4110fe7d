"""Segments leave the log only when each of their readings is at rest, and no answer changes when they do."""

import asyncio
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from billing.cold.quarantine_store import QuarantinedBatch, QuarantinedSpan, QuarantineStore
from billing.cold.sealed_day_store import SealedDayStore
from billing.cold.usage_pipeline import UsageQuery
from billing.log.observation import SpanKey
from billing.log.schema import DAY_MS, METER
from billing.retention.log_retention import LogRetention, LogRetentionMetrics
from common.mongo import Database
from tests.integration.billing.readings import meter_readings, segments
from tests.integration.billing.store import DEVICE, PARTITION, Store, instant_ms, store_on
from tests.integration.billing.test_retention import filled as filled_with_two_days
from tests.integration.billing.test_retention import removed as spans_removed
from tests.integration.billing.test_retention import retention as raw_retention

START_MS = instant_ms("2026-03-01T00:00:00")
HOUR_MS = 3_600_000
AS_OF_MS = 2_000


async def filled(database: Database) -> Store:
    """Two hours of readings in a segment each, and later one with ten of the first hour again."""
    store = await store_on(database)
    for hour, prefix in enumerate(("first", "second")):
        readings = meter_readings(hour, DEVICE, START_MS + hour * HOUR_MS, 60)
        await store.take(segments(readings, 100, PARTITION, prefix))
    (again,) = segments(meter_readings(2, DEVICE, START_MS, 10), 100, PARTITION, "again")
    await store.take([replace(again, record_ms=AS_OF_MS + 1)])
    return store


def retention(store: Store, database: Database, log_days: int = 10) -> LogRetention:
    """The task, some days after all was recorded."""

    async def at_once(_: float) -> None:
        return

    store.clock.at_ms = AS_OF_MS + 11 * DAY_MS
    return LogRetention(
        store.log,
        store.history,
        SealedDayStore(database),
        log_days,
        LogRetentionMetrics(CollectorRegistry()),
        at_once,
        store.clock,
    )


async def left(database: Database) -> set[str]:
    """Does what the server does after a while; returns the segments that are left."""
    await database["readings_log"].delete_many({"expire_at": {"$exists": True}})
    return {found["_id"] async for found in database["readings_log"].find({}, {"_id": 1})}


async def answers(store: Store) -> list[Any]:
    """What usage says of the two hours, now and as of the moment they were recorded."""
    query = UsageQuery(METER, DEVICE, START_MS, START_MS + DAY_MS, "minute", "UTC")
    return [await store.usage.intervals(query, as_of_ms=as_of_ms) for as_of_ms in (None, AS_OF_MS)]


async def test_old_segments_go_and_no_answer_changes(database: Database) -> None:
    """Not even what was known before a correction: the cold documents keep what it superseded."""
    store = await filled(database)
    await store.fold_everything()
    before = await answers(store)
    task = retention(store, database)
    await task.log.prepare_expiry()

    await task.let_go()

    assert await left(database) == set()
    assert task.metrics.removed._value.get() == 3
    assert await answers(store) == before


async def test_segments_that_are_not_old_or_not_folded_stay(database: Database) -> None:
    """The log is the truth of what is not at rest yet."""
    store = await filled(database)
    every = await left(database)

    await retention(store, database).let_go()
    unfolded = await left(database)
    await store.fold_everything()
    await retention(store, database, 12).let_go()

    assert unfolded == every
    assert await left(database) == every


async def test_a_segment_of_which_a_reading_is_not_at_rest_stays_and_is_counted(database: Database) -> None:
    """The second hour's document is gone; its segment stays, and a second look finds the same."""
    store = await filled(database)
    await store.fold_everything()
    await database[METER.history].delete_one({"_id": f"{DEVICE}@{START_MS + HOUR_MS}"})
    task = retention(store, database)

    await task.let_go()
    first = await left(database)
    await task.let_go()

    assert first == await left(database) == {"second-0"}
    assert task.metrics.differing._value.get() == 2


async def test_a_segment_with_a_reading_that_was_set_aside_stays(database: Database) -> None:
    """It is nowhere else."""
    store = await filled(database)
    await store.fold_everything()
    aside = QuarantinedSpan(SpanKey("meter", DEVICE, 0), "for a test")
    await QuarantineStore(database).add([QuarantinedBatch("again-0", 5, [aside])])
    await store.log.mark_merged(["again-0"])

    await retention(store, database).let_go()

    assert await left(database) == {"again-0"}


async def test_two_at_once_of_which_one_is_cancelled_remove_what_one_removes(database: Database) -> None:
    """Nothing depends on who was first, or on anybody coming to an end."""
    store = await filled(database)
    await store.fold_everything()
    before = await answers(store)
    tasks = [asyncio.ensure_future(retention(store, database).let_go()) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()

    await asyncio.gather(*tasks, return_exceptions=True)

    assert await left(database) == set()
    assert await answers(store) == before


async def test_segments_of_days_whose_cold_readings_were_removed_go_too(database: Database) -> None:
    """Those were verified when their day was sealed; the day after still has its readings."""
    store = await filled_with_two_days(database)
    await raw_retention(store).let_go()
    await spans_removed(database)

    await retention(store, database).let_go()

    assert await left(database) == set()
