"""Usage comes to the same from the roll-ups of days, from hours, from readings and from what is not folded yet."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry

from billing.cold.roller import Roller, RollerMetrics
from billing.cold.usage_bucket import Bucket, bucket_end_ms
from billing.cold.usage_pipeline import UsageQuery
from billing.cold.usage_sum import Usage
from billing.live.live_store import LiveStore
from billing.log.kind_columns import LoggedReading
from billing.log.schema import DAY_MS, METER
from common.mongo import Database
from tests.integration.billing.readings import MINUTE_MS, counting, meter_readings, segments
from tests.integration.billing.store import DEVICE, PARTITION, Store, instant_ms, store_on

LATER_MS = 10 * 60_000
CLOCKS = [
    ("UTC", "2026-02-27T22:40:00"),
    ("Asia/Kolkata", "2026-03-30T17:40:00"),
    ("America/New_York", "2026-03-07T03:10:00"),
    ("America/New_York", "2026-10-31T03:10:00"),
    ("Europe/Berlin", "2026-10-24T02:05:00"),
    ("Australia/Lord_Howe", "2026-04-03T20:05:00"),
    ("Australia/Lord_Howe", "2026-10-02T20:05:00"),
]


async def roll_up(store: Store, database: Database) -> None:
    """Makes the documents of all days that were announced."""

    async def at_once(_: float) -> None:
        return

    store.clock.advance_ms(LATER_MS)
    roller = Roller(
        days=store.days,
        live=LiveStore(database),
        metrics=RollerMetrics(CollectorRegistry()),
        give_way=at_once,
        rest_per_work=0.0,
        clock_ms=store.clock,
    )
    while await roller.make_due():
        pass


def label(at_ms: int, bucket: Bucket, zone: ZoneInfo) -> tuple[object, ...]:
    """What tells a bucket from the ones beside it, by the clock on the wall."""
    local = datetime.fromtimestamp(at_ms // 1000, tz=UTC).astimezone(zone)
    if bucket == "hour":
        return (local.date(), local.hour, local.utcoffset())
    return (local.date(),) if bucket == "local_day" else (local.year, local.month)


def expected_usage(readings: Iterable[LoggedReading], bucket: Bucket, zone: ZoneInfo) -> dict[int, dict[str, Any]]:
    """Sums by bucket in plain Python; a bucket starts where its label is first shown."""
    some = sorted(readings, key=lambda one: one.start_ms)
    starts: dict[int, int] = {}
    length_ms = {"minute": MINUTE_MS, "quarter_hour": 15 * MINUTE_MS}.get(bucket)
    if length_ms is None:
        at_ms = some[0].start_ms - some[0].start_ms % MINUTE_MS
        start_ms = at_ms
        while label(start_ms - MINUTE_MS, bucket, zone) == label(at_ms, bucket, zone):
            start_ms -= MINUTE_MS
        for minute_ms in range(at_ms, some[-1].start_ms + 1, MINUTE_MS):
            if label(minute_ms, bucket, zone) != label(minute_ms - MINUTE_MS, bucket, zone):
                start_ms = minute_ms
            starts[minute_ms] = start_ms
    groups: dict[int, list[LoggedReading]] = defaultdict(list)
    for one in some:
        minute_ms = one.start_ms - one.start_ms % MINUTE_MS
        groups[starts[minute_ms] if length_ms is None else one.start_ms - one.start_ms % length_ms].append(one)
    return {start_ms: summed(group) for start_ms, group in groups.items()}


def summed(group: list[LoggedReading]) -> dict[str, Any]:
    """What some readings, by time, come to."""
    energies = [int(one.values[0]) for one in group if one.values[0] is not None]
    powers = [one.values[4] for one in group if one.values[4] is not None]
    return {
        "count": len(group),
        "import": sum(energies) if energies else None,
        "power_kw_ms": pytest.approx(sum(power * MINUTE_MS for power in powers)),
        "powers": (min(powers), max(powers), powers[0], powers[-1]) if powers else (None,) * 4,
        "last_end_ms": max(one.start_ms + one.interval_ms for one in group),
    }


def shown(usage: Usage) -> dict[str, Any]:
    """The same of an answer."""
    return {
        "count": usage.reading_count,
        "import": usage.energies.get("import_milliwatt_hours"),
        "power_kw_ms": usage.power_kw_ms,
        "powers": (usage.minimum_power_kw, usage.maximum_power_kw, usage.first_power_kw, usage.last_power_kw),
        "last_end_ms": usage.last_end_ms,
    }


@pytest.mark.parametrize("bucket", ["minute", "quarter_hour", "hour", "local_day", "local_month"])
@pytest.mark.parametrize(("time_zone", "start"), CLOCKS)
async def test_every_way_to_sum_comes_to_what_plain_python_comes_to(
    database: Database, bucket: Bucket, time_zone: str, start: str
) -> None:
    """Hours alone, days for all, days for some of which one is doubtful again, and readings laid over a day."""
    store = await store_on(database)
    zone, start_ms, minutes = ZoneInfo(time_zone), instant_ms(start), 3300
    readings = meter_readings(3, DEVICE, start_ms, minutes)
    in_order = sorted(readings, key=lambda one: one.start_ms)
    early, late, last = in_order[::2], in_order[1:2000:2], in_order[2001::2]
    first_ms, end_ms = start_ms + 7 * MINUTE_MS, start_ms + (minutes - 11) * MINUTE_MS
    query = UsageQuery(METER, DEVICE, first_ms, end_ms, bucket, time_zone)

    async def require(logged: list[LoggedReading]) -> None:
        found = await store.usage.intervals(query)
        inside = [one for one in counting(logged) if first_ms <= one.start_ms < end_ms]
        assert {at_ms: shown(usage) for at_ms, usage in found} == expected_usage(inside, bucket, zone)
        ends = [bucket_end_ms(at_ms, bucket, zone) for at_ms, _ in found]
        assert all(before <= after for before, (after, _) in zip(ends, found[1:], strict=False))
        some = await store.usage.by_device(METER, [DEVICE], first_ms, end_ms)
        assert shown(some[DEVICE]) == summed(inside)

    await store.take(segments(early, 400, PARTITION, "early"))
    await store.fold_everything()
    await require(early)
    await roll_up(store, database)
    assert await database[METER.days].count_documents({"due_at": {"$exists": False}}) in {3, 4}
    await require(early)
    await store.take(segments(late, 400, PARTITION, "late"))
    await require([*early, *late])
    await store.fold_everything()
    assert await database[METER.days].count_documents({"due_at": {"$exists": True}}) >= 1
    await require([*early, *late])
    await store.take(segments(last, 400, PARTITION, "last"))
    await roll_up(store, database)
    await require(readings)


async def test_a_month_is_read_from_its_days(database: Database) -> None:
    """Once the days are rolled up no hour is read for them: without hours the answer is the same."""
    store = await store_on(database)
    start_ms = instant_ms("2026-03-01T00:00:00")
    readings = [one for day in range(3) for one in meter_readings(day, DEVICE, start_ms + day * DAY_MS, 24 * 60, 0.0)]
    await store.take(segments(readings, 2000, PARTITION))
    await store.fold_everything()
    queries = [
        UsageQuery(METER, DEVICE, start_ms, start_ms + 3 * DAY_MS, bucket, "Asia/Kolkata")
        for bucket in ("quarter_hour", "hour", "local_day", "local_month")
    ]
    before = [await store.usage.intervals(query) for query in queries]
    total = await store.usage.by_device(METER, [DEVICE], start_ms, start_ms + 3 * DAY_MS)
    await roll_up(store, database)

    await database[METER.history].delete_many({})

    for query, expected in zip(queries, before, strict=True):
        found = await store.usage.intervals(query)
        assert [(at_ms, shown(usage)) for at_ms, usage in found] == [
            (at_ms, shown(usage) | {"power_kw_ms": pytest.approx(usage.power_kw_ms)}) for at_ms, usage in expected
        ]
    assert await store.usage.by_device(METER, [DEVICE], start_ms, start_ms + 3 * DAY_MS) == total


async def test_a_page_is_found_without_summing_what_follows(database: Database) -> None:
    """The first buckets of a long time are those of all its pieces together."""
    store = await store_on(database)
    start_ms = instant_ms("2026-01-01T00:00:00")
    readings = [
        one for day in (0, 31, 32, 33, 70) for one in meter_readings(day, DEVICE, start_ms + day * DAY_MS, 30, 0.0)
    ]
    await store.take(segments(readings, 2000, PARTITION))
    await store.fold_everything()
    query = UsageQuery(METER, DEVICE, start_ms, start_ms + 90 * DAY_MS, "quarter_hour", "UTC")

    everything = await store.usage.intervals(query)

    assert len(everything) == 10
    for limit in range(1, 11):
        assert await store.usage.intervals(query, limit=limit) == everything[:limit]
