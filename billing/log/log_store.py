"""The log: one immutable document a batch, the truth from which everything else at rest can be derived again."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from pymongo import ASCENDING

from billing.log.late_reading_store import LateReadingStore
from billing.log.period import Period
from billing.log.segment import Segment
from billing.log.segment_document import from_document, to_document
from billing.log.unmerged_store import UnmergedStore
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database, find_by_ids
from common.unique_writes import insert_new

_READ_TIMEOUT_MS = 10_000


class LogStore:
    """Appends segments and knows which are not folded into the cold and hot collections yet."""

    def __init__(self, database: Database) -> None:
        self._log = database["readings_log"]
        self._unmerged = UnmergedStore(database)
        self._late = LateReadingStore(database)
        self._quarantined = database["readings_quarantined"]

    async def prepare(self) -> None:
        """Makes the indexes beside the log, which itself is read by `_id` only."""
        await self._unmerged.prepare()
        await self._late.prepare()

    async def append(self, segments: Sequence[Segment]) -> set[str]:
        """Writes segments; returns the ids that were there already, which is success too.

        Raises:
            pymongo.errors.PyMongoError: at least one is not known to be written; appending all again is safe.
        """
        await self._late.note(segments)
        await self._unmerged.mark(segments)
        there = await insert_new(self._log, [to_document(segment) for segment in segments])
        return {segments[position].batch_id for position in there}

    async def unmerged_ids(self, partitions: Iterable[int] | None = None) -> list[str]:
        """Ids of the segments of some partitions, by default of all, that are not folded yet.

        Those of segments that are just being written may be among them.
        """
        return await self._unmerged.ids(partitions)

    async def unmerged(self, partitions: Iterable[int]) -> list[tuple[int, str]]:
        """Partition and id of the segments of some partitions that are not folded yet, as a rule as they were logged.

        Those of segments that are just being written may be among them.
        """
        return await self._unmerged.by_partition(partitions)

    async def pending_ids(self, period: Period) -> Collection[str]:
        """Ids of the segments with readings of a period that may not be folded yet, whoever logged them.

        A few may be folded, or be just being written.
        Cheaper than `unmerged_ids`, for it asks the store only for those of other processes.
        """
        return await self._unmerged.pending_ids(period)

    async def load(self, batch_ids: Sequence[str]) -> list[Segment]:
        """The segments of some ids, in no particular order; unknown ids are left out."""
        found = find_by_ids(self._log, batch_ids, timeout_ms=_READ_TIMEOUT_MS)
        return [from_document(document) async for document in found]

    async def prepare_expiry(self) -> None:
        """Makes the indexes by which old segments are found and removed; without a retention nobody pays for them."""
        await self._log.create_index([("recorded_at", ASCENDING), ("_id", ASCENDING)])
        await self._log.create_index("expire_at", expireAfterSeconds=0, sparse=True)

    async def old_ids(self, before_ms: int, after: tuple[int, str] | None, limit: int) -> list[tuple[int, str]]:
        """When segments were recorded, epoch milliseconds, and their ids: those before an instant, after a place.

        The first `limit` of them; those that are to be removed already are left out.
        """
        recorded = {"$lt": datetime_from_ms(before_ms)}
        stages: list[dict[str, Any]] = [{"$match": {"recorded_at": recorded}}]
        if after is not None:
            at, batch_id = datetime_from_ms(after[0]), after[1]
            stages = [
                {"$match": {"recorded_at": {"$gte": at, **recorded}}},
                {"$match": {"$or": [{"recorded_at": {"$gt": at}}, {"_id": {"$gt": batch_id}}]}},
            ]
        stages += [
            {"$match": {"expire_at": {"$exists": False}}},
            {"$sort": {"recorded_at": ASCENDING, "_id": ASCENDING}},
            {"$limit": limit},
            {"$project": {"recorded_at": 1}},
        ]
        cursor = self._log.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)
        return [(datetime_to_ms(found["recorded_at"]), found["_id"]) async for found in cursor]

    async def folded_whole(self, batch_ids: Sequence[str]) -> list[str]:
        """Those of some segments that are folded, and of which nothing was set aside."""
        aside = find_by_ids(self._quarantined, batch_ids, {"_id": 1}, timeout_ms=_READ_TIMEOUT_MS)
        left = {found["_id"] async for found in aside} | await self._unmerged.marked_among(batch_ids)
        return [batch_id for batch_id in batch_ids if batch_id not in left]

    async def expire(self, batch_ids: Sequence[str], at_ms: int) -> None:
        """Lets the server remove segments from an instant on, epoch milliseconds."""
        expiry = {"$set": {"expire_at": datetime_from_ms(at_ms)}}
        await self._log.update_many({"_id": {"$in": list(batch_ids)}}, expiry)

    async def mark_merged(self, batch_ids: Sequence[str]) -> None:
        """Takes note that segments are folded, or set aside; doing it again changes nothing."""
        await self._unmerged.unmark(batch_ids)
