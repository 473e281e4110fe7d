"""Which logged segments are not folded yet: a small document beside the log for each, and in memory those of ours."""

import asyncio
import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any

from pymongo import ASCENDING, DeleteOne
from pymongo.errors import BulkWriteError

from billing.segment import Segment
from common.instants import datetime_from_ms
from common.mongo import Database

_DUPLICATE_KEY = 11000
_READ_TIMEOUT_MS = 10_000
_REMEMBERED_MAXIMUM = 100_000
# How often ours are compared with the store: another replica may have folded some.
_COMPARE_SECONDS = 10.0
_SEEN_AGAIN_SECONDS = 3600.0
# A process that stood still for so long is not expected to go on.
_GONE_AFTER = timedelta(days=7)


class UnmergedStore:
    """The collections `readings_unmerged`, a mark a segment, and `readings_loggers`, who has written marks.

    A mark in the segment would write all of it again, and finding the marks would read all of them. A mark is written
    before its segment and removed after the fold: a crash in between leaves one too many, never one too few; such a
    segment comes again, or is folded again, and both are harmless.

    Every question about a device asks what is not folded yet. What this process has logged it knows by itself, so that
    it asks the store only for what others have: their names are on record before their first mark is.
    """

    def __init__(self, database: Database) -> None:
        self._marks = database["readings_unmerged"]
        self._loggers = database["readings_loggers"]
        self._logger = uuid.uuid4().hex
        self._seen_at: float | None = None
        self._ours: set[str] | None = set()
        # While a comparison is on its way: what was marked since it began, which the store may not have told.
        self._marked_since: set[str] | None = None
        self._being_marked: set[str] = set()
        self._compared_at = time.monotonic()

    async def prepare(self) -> None:
        """Makes the index by which the marks of others are found; forgets those who are gone and left none."""
        await self._marks.create_index([("logged_by", ASCENDING)])
        before = datetime_from_ms(time.time_ns() // 1_000_000) - _GONE_AFTER
        async for found in self._loggers.find({"seen_at": {"$lt": before}}).max_time_ms(_READ_TIMEOUT_MS):
            if await self._marks.find_one({"logged_by": found["_id"]}, max_time_ms=_READ_TIMEOUT_MS) is None:
                await self._loggers.delete_one({"_id": found["_id"], "seen_at": found["seen_at"]})

    async def mark(self, segments: Sequence[Segment]) -> None:
        """Marks segments that are about to be logged; those without readings have nothing to fold.

        Raises:
            pymongo.errors.PyMongoError: the store failed; marking all again is safe.
        """
        marks: list[dict[str, Any]] = [
            {
                "_id": one.batch_id,
                "partition": one.partition,
                "writer": one.writer,
                "sequence": one.sequence,
                "logged_by": self._logger,
            }
            for one in segments
            if one.reading_count
        ]
        if not marks:
            return
        await self._be_known()
        batch_ids = [mark["_id"] for mark in marks]
        self._remember(batch_ids)
        self._being_marked.update(batch_ids)
        try:
            await insert_new(self._marks, marks)
        finally:
            self._being_marked.difference_update(batch_ids)

    def _remember(self, batch_ids: Sequence[str]) -> None:
        if self._marked_since is not None:
            self._marked_since.update(batch_ids)
        if self._ours is not None:
            self._ours.update(batch_ids)
            if len(self._ours) > _REMEMBERED_MAXIMUM:
                self._ours = None

    async def unmark(self, batch_ids: Iterable[str]) -> None:
        """Takes note that segments are folded; doing it again changes nothing."""
        some = list(batch_ids)
        await self._marks.bulk_write([DeleteOne({"_id": batch_id}) for batch_id in some], ordered=False)
        if self._ours is not None:
            self._ours.difference_update(some)

    async def ids(self, partitions: Iterable[int] | None = None) -> list[str]:
        """Ids of the marked segments of some partitions, by default of all, as the store has them."""
        query: dict[str, Any] = {} if partitions is None else {"partition": {"$in": sorted(partitions)}}
        return [found["_id"] async for found in self._marks.find(query, {"_id": 1}).max_time_ms(_READ_TIMEOUT_MS)]

    async def marked_among(self, batch_ids: Sequence[str]) -> set[str]:
        """Those of some segments that are marked, as the store has them."""
        cursor = self._marks.find({"_id": {"$in": list(batch_ids)}}, {"_id": 1})
        return {found["_id"] async for found in cursor.max_time_ms(_READ_TIMEOUT_MS)}

    async def by_partition(self, partitions: Iterable[int]) -> list[tuple[int, str]]:
        """Partition and id of the marked segments of some partitions, as a rule as they were logged."""
        cursor = self._marks.find({"partition": {"$in": sorted(partitions)}}, {"partition": 1})
        return [(found["partition"], found["_id"]) async for found in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def pending_ids(self) -> Collection[str]:
        """Ids of all segments that may not be folded yet, whoever logged them; a few may be folded already."""
        await self._compare()
        if self._ours is None:
            return await self.ids()
        pending = set(self._ours)
        names = [found["_id"] async for found in self._loggers.find({}, {"_id": 1}).max_time_ms(_READ_TIMEOUT_MS)]
        theirs = await asyncio.gather(*(self._ids_of(name) for name in names if name != self._logger))
        return pending.union(*theirs)

    async def _compare(self) -> None:
        if time.monotonic() - self._compared_at < _COMPARE_SECONDS:
            return
        self._compared_at = time.monotonic()
        if self._marked_since is not None or self._ours == set():
            return
        # What is being marked just now, and what will be meanwhile, the store may not tell.
        self._marked_since = set(self._being_marked)
        try:
            found = await self._ids_of(self._logger)
            if self._ours is not None:
                # What was folded meanwhile.
                found &= self._ours
            compared = found | self._marked_since
        finally:
            self._marked_since = None
        # Too many are not remembered, until the store says that they are few.
        self._ours = compared if len(compared) <= _REMEMBERED_MAXIMUM else None

    async def _ids_of(self, logger: str) -> set[str]:
        cursor = self._marks.find({"logged_by": logger}, {"_id": 1}).max_time_ms(_READ_TIMEOUT_MS)
        return {found["_id"] async for found in cursor}

    async def _be_known(self) -> None:
        now = time.monotonic()
        if self._seen_at is not None and now - self._seen_at < _SEEN_AGAIN_SECONDS:
            return
        seen = {"seen_at": datetime_from_ms(time.time_ns() // 1_000_000)}
        await self._loggers.update_one({"_id": self._logger}, {"$set": seen}, upsert=True)
        self._seen_at = now


async def insert_new(collection: Any, documents: Sequence[Any]) -> set[str]:
    """Writes documents that may be there; returns the ids of those that were.

    Raises:
        pymongo.errors.PyMongoError: at least one is not known to be written; writing all again is safe.
    """
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as failure:
        errors = failure.details["writeErrors"]
        if failure.details.get("writeConcernErrors") or any(error["code"] != _DUPLICATE_KEY for error in errors):
            raise
        return {documents[error["index"]]["_id"] for error in errors}
    return set()
