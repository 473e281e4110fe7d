"""The log: one immutable document a batch, the truth from which everything else at rest can be derived again."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from pymongo import ReplaceOne

from billing.segment import Segment
from billing.segment_document import from_document, to_document
from billing.unmerged_store import UnmergedStore, insert_new
from common.mongo import Database

_READ_TIMEOUT_MS = 10_000


class LogStore:
    """Appends segments and knows which are not folded into the cold and hot collections yet."""

    def __init__(self, database: Database) -> None:
        self._log = database["readings_log"]
        self._unmerged = UnmergedStore(database)
        self._quarantined = database["readings_quarantined"]

    async def prepare(self) -> None:
        """Makes the indexes beside the log, which itself is read by `_id` only."""
        await self._unmerged.prepare()

    async def append(self, segments: Sequence[Segment]) -> set[str]:
        """Writes segments; returns the ids that were there already, which is success too.

        Raises:
            pymongo.errors.PyMongoError: at least one is not known to be written; appending all again is safe.
        """
        await self._unmerged.mark(segments)
        return await insert_new(self._log, [to_document(segment) for segment in segments])

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

    async def pending_ids(self) -> Collection[str]:
        """Ids of all segments that may not be folded yet, whoever logged them; a few may be, or be just being written.

        Cheaper than `unmerged_ids`, for it asks the store only for those of other processes.
        """
        return await self._unmerged.pending_ids()

    async def load(self, batch_ids: Sequence[str]) -> list[Segment]:
        """The segments of some ids, in no particular order; unknown ids are left out."""
        cursor = self._log.find({"_id": {"$in": list(batch_ids)}})
        return [from_document(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def mark_merged(self, batch_ids: Sequence[str]) -> None:
        """Takes note that segments are folded; doing it again changes nothing."""
        await self._unmerged.unmark(batch_ids)

    async def mark_quarantined(self, reasons: Mapping[str, str]) -> None:
        """Sets segments aside that cannot be folded whole, by id with the reason; they stay in the log."""
        notes = [
            ReplaceOne({"_id": batch_id}, {"_id": batch_id, "reason": reason}, upsert=True)
            for batch_id, reason in reasons.items()
        ]
        await self._quarantined.bulk_write(notes, ordered=False)
        await self.mark_merged(list(reasons))
