"""The log: one immutable document a batch, the truth from which everything else at rest can be derived again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymongo import DeleteOne, ReplaceOne
from pymongo.errors import BulkWriteError

from billing.segment import Segment
from billing.segment_document import from_document, to_document
from common.mongo import Database

_LOG = "readings_log"
_UNMERGED = "readings_unmerged"
_QUARANTINED = "readings_quarantined"
_DUPLICATE_KEY = 11000
_READ_TIMEOUT_MS = 10_000


class LogStore:
    """Appends segments and knows which are not folded into the cold and hot collections yet.

    That stands beside the log, in a small document a segment that is written before it and removed after the fold: a
    mark in a segment would write all of it again, and finding the marks would read all of them. A crash in between
    leaves a mark too many, never one too few: such a segment comes again, or is folded again, and both are harmless.
    There are only as many marks as segments wait, and whoever asks wants nearly all of them, so they have no index.
    """

    def __init__(self, database: Database) -> None:
        self._log = database[_LOG]
        self._unmerged = database[_UNMERGED]
        self._quarantined = database[_QUARANTINED]

    async def append(self, segments: Sequence[Segment]) -> set[str]:
        """Writes segments; returns the ids that were there already, which is success too.

        Raises:
            pymongo.errors.PyMongoError: at least one is not known to be written; appending all again is safe.
        """
        marks = [
            {"_id": one.batch_id, "partition": one.partition, "writer": one.writer, "sequence": one.sequence}
            for one in segments
            if one.reading_count
        ]
        if marks:
            await _insert(self._unmerged, marks)
        return await _insert(self._log, [to_document(segment) for segment in segments])

    async def unmerged_ids(self, partitions: Iterable[int] | None = None) -> list[str]:
        """Ids of the segments of some partitions, by default of all, that are not folded yet.

        Those of segments that are just being written may be among them.
        """
        query: dict[str, Any] = {} if partitions is None else {"partition": {"$in": sorted(partitions)}}
        cursor = self._unmerged.find(query, {"_id": 1})
        return [document["_id"] async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def unmerged(self, partitions: Iterable[int]) -> list[tuple[int, str]]:
        """Partition and id of the segments of some partitions that are not folded yet, as a rule as they were logged.

        Those of segments that are just being written may be among them.
        """
        cursor = self._unmerged.find({"partition": {"$in": sorted(partitions)}}, {"partition": 1})
        return [(document["partition"], document["_id"]) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def load(self, batch_ids: Sequence[str]) -> list[Segment]:
        """The segments of some ids, in no particular order; unknown ids are left out."""
        cursor = self._log.find({"_id": {"$in": list(batch_ids)}})
        return [from_document(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def mark_merged(self, batch_ids: Sequence[str]) -> None:
        """Takes note that segments are folded; doing it again changes nothing."""
        await self._unmerged.bulk_write([DeleteOne({"_id": batch_id}) for batch_id in batch_ids], ordered=False)

    async def mark_quarantined(self, reasons: Mapping[str, str]) -> None:
        """Sets segments aside that cannot be folded whole, by id with the reason; they stay in the log."""
        notes = [
            ReplaceOne({"_id": batch_id}, {"_id": batch_id, "reason": reason}, upsert=True)
            for batch_id, reason in reasons.items()
        ]
        await self._quarantined.bulk_write(notes, ordered=False)
        await self.mark_merged(list(reasons))


async def _insert(collection: Any, documents: Sequence[Mapping[str, Any]]) -> set[str]:
    """Writes documents; returns the ids that were there already."""
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as failure:
        errors = failure.details["writeErrors"]
        if failure.details.get("writeConcernErrors") or any(error["code"] != _DUPLICATE_KEY for error in errors):
            raise
        return {documents[error["index"]]["_id"] for error in errors}
    return set()
