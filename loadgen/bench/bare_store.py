"""The bare limit of the store: documents that the mesh wrote, written again by themselves to a scratch database."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pymongo import ReplaceOne

from common.instants import datetime_from_ms
from common.mongo import Database, close, open_database

Document = dict[str, Any]

_LOG, _HISTORY, _LIVE = "readings_log", "meter_history", "meter_live"
_SAMPLE = 200
_LOG_WRITES = ((8, 8), (1, 128))
"""Writers, and segments of each write: many at a time, and one with as much as billing ever writes at once."""
_SPANS_A_WRITE = 200
_READ_TIMEOUT_MS = 20_000


@dataclass(frozen=True, slots=True)
class StoreSample:
    """Documents of a row as they stand in the mesh's store: segments of the log, spans, newest readings."""

    segments: Sequence[Document]
    spans: Sequence[Document]
    newest: Sequence[Document]

    @property
    def readings_a_segment(self) -> float:
        """Mean readings of the segments."""
        return sum(float(segment["reading_count"]) for segment in self.segments) / max(1, len(self.segments))


async def sample_store(
    mongo_url: str, device_ids: Sequence[str], started_ms: tuple[int, int], recorded_ms: tuple[int, int]
) -> StoreSample:
    """Some documents of readings that started in one time, and segments recorded in another, both [from, until).

    Raises:
        pymongo.errors.PyMongoError: the store failed.
    """
    database = open_database(mongo_url, appname="bench")
    try:
        spans = database[_HISTORY].find({"device_id": {"$in": list(device_ids)}, "span_start": _within(started_ms)})
        newest = database[_LIVE].find({"_id": {"$in": list(device_ids)}})
        segments = database[_LOG].find({"recorded_at": _within(recorded_ms), "reading_count": {"$gt": 0}})
        return StoreSample(
            *[
                await cursor.limit(_SAMPLE).max_time_ms(_READ_TIMEOUT_MS).to_list(length=_SAMPLE)
                for cursor in (segments, spans, newest)
            ]
        )
    finally:
        close(database)


def _within(instants_ms: tuple[int, int]) -> Document:
    first, last = map(datetime_from_ms, instants_ms)
    return {"$gte": first, "$lt": last}


async def segments_a_second(mongo_url: str, sample: StoreSample, seconds: float) -> float:
    """Segments of the log that bulk inserts alone bring into the store in a second, by whichever way gives most.

    Raises:
        pymongo.errors.PyMongoError: the store failed.
    """
    async with _scratch(mongo_url) as database:
        log = database[_LOG]

        async def insert(copies: Sequence[Document]) -> None:
            await log.insert_many([_renamed(document) for document in copies], ordered=False)

        share = seconds / len(_LOG_WRITES)
        return max(
            [
                await _documents_a_second(insert, sample.segments, group, writers, share)
                for writers, group in _LOG_WRITES
            ]
        )


async def spans_a_second(mongo_url: str, sample: StoreSample, seconds: float) -> float:
    """Cold documents that bulk inserts alone bring into the store in a second, with the hot document of each group.

    Raises:
        pymongo.errors.PyMongoError: the store failed.
    """
    async with _scratch(mongo_url) as database:
        history, live = database[_HISTORY], database[_LIVE]
        await history.create_index([("device_id", 1), ("span_start", 1)], unique=True)
        newest = {document["_id"]: document for document in sample.newest}

        async def insert(copies: Sequence[Document]) -> None:
            await history.insert_many([_renamed(document) for document in copies], ordered=False)
            hot = [newest[name] for name in {document["device_id"] for document in copies} if name in newest]
            if hot:
                writes = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in hot]
                await live.bulk_write(writes, ordered=False)

        return await _documents_a_second(insert, sample.spans, _SPANS_A_WRITE, 1, seconds)


async def _documents_a_second(
    insert: Any, documents: Sequence[Document], group: int, writers: int, seconds: float
) -> float:
    if not documents:
        raise ValueError("the store has no documents of this row")
    ends_at = time.monotonic() + seconds

    async def write(place: int) -> int:
        written = 0
        while time.monotonic() < ends_at:
            copies = [documents[(place + number) % len(documents)] for number in range(group)]
            await insert(copies)
            place += group
            written += group
        return written

    began = time.monotonic()
    written = await asyncio.gather(*(write(number * group) for number in range(writers)))
    return sum(written) / (time.monotonic() - began)


def _renamed(document: Document) -> Document:
    """The document with ids that nobody else has."""
    fresh = uuid.uuid4().hex
    renamed = {**document, "_id": fresh}
    if "device_id" in document:
        renamed["device_id"] = f"{document['device_id']}-{fresh}"
    return renamed


@asynccontextmanager
async def _scratch(mongo_url: str) -> AsyncIterator[Database]:
    database = open_database(mongo_url, f"bench_{uuid.uuid4().hex}", appname="bench")
    try:
        yield database
        await database.client.drop_database(database.name)
    finally:
        close(database)
