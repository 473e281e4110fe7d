"""The newest reading of a device, from Redis and from the store behind it."""

import random

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from billing.history_store import HistoryStore
from billing.kind_columns import LoggedReading
from billing.live import Latest, newest
from billing.live_cache import LiveCache
from billing.live_publisher import LivePublisher
from billing.live_reader import LiveReader
from billing.live_store import LiveStore
from billing.log_store import LogStore
from billing.newest import Newest, newest_of_all
from billing.observation import Observation
from billing.segment import Segment
from billing.tail import Tail
from billing.tail_reader import TailReader
from common.instants import to_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from common.redis_client import open_redis

NONE = (None,) * 9


def latest(start_ms: int, revision: int = 0, receive_ms: int = 1, energy: int = 1, device_id: str = "m-1") -> Latest:
    """A meter's newest reading with this import."""
    return Latest(
        "meter",
        device_id,
        start_ms,
        Observation(start_ms % 3_600_000, revision, 60_000, receive_ms, 2, (energy, *NONE)),
    )


def as_columns(*some: Latest) -> Newest:
    """As the cache takes them."""
    return newest_of_all([], {}, some)["meter"]


RIVALS = [
    latest(60_000),
    latest(120_000),
    latest(120_000, revision=2, receive_ms=9),
    latest(120_000, revision=2, receive_ms=8),
    latest(120_000, revision=2, receive_ms=8, energy=5),
    latest(120_000, revision=1, receive_ms=1),
]
WINNER = latest(120_000, revision=2, receive_ms=8)


async def test_cache_and_store_agree_on_the_newest_whatever_the_order(database: Database, redis: Redis) -> None:
    """Both hold the reading that counts of the latest start, however often and in what order they are told."""
    cache, store = LiveCache(redis), LiveStore(database)
    for seed in range(12):
        await redis.flushdb()
        await database["meter_live"].delete_many({})
        for one in random.Random(seed).sample(RIVALS * 2, 12):
            await cache.advance(as_columns(one))
            await store.advance([one])

        cached = (await cache.find(["m-1"]))["m-1"]
        stored = (await store.find(["m-1"]))["m-1"]

        assert stored == WINNER
        assert cached == WINNER


async def test_an_empty_cache_is_filled_from_hot_documents_and_the_log(database: Database, redis: Redis) -> None:
    """Losing Redis costs speed and nothing else; what is only logged yet is found too."""
    cache, store, log, tail = LiveCache(redis), LiveStore(database), LogStore(database), Tail(100)
    await HistoryStore(database).prepare()
    publisher = LivePublisher(cache, CollectorRegistry())
    reader = LiveReader(cache=cache, store=store, tail=TailReader(tail, log), publisher=publisher)
    await store.advance([latest(60_000), latest(60_000, device_id="m-2")])
    reading = LoggedReading("meter", "m-1", 180_000, 60_000, 0, 5, (7, *NONE))
    await log.append([Segment.of("b-1", 6, "w", 1, 0, 9, [reading])])
    segment = (await log.load(["b-1"]))[0]
    tail.hold(segment, 0.0)

    found = await reader.find(["m-1", "m-2", "m-3"])

    assert {device_id: to_ms(live.reading.start_time) for device_id, live in found.items()} == {
        "m-1": 180_000,
        "m-2": 60_000,
    }
    assert await publisher.flush()
    assert set(await cache.find(["m-1", "m-2", "m-3"])) == {"m-1", "m-2"}


async def test_what_the_cache_is_still_to_get_is_answered_already(database: Database, redis: Redis) -> None:
    """A reading counts as live when it is logged; an older one that waits as well hides nothing."""
    cache, store, log, tail = LiveCache(redis), LiveStore(database), LogStore(database), Tail(100)
    publisher = LivePublisher(cache, CollectorRegistry())
    reader = LiveReader(cache=cache, store=store, tail=TailReader(tail, log), publisher=publisher)
    await cache.advance(as_columns(*(latest(120_000, device_id=f"m-{number}") for number in (1, 2, 3))))
    waiting = [
        LoggedReading("meter", device_id, start_ms, 60_000, revision, 5, (7, *NONE))
        for device_id, start_ms, revision in (("m-1", 180_000, 0), ("m-2", 60_000, 0), ("m-3", 120_000, 1))
    ]

    publisher.offer_segment(Segment.of("b-1", 6, "w", 1, 0, 9, waiting))
    found = await reader.find(["m-1", "m-2", "m-3"])

    assert {
        device_id: (to_ms(live.reading.start_time), live.reading.revision) for device_id, live in found.items()
    } == {"m-1": (180_000, 0), "m-2": (120_000, 0), "m-3": (120_000, 1)}


async def test_a_cache_that_is_away_gets_the_newest_when_it_is_back(redis: Redis, servers: Mesh) -> None:
    """What could not be written waits, one reading a device, and nothing older replaces it."""
    away = open_redis("redis://127.0.0.1:1/0")
    publisher = LivePublisher(LiveCache(away), CollectorRegistry())
    publisher.offer({"m-1": latest(120_000)})

    assert await publisher.flush() is False

    publisher.offer(newest([]))
    publisher.offer({"m-1": latest(60_000)})
    back = open_redis(servers.redis_url)
    publisher._cache = LiveCache(back)
    assert await publisher.flush() is True
    found = await LiveCache(redis).find(["m-1"])
    assert found["m-1"].start_ms == 120_000
    await back.aclose()
    await away.aclose()
