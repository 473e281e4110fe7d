"""The way to the store: one client with the write guarantees that bills need."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pymongo
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase

Database = AsyncIOMotorDatabase[dict[str, Any]]

# Away is told within this time, so that a caller hears UNAVAILABLE instead of waiting.
_SERVER_SELECTION_TIMEOUT_MS = 2_000
_CONNECT_TIMEOUT_MS = 2_000
# How often the driver looks after the server: two looks without an answer, and it drops every connection with whatever
# still waits on it, long before the socket times out.
_HEARTBEAT_MS = 2_000
_PING_TIMEOUT_MS = 1_000
# The local server holds every document that it finds against every id of the question: of a thousand hours it takes
# 0.69 s to find them at once, and 0.09 s by fifty.
IDS_A_QUESTION = 50


def open_database(
    url: str, name: str = "gridmesh", *, appname: str = "gridmesh", answer_timeout_seconds: float = 30.0
) -> Database:
    """A database handle; connects at the first command. Writes are acknowledged by a majority and journalled.

    The driver sends a write again whose answer did not come, unless the address says `retryWrites=false`.

    A server that has not answered a command within `answer_timeout_seconds` is given up. Close it with
    `close(database)`.
    """
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        url,
        appname=appname,
        w="majority",
        journal=True,
        tz_aware=True,
        uuidRepresentation="standard",
        serverSelectionTimeoutMS=_SERVER_SELECTION_TIMEOUT_MS,
        connectTimeoutMS=_CONNECT_TIMEOUT_MS,
        socketTimeoutMS=round(answer_timeout_seconds * 1000),
        heartbeatFrequencyMS=_HEARTBEAT_MS,
        maxPoolSize=32,
    )
    return client[name]


def time_limit(seconds: float) -> AbstractContextManager[object]:
    """Limits all commands inside it together: each is sent with the time that is left as its `maxTimeMS`.

    Those that are begun after it fail with `pymongo.errors.PyMongoError`.
    """
    return pymongo.timeout(seconds)


def some_at_a_time(ids: Sequence[str]) -> Iterator[list[str]]:
    """Ids in parts of which each is small enough for one question."""
    for first in range(0, len(ids), IDS_A_QUESTION):
        yield list(ids[first : first + IDS_A_QUESTION])


async def find_by_ids(
    collection: Any, ids: Sequence[str], projection: Mapping[str, Any] | None = None, *, timeout_ms: int
) -> AsyncIterator[dict[str, Any]]:
    """The documents of some ids, in no particular order; `timeout_ms` is for each of the questions this takes.

    Raises:
        pymongo.errors.PyMongoError: the server is away, or took too long.
    """
    for some in some_at_a_time(ids):
        async for document in collection.find({"_id": {"$in": some}}, projection).max_time_ms(timeout_ms):
            yield document


async def ping(database: Database) -> None:
    """Asks the server whether it is there.

    Raises:
        pymongo.errors.PyMongoError: it is not.
    """
    await database.command("ping", maxTimeMS=_PING_TIMEOUT_MS)


def close(database: Database) -> None:
    """Closes the client of a database and its connections."""
    database.client.close()
