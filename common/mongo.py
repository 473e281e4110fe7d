"""The way to the store: one client with the write guarantees that bills need."""

from __future__ import annotations

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


def open_database(
    url: str, name: str = "gridmesh", *, appname: str = "gridmesh", answer_timeout_seconds: float = 30.0
) -> Database:
    """A database handle; connects at the first command. Writes are acknowledged by a majority and journalled.

    A server that has not answered a command within `answer_timeout_seconds` is given up. Close it with
    `close(database)`.
    """
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        url,
        appname=appname,
        w="majority",
        journal=True,
        retryWrites=True,
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


async def ping(database: Database) -> None:
    """Asks the server whether it is there.

    Raises:
        pymongo.errors.PyMongoError: it is not.
    """
    await database.command("ping", maxTimeMS=_PING_TIMEOUT_MS)


def close(database: Database) -> None:
    """Closes the client of a database and its connections."""
    database.client.close()
