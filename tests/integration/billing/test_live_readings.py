"""What devices do now, from Redis and from the store behind it."""

import asyncio
import random
import time
from dataclasses import dataclass

import pytest_asyncio
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from billing.cold.history_store import HistoryStore
from billing.live.answer_cache import AnswerCache
from billing.live.hot_reading import Latest
from billing.live.live_cache import LiveCache
from billing.live.live_publisher import LivePublisher
from billing.live.live_state import LiveState, advanced, five_minute_mean
from billing.live.live_store import LiveStore
from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation
from billing.log.segment import Segment, of_devices
from billing.log.tail_reader import TailReader
from billing.usage.live_reader import LiveReader
from common.localstack.mesh import Mesh
from common.mongo import Database
from common.redis_client import open_redis
from tests.integration.billing.readings import (
    LIVE_START_MS as START_MS,
)
from tests.integration.billing.readings import (
    MINUTE_MS,
    NONE,
    energy_segment,
    meter_readings,
    segments,
)
from tests.integration.billing.store import PARTITION, Store, store_on

DEVICES = ["m-1", "m-2", "m-3"]


def latest(start_ms: int, revision: int = 0, receive_ms: int = 1, energy: int = 1, record_ms: int = 2) -> Latest:
    """A meter's newest reading with this import."""
    observation = Observation(start_ms % 3_600_000, revision, 60_000, receive_ms, record_ms, (energy, *NONE))
    return Latest("meter", "m-1", start_ms, observation, receive_ms)


RIVALS = [
    latest(60_000, receive_ms=30),
    latest(120_000),
    latest(120_000, revision=2, receive_ms=9),
    latest(120_000, revision=2, receive_ms=8, record_ms=4),
    latest(120_000, revision=2, receive_ms=8, record_ms=3),
    latest(120_000, revision=2, receive_ms=8, energy=5),
    latest(120_000, revision=1, receive_ms=1),
]
WINNER = latest(120_000, revision=2, receive_ms=8, record_ms=3)


