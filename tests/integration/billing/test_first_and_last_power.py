"""First and last power go by the time of the readings, wherever these lie and in whatever order they are summed."""

import random
from collections.abc import Iterable
from typing import Any

import pytest
from energy.billing.v1 import usage_service_pb2 as pb

from billing.cold.usage_bucket import Bucket
from billing.cold.usage_pipeline import UsageQuery
from billing.log.kind_columns import LoggedReading
from billing.log.schema import KINDS, METER, QUARTER_MS, Kind
from billing.log.segment import Segment
from common.instants import from_ms
from common.mongo import Database
from common.topology import partition_of
from tests.integration.billing.readings import MINUTE_MS, segments
from tests.integration.billing.store import DEVICE, PARTITION, PARTITIONS, Store, instant_ms, store_on
from tests.integration.billing.test_usage_of_days import roll_up
from tests.integration.billing.usage_mesh import (
    CALL_SECONDS,
    KOLKATA,
    LORD_HOWE,
    MadeUpRegistry,
    listing,
    usage_service,
)

# Ten minutes before April in Kolkata, 340 before it in UTC.
START, END = "2026-03-31T18:20:00", "2026-04-01T18:20:00"
START_MS, END_MS = instant_ms(START), instant_ms(END)
MINUTES_A_DAY = 1_440
# Neither the first nor the last is the least or the greatest, nor is one carried at either end.
POWERS_KW = {3: 5.0, 4: 6.0, 7: 1.0, 200: 9.0, 300: -0.5, 341: 8.0, 900: 4.0, 1_430: 0.0}

Powers = tuple[float | None, float | None]


def powered(powers_kw: dict[int, float], kind: Kind = METER, device_id: str = DEVICE) -> list[LoggedReading]:
    """A reading of every minute of a day, by time, with a power in the minutes given and without one in the others."""
    readings = []
    for minute in range(MINUTES_A_DAY):
        values: list[Any] = [None] * len(kind.columns)
        values[kind.position(kind.power)] = powers_kw.get(minute)
        at_ms = START_MS + minute * MINUTE_MS
        readings.append(LoggedReading(kind.name, device_id, at_ms, MINUTE_MS, 0, at_ms + 1, tuple(values)))
    return readings


def outer(powers_kw: Iterable[float | None]) -> Powers:
    """The first and the last of some powers by time that was measured."""
    measured = [one for one in powers_kw if one is not None]
    return (measured[0], measured[-1]) if measured else (None, None)


async def by_bucket(store: Store, bucket: Bucket) -> list[Powers]:
    """First and last power of the buckets that have one, by the clock of Kolkata."""
    found = await store.usage.intervals(UsageQuery(METER, DEVICE, START_MS, END_MS, bucket, "Asia/Kolkata"))
    powers = [(usage.first_power_kw, usage.last_power_kw) for _, usage in found]
    return [pair for pair in powers if pair != (None, None)]


async def in_total(
    store: Store, kind: Kind = METER, window_ms: tuple[int, int] = (START_MS, END_MS), as_of_ms: int | None = None
) -> Powers:
    """First and last power over a time."""
    usage = (await store.usage.by_device(kind, [DEVICE], *window_ms, as_of_ms))[DEVICE]
    return usage.first_power_kw, usage.last_power_kw


