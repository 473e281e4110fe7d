"""The log: one immutable document a batch, the truth from which everything else at rest can be derived again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from billing.segment import Segment
from billing.segment_document import MERGED, QUARANTINED, UNMERGED, from_document, to_document
from common.mongo import Database

_COLLECTION = "readings_log"
_DUPLICATE_KEY = 11000
_READ_TIMEOUT_MS = 10_000


class LogStore:
    """Appends segments and keeps the mark that says which are folded into the cold and hot collections."""

    def __init__(self, database: Database) -> None:
        self._log = database[_COLLECTION]

    async def prepare(self) -> None:
        """Makes the index that finds what is not merged yet."""
        await self._log.create_index([("state", ASCENDING), ("partition", ASCENDING)])

    async def append(self, segments: Sequence[Segment]) -> set[str]:
        """Writes segments; returns the ids that were there already, which is success too.

        Raises:
            pymongo.errors.PyMongoError: at least one is not known to be written; appending all again is safe.
        """
        try:
            await self._log.insert_many([to_document(segment) for segment in segments], ordered=False)
        except BulkWriteError as failure:
            errors = failure.details["writeErrors"]
            if failure.details.get("writeConcernErrors") or any(error["code"] != _DUPLICATE_KEY for error in errors):
                raise
            return {segments[error["index"]].batch_id for error in errors}
        return set()

    async def unmerged_ids(self, partitions: Iterable[int] | None = None) -> list[str]:
        """Ids of the segments of some partitions, by default of all, that are not folded yet."""
        query: dict[str, Any] = {"state": UNMERGED}
        if partitions is not None:
            query["partition"] = {"$in": sorted(partitions)}
        cursor = self._log.find(query, {"_id": 1})
        return [document["_id"] async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def load(self, batch_ids: Sequence[str]) -> list[Segment]:
        """The segments of some ids, in no particular order; unknown ids are left out."""
        cursor = self._log.find({"_id": {"$in": list(batch_ids)}})
        return [from_document(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def mark_merged(self, batch_ids: Sequence[str]) -> None:
        """Marks segments as folded; doing it again changes nothing."""
        await self._log.update_many({"_id": {"$in": list(batch_ids)}}, {"$set": {"state": MERGED}})

    async def mark_quarantined(self, reasons: Mapping[str, str]) -> None:
        """Sets segments aside that cannot be folded whole, by id with the reason; they stay in the log."""
        marks = [
            UpdateOne({"_id": batch_id}, {"$set": {"state": QUARANTINED, "reason": reason}})
            for batch_id, reason in reasons.items()
        ]
        await self._log.bulk_write(marks, ordered=False)