def minutes(states: dict[str, LiveState]) -> dict[str, list[int]]:
    """In which minutes the readings of each state start."""
    return {
        device_id: [(start_ms - START_MS) // MINUTE_MS for start_ms, _ in state.readings]
        for device_id, state in states.items()
    }


@dataclass
class Live:
    """One billing process's live reads on the real store and cache."""

    store: Store
    cache: LiveCache
    publisher: LivePublisher
    reader: LiveReader

    async def take(self, *some: Segment) -> None:
        """Logs segments and offers them to the cache, as the consumer does."""
        await self.store.take([*some])
        for segment in some:
            self.publisher.offer_segment(segment)


async def live_on(database: Database, cache: LiveCache) -> Live:
    """Live reads over a database and a cache."""
    store = await store_on(database)
    publisher = LivePublisher(cache, AnswerCache(cache._redis, 60), CollectorRegistry())
    reader = LiveReader(
        cache=cache,
        store=store.live,
        history=HistoryStore(database),
        tail=TailReader(store.tail, store.log),
        publisher=publisher,
    )
    return Live(store, cache, publisher, reader)


@pytest_asyncio.fixture(loop_scope="session")
async def live(database: Database, redis: Redis) -> Live:
    """Live reads over an empty store and an empty cache."""
    return await live_on(database, LiveCache(redis))


async def test_the_hot_document_holds_the_newest_whatever_the_order(database: Database) -> None:
    """The reading that counts of the latest start and the last receipt of any, however often and in what order."""
    store = LiveStore(database)
    for seed in range(12):
        await database["meter_live"].delete_many({})
        for one in random.Random(seed).sample(RIVALS * 2, 14):
            await store.advance([one])

        stored = (await store.find(["m-1"]))["m-1"]

        assert stored == Latest("meter", "m-1", WINNER.start_ms, WINNER.observation, last_receive_ms=30)


async def test_an_emptied_cache_is_filled_again_from_the_documents_and_the_log(live: Live, redis: Redis) -> None:
    """Losing Redis costs speed and nothing else: folded, only logged, and of five minutes all of it."""
    await live.take(energy_segment("b-1", *(("m-1", minute, 7) for minute in range(8)), ("m-2", 3, 1)))
    await live.store.fold_everything()
    await live.take(energy_segment("b-2", ("m-1", 8, 8)))
    expected = {"m-1": [4, 5, 6, 7, 8], "m-2": [3]}
    assert minutes(await live.reader.find(DEVICES)) == expected

    await redis.flushall()

    assert minutes(await live.reader.find(DEVICES)) == expected
    entries = await live.cache.find(DEVICES)
    assert minutes({name: entry.state for name, entry in entries.items() if entry.state}) == expected
    assert all(entry.is_whole for entry in entries.values())
    assert entries["m-3"].state is None


async def test_what_is_cached_moves_on_with_the_log(live: Live) -> None:
    """Readings of one minute after the other, read from the cache alone, give what the store gives."""
    readings = meter_readings(4, "m-1", START_MS, 30, revision_share=0.3)
    assert await live.reader.find(["m-1"]) == {}
    some = segments(readings, 7, PARTITION)

    for segment in some:
        await live.take(segment)
        assert await live.publisher.flush()
        if segment is some[2]:
            await live.store.fold_everything()

    (entry,) = (await live.cache.find(["m-1"])).values()
    assert entry.is_whole
    timed = [
        (key.span_start_ms + one.offset_ms, one)
        for key, observations in of_devices(some, ["m-1"]).items()
        for one in observations
    ]
    assert entry.state == advanced(None, "meter", "m-1", timed)
    await live.cache.clear()
    assert (await live.reader.find(["m-1"]))["m-1"] == entry.state


async def test_what_the_cache_is_still_to_get_is_answered_already(live: Live) -> None:
    """A reading counts as live when it is logged; an older one that waits as well hides nothing."""
    await live.take(energy_segment("b-1", *((device_id, 2, 1) for device_id in DEVICES)))
    await live.reader.find(DEVICES)
    assert await live.publisher.flush()

    live.publisher.offer_segment(energy_segment("b-2", ("m-1", 3, 7), ("m-2", 1, 7)))

    assert minutes(await live.reader.find(DEVICES)) == {"m-1": [2, 3], "m-2": [1, 2], "m-3": [2]}


async def test_an_entry_that_is_older_than_the_store_is_not_prolonged(database: Database, redis: Redis) -> None:
    """Redis came back with what it once knew, or a process died before it wrote: the entry ends, the store decides."""
    life_ms = 400
    live = await live_on(database, LiveCache(redis, life_ms))
    await live.reader.find(["m-1"])
    await live.store.take([energy_segment("b-1", ("m-1", 5, 5))])
    await live.store.fold_everything()
    entry = (await live.cache.find(["m-1"]))["m-1"]
    wrong = advanced(None, "meter", "m-1", [(START_MS + 9 * MINUTE_MS, latest(0, revision=9).observation)])
    assert await live.cache.replace({"m-1": (entry, wrong)}, whole=True) == []

    deadline = time.monotonic() + 5
    while await live.cache.find(["m-1"]) and time.monotonic() < deadline:
        # Asking and writing do not keep it.
        live.publisher.offer_segment(energy_segment("b-0", ("m-1", 4, 4)))
        assert await live.publisher.flush()
        await asyncio.sleep(0.02)

    assert minutes(await live.reader.find(["m-1"])) == {"m-1": [5]}


async def test_an_entry_nobody_has_filled_is_not_believed(live: Live) -> None:
    """What a publisher wrote into an open entry is joined with what the store has before anyone answers from it."""
    await live.store.take([energy_segment("b-1", ("m-1", 1, 1), ("m-1", 2, 2))])
    await live.cache.open(["m-1"])
    await live.take(energy_segment("b-2", ("m-1", 0, 3)))
    assert await live.publisher.flush()

    assert minutes(await live.reader.find(["m-1"])) == {"m-1": [0, 1, 2]}


async def test_filling_and_writing_at_once_lose_nothing(database: Database, redis: Redis) -> None:
    """Two processes with a cache between them: whoever comes first, the entry ends up with all that was logged."""
    one, other = await live_on(database, LiveCache(redis)), await live_on(database, LiveCache(redis))
    for start in range(0, 40, 4):
        await redis.flushdb()
        some = [energy_segment(f"b-{minute}", ("m-1", minute, minute)) for minute in range(start, start + 4)]
        await asyncio.gather(
            *(one.take(segment) for segment in some[:2]),
            *(other.take(segment) for segment in some[2:]),
            *(process.reader.find(["m-1"]) for process in (one, other, one)),
            one.publisher.flush(),
            other.publisher.flush(),
        )
        await asyncio.gather(one.publisher.flush(), other.publisher.flush())

        (entry,) = (await one.cache.find(["m-1"])).values()
        assert entry.is_whole
        assert minutes({"m-1": entry.state} if entry.state else {}) == {
            "m-1": list(range(max(0, start - 1), start + 4))
        }


async def test_an_entry_that_ended_and_was_opened_again_is_another_one(live: Live) -> None:
    """What was read for the first is too old for the second, so it is not written there."""
    first = (await live.cache.open(["m-1"]))["m-1"]
    await live.cache.clear()
    await live.cache.open(["m-1"])

    lost = await live.cache.replace({"m-1": (first, None)}, whole=True)

    assert lost == ["m-1"]
    assert not (await live.cache.find(["m-1"]))["m-1"].is_whole


async def test_a_device_nobody_asks_about_is_not_cached(live: Live, redis: Redis) -> None:
    """Ten thousand devices that send cost the cache nothing while nobody looks."""
    await live.take(energy_segment("b-1", ("m-1", 1, 1)))

    assert await live.publisher.flush()

    assert await redis.keys("live:*") == []


async def test_a_cache_that_is_away_gets_what_it_missed_when_it_is_back(database: Database, servers: Mesh) -> None:
    """What could not be written waits and is answered meanwhile; the store is asked for the rest."""
    back = open_redis(servers.redis_url)
    await back.flushdb()
    away = open_redis("redis://127.0.0.1:1/0")
    live = await live_on(database, LiveCache(back))
    await live.take(energy_segment("b-1", ("m-1", 1, 1)))
    await live.reader.find(["m-1"])

    live.publisher._cache = live.reader._cache = LiveCache(away)
    live.publisher.offer_segment(energy_segment("b-2", ("m-1", 2, 2)))
    assert await live.publisher.flush() is False
    assert minutes(await live.reader.find(["m-1"])) == {"m-1": [1, 2]}

    live.publisher._cache = live.reader._cache = live.cache
    assert await live.publisher.flush() is True
    entry = (await live.cache.find(["m-1"]))["m-1"]
    assert entry.state is not None
    assert minutes({"m-1": entry.state}) == {"m-1": [1, 2]}
    await back.aclose()
    await away.aclose()


async def test_a_cache_that_missed_too_much_is_not_believed_until_it_is_emptied(
    database: Database, redis: Redis
) -> None:
    """What waits is bounded: beyond that the store answers, and the entries that miss something are ended."""
    live = await live_on(database, LiveCache(redis))
    live.publisher = live.reader._publisher = LivePublisher(
        live.cache, AnswerCache(live.cache._redis, 60), CollectorRegistry(), readings_maximum=2
    )
    await live.take(energy_segment("b-1", ("m-1", 1, 1)))
    await live.reader.find(["m-1"])

    await live.take(energy_segment("b-2", ("m-1", 2, 2), ("m-1", 3, 3)))

    assert live.publisher.is_behind
    assert minutes(await live.reader.find(["m-1"])) == {"m-1": [1, 2, 3]}
    assert await live.publisher.flush()
    assert not live.publisher.is_behind
    assert await redis.keys("live:*") == []


async def test_the_mean_of_five_minutes_is_that_of_the_readings_on_record(live: Live) -> None:
    """A correction of a reading in the window corrects the mean, from cache and store alike."""
    powers = (*NONE[:3], 3.0, *NONE[:7])
    await live.reader.find(["m-1"])
    readings = [
        LoggedReading("meter", "m-1", START_MS + minute * MINUTE_MS, MINUTE_MS, 0, 5, (50_000, *powers))
        for minute in range(6)
    ]
    correction = readings[3]._replace(revision=1, values=(100_000, *powers))
    await live.take(*segments([*readings, correction], 3, PARTITION))
    assert await live.publisher.flush()

    cached = five_minute_mean((await live.reader.find(["m-1"]))["m-1"])
    await live.store.fold_everything()
    await live.cache.clear()
    stored = five_minute_mean((await live.reader.find(["m-1"]))["m-1"])

    assert cached == stored
    assert (stored.reading_count, stored.power_kw, stored.energy_power_kw) == (5, 3.0, 3.6)