@pytest.mark.parametrize("way", ["not folded", "folded", "rolled up"])
async def test_readings_without_power_are_neither_first_nor_last(database: Database, way: str) -> None:
    """The earliest and the latest reading that carried a power tell, in a bucket of every length."""
    store = await store_on(database)
    readings = powered(POWERS_KW)
    random.Random(1).shuffle(readings)
    await store.take(segments(readings, 200, PARTITION))
    if way != "not folded":
        await store.fold_everything()
    if way == "rolled up":
        await roll_up(store, database)

    later = [(9.0, 9.0), (-0.5, -0.5), (8.0, 8.0), (4.0, 4.0), (0.0, 0.0)]
    assert await by_bucket(store, "minute") == [(kw, kw) for kw in POWERS_KW.values()]
    assert await by_bucket(store, "quarter_hour") == [(5.0, 1.0), *later]
    assert await by_bucket(store, "hour") == [(5.0, 1.0), *later]
    assert await by_bucket(store, "local_day") == [(5.0, 1.0), (9.0, 0.0)]
    assert await by_bucket(store, "local_month") == [(5.0, 1.0), (9.0, 0.0)]
    assert await in_total(store) == (5.0, 0.0)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_time_cut_anywhere_has_the_powers_at_its_own_ends(database: Database, kind: Kind) -> None:
    """Summed from readings, quarter-hours, hours, days and what lies over them together, like by plain Python."""
    random_ = random.Random(7)
    powers_kw = {minute: random_.uniform(-9.0, 9.0) for minute in random_.sample(range(MINUTES_A_DAY), 200)}
    readings = powered(powers_kw, kind)
    store = await store_on(database)
    await store.take(segments(readings[::2], 200, PARTITION, "early"))
    await store.fold_everything()
    await roll_up(store, database)
    await store.take(segments(readings[901::2], 200, PARTITION, "late"))
    known = {minute: kw for minute, kw in powers_kw.items() if minute % 2 == 0 or minute > 900}

    for _ in range(25):
        first, end = sorted(random_.sample(range(0, MINUTES_A_DAY + 1, 2), 2))
        window_ms = (START_MS + first * MINUTE_MS, START_MS + end * MINUTE_MS)
        assert await in_total(store, kind, window_ms) == outer(known.get(minute) for minute in range(first, end))
        query = UsageQuery(kind, DEVICE, *window_ms, "quarter_hour")
        for at_ms, usage in await store.usage.intervals(query):
            at = max(0, (at_ms - START_MS) // MINUTE_MS)
            inside = [
                known.get(minute)
                for minute in range(max(first, at), end)
                if START_MS + minute * MINUTE_MS < at_ms + QUARTER_MS
            ]
            assert (usage.first_power_kw, usage.last_power_kw) == outer(inside)


async def test_what_comes_late_takes_its_place_in_time(database: Database) -> None:
    """A correction laid over a day may take the first power away, give a later last one, and was unknown before."""
    store = await store_on(database)
    readings = powered(POWERS_KW)
    await store.take(segments(readings, 2_000, PARTITION))
    await store.fold_everything()
    await roll_up(store, database)
    corrected = [
        readings[minute]._replace(revision=1, values=powered({minute: kw} if kw else {})[minute].values)
        for minute, kw in ((3, None), (1_439, 3.5))
    ]
    await store.take([Segment.of("late", PARTITION, "w", 9, 0, 9_000, corrected)])

    for _ in range(2):
        assert await by_bucket(store, "local_month") == [(6.0, 1.0), (9.0, 3.5)]
        assert await in_total(store) == (6.0, 3.5)
        assert await in_total(store, as_of_ms=8_999) == (5.0, 0.0)
        await store.fold_everything()


async def test_powers_are_told_of_one_device_and_of_no_sum_of_several(database: Database) -> None:
    """They come with every interval and with the total of one device, and are absent where nobody measured one."""
    store = await store_on(database)
    for device_id, powers_kw in ((KOLKATA, {2: 2.5, 8: 0.0}), (LORD_HOWE, {5: 7.0})):
        some = segments(powered(powers_kw, device_id=device_id), 2_000, partition_of(device_id, PARTITIONS), device_id)
        await store.take(some)
    await store.fold_everything()
    window: dict[str, Any] = {"start_time": from_ms(START_MS), "end_time": from_ms(END_MS)}
    async with usage_service(database, MadeUpRegistry()) as stub:
        listed = await stub.ListUsage(listing(KOLKATA, START, END, "LOCAL_MONTH"), timeout=CALL_SECONDS)
        one, both, fleet = [
            await stub.SummarizeUsage(pb.SummarizeUsageRequest(**scope, **window), timeout=CALL_SECONDS)
            for scope in ({"device_ids": [KOLKATA]}, {"device_ids": [KOLKATA, LORD_HOWE]}, {"all": True})
        ]

    march, april = (interval.usage for interval in listed.intervals)
    assert (march.first_power_kw, march.last_power_kw) == (2.5, 0.0)
    assert march.HasField("last_power_kw")
    assert not april.HasField("first_power_kw")
    assert not april.HasField("last_power_kw")
    assert (one.total.first_power_kw, one.total.last_power_kw) == (2.5, 0.0)
    assert one.total == one.devices[0].usage
    assert [device.usage.first_power_kw for device in both.devices] == [2.5, 7.0]
    for total in (both.total, fleet.total):
        assert not total.HasField("first_power_kw")
        assert not total.HasField("last_power_kw")
        assert total.maximum_power_kw == 7.0
