"""The ways to the store and to the cache, against the real servers and against nobody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pymongo.errors
import pytest
from redis.asyncio import Connection as AsyncRedisConnection
from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from common import mongo, redis_client


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


async def test_the_store_keeps_documents_with_instants_in_utc(database: mongo.Database) -> None:
    """An aware datetime comes back aware, and equal."""
    await mongo.ping(database)
    instant = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)

    await database["documents"].insert_one({"_id": "a", "start_time": instant})

    assert await database["documents"].find_one({"_id": "a"}) == {"_id": "a", "start_time": instant}


async def test_every_write_asks_for_a_majority_and_the_journal(database: mongo.Database) -> None:
    """The guarantees do not rest on anybody's defaults."""
    assert database.write_concern.document == {"w": "majority", "j": True}


async def test_a_write_without_an_answer_is_sent_again_unless_the_address_says_otherwise(silent_port: int) -> None:
    """A local server whose every such write is dear has it in its address."""
    address = f"mongodb://127.0.0.1:{silent_port}/?directConnection=true"
    usual, told = mongo.open_database(address), mongo.open_database(f"{address}&retryWrites=false")

    assert usual.client.delegate.options.retry_writes
    assert not told.client.delegate.options.retry_writes
    mongo.close(usual)
    mongo.close(told)


async def test_a_store_that_is_silent_is_told_within_seconds(silent_port: int) -> None:
    """So that a caller hears UNAVAILABLE instead of waiting."""
    database = mongo.open_database(f"mongodb://127.0.0.1:{silent_port}/?directConnection=true")

    async with asyncio.timeout(10):
        with pytest.raises(pymongo.errors.ConnectionFailure):
            await mongo.ping(database)

    mongo.close(database)


async def test_the_cache_answers_in_bytes(redis: Redis) -> None:
    """Values are serialised messages, so nothing is decoded."""
    await redis_client.ping(redis)

    await redis.set("common-test", b"\xff\x00", ex=10)

    assert await redis.get("common-test") == b"\xff\x00"


async def test_many_commands_at_once_share_a_bounded_pool(redis: Redis) -> None:
    """More commands than connections wait their turn."""
    answers = await asyncio.gather(*(redis.incr("common-test-count") for _ in range(100)))
    await redis.delete("common-test-count")

    assert sorted(answers) == list(range(1, 101))


async def test_a_cache_that_is_silent_is_told_within_seconds(silent_port: int) -> None:
    """The cache is never worth a long wait."""
    cache = redis_client.open_redis(f"redis://127.0.0.1:{silent_port}/0")

    async with asyncio.timeout(10):
        with pytest.raises(RedisTimeoutError):
            await redis_client.ping(cache)

    await cache.aclose()


async def test_a_connection_closed_under_a_command_is_the_cache_being_away(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop says so with an error of its own, which callers who expect the driver's must not see."""

    async def closed(*_: object) -> None:
        raise RuntimeError("unable to perform operation on a closed transport")

    await redis_client.ping(redis)
    monkeypatch.setattr(AsyncRedisConnection, "_send_packed_command", closed)

    with pytest.raises(RedisError):
        await redis_client.ping(redis)
