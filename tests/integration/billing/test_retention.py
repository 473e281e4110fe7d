"""Readings are removed only after their day was made again from them, and usage answers the same afterwards."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from billing.cold.usage_pipeline import UsageQuery
from billing.log.schema import DAY_MS, HOUR_MS, METER
from billing.retention.cold_retention import Retention, RetentionMetrics
from common.errors import NoReadings
from common.mongo import Database
from tests.integration.billing.readings import meter_readings, segments
from tests.integration.billing.store import DEVICE, PARTITION, Store, instant_ms, store_on
from tests.integration.billing.test_usage_of_days import roll_up

START_MS = instant_ms("2026-03-01T00:00:00")


async def filled(database: Database) -> Store:
    """Two days of readings, rolled up."""
    store = await store_on(database)
    await store.history.prepare_expiry()
    readings = [one for day in range(2) for one in meter_readings(day, DEVICE, START_MS + day * DAY_MS, 24 * 60)]
    await store.take(segments(readings, 3000, PARTITION))
    await store.fold_everything()
    await roll_up(store, database)
    return store


def retention(store: Store) -> Retention:
    """The task with a retention that ends between the two days."""

    async def at_once(_: float) -> None:
        return

    store.clock.at_ms = START_MS + 11 * DAY_MS
    return Retention(
        store.history, store.days, store.live, 10, RetentionMetrics(CollectorRegistry()), at_once, store.clock
    )


async def removed(database: Database) -> int:
    """Does what the server does after a while; returns how many spans that were."""
    result: Any = await database[METER.history].delete_many({"expire_at": {"$exists": True}})
    return int(result.deleted_count)


async def answers(store: Store) -> list[Any]:
    """What usage says of both days, by quarter-hour and in all, and of an hour among many devices."""
    query = UsageQuery(METER, DEVICE, START_MS, START_MS + 2 * DAY_MS, "quarter_hour", "UTC")
    hour, many = (START_MS, START_MS + HOUR_MS), [DEVICE, *(f"silent-{number}" for number in range(9))]
    return [
        await store.usage.intervals(query),
        await store.usage.by_device(METER, [DEVICE], query.start_ms, query.end_ms),
        await store.usage.by_device(METER, many, *hour),
        (await store.minutes.totals(many, *hour, with_quarters=True))[1],
    ]


async def test_nothing_is_told_as_of_a_moment_about_days_that_lost_their_readings(database: Database) -> None:
    """The sums that are left say nothing of what was known when; the day after is answered."""
    store = await filled(database)
    await retention(store).let_go()

    with pytest.raises(NoReadings):
        await store.usage.by_device(METER, [DEVICE], START_MS + 1, START_MS + 2 * DAY_MS, 10**15)
    assert await store.usage.by_device(METER, [DEVICE], START_MS + DAY_MS, START_MS + 2 * DAY_MS, 10**15)


async def test_only_days_past_the_setting_lose_their_readings_and_no_sum_changes(database: Database) -> None:
    """Twenty-four hours go, twenty-four stay, and each answer is what it was."""
    store = await filled(database)
    before = await answers(store)
    task = retention(store)

    await task.let_go()
    await task.let_go()

    assert await removed(database) == 24
    assert await database[METER.history].count_documents({}) == 24
    assert await answers(store) == before


@pytest.mark.parametrize("field", ["columns.import_milliwatt_hours.7", "total.reading_count"])
async def test_a_day_that_is_not_what_its_readings_are_keeps_them(database: Database, field: str) -> None:
    """One place that differs is enough; the day is counted and nothing is removed."""
    store = await filled(database)
    task = retention(store)
    await database[METER.days].update_one({"_id": f"{DEVICE}@{START_MS}"}, {"$inc": {field: 1}})

    await task.let_go()

    assert await removed(database) == 0
    assert task.metrics.differing._value.get() == 1


async def test_a_day_that_is_to_be_made_again_keeps_its_readings(database: Database) -> None:
    """A late reading before the removal is folded first."""
    store = await filled(database)
    task = retention(store)
    await store.take(segments(meter_readings(9, DEVICE, START_MS, 5), 5, PARTITION, "late"))
    await store.fold_everything()

    await task.let_go()

    assert await removed(database) == 0


async def test_a_reading_that_comes_after_the_removal_is_set_aside_and_told(database: Database) -> None:
    """The sums stay what was verified; the reading stays in the log, and its segment is on the list with the reason."""
    store = await filled(database)
    before = await answers(store)
    await retention(store).let_go()
    await removed(database)

    await store.take(segments(meter_readings(9, DEVICE, START_MS, 5, 0.0), 5, PARTITION, "late"))
    assert await answers(store) == before
    await store.fold_everything()

    assert await answers(store) == before
    (aside,) = [document async for document in database["readings_quarantined"].find()]
    assert aside["_id"] == "late-0"
    assert "sealed" in aside["reason"]
    assert await database[METER.history].count_documents({}) == 24
    assert await store.log.unmerged_ids() == []
