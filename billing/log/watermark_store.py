"""Watermarks at rest: one small document a partition, that any replica may move on and none moves back."""

from collections.abc import Mapping
from typing import Any

from pymongo import UpdateOne

from billing.log.completeness import MissingBatches, Position, Watermark
from common.batch_identity import batch_id_of
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database, find_by_ids

_WATERMARKS = "partition_watermarks"
_LOG = "readings_log"
_READ_TIMEOUT_MS = 2_000
_BATCHES_A_LOOK = 10_000


class WatermarkStore:
    """Reads and moves watermarks, and finds batches in the log by their numbers.

    Every field only ever rises, each on its own, so two replicas that both believe a partition is theirs do no harm.
    Methods raise pymongo.errors.PyMongoError when the store is away; whatever was half done may be done again.
    """

    def __init__(self, database: Database) -> None:
        self._watermarks = database[_WATERMARKS]
        self._log = database[_LOG]

    async def load(self, partition: int) -> Watermark:
        """What is on record of a partition, be it nothing."""
        document = await self._watermarks.find_one({"_id": partition}, max_time_ms=_READ_TIMEOUT_MS)
        return Watermark() if document is None else _from_document(document)

    async def load_all(self) -> dict[int, Watermark]:
        """The instants and counts of every partition on record, without the positions of writers."""
        cursor = self._watermarks.find({}, {"complete_through": 1, "partition_count": 1})
        return {found["_id"]: _from_document(found) async for found in cursor.max_time_ms(_READ_TIMEOUT_MS)}

    async def raise_to(self, changes: Mapping[int, tuple[Watermark, Watermark]]) -> None:
        """Moves watermarks on, each given as it was and as it is.

        Partitions that a watermark is the first to tell of are complete as far as it was before, for none of its
        writers had a batch in them yet. They come first, so that no answer rests on the new instant without them.
        """
        writes = [
            UpdateOne({"_id": fresh}, {"$setOnInsert": _instants(before)}, upsert=True)
            for before, after in changes.values()
            for fresh in range(before.partition_count, after.partition_count)
        ]
        writes += [_raise(partition, before, after) for partition, (before, after) in changes.items()]
        await self._watermarks.bulk_write(writes, ordered=True)

    async def find_in_log(self, partition: int, missing: MissingBatches) -> dict[int, int]:
        """Which of some missing batches the log has: when each was made, epoch milliseconds, by number.

        The log is asked by the ids that follow from their numbers, for an index of it by number would make every write
        to it dearer.
        """
        last = min(missing.last, missing.first + _BATCHES_A_LOOK)
        batch_ids = [batch_id_of(missing.writer, partition, sequence) for sequence in range(missing.first, last + 1)]
        logged = find_by_ids(self._log, batch_ids, {"sequence": 1, "create_time": 1}, timeout_ms=_READ_TIMEOUT_MS)
        return {found["sequence"]: datetime_to_ms(found["create_time"]) async for found in logged}


def _raise(partition: int, before: Watermark, after: Watermark) -> UpdateOne:
    raised: dict[str, Any] = {"partition_count": after.partition_count, **_instants(after)}
    for writer, position in after.positions.items():
        if before.positions.get(writer) != position:
            raised[f"writers.{writer}.sequence"] = position.sequence
            raised[f"writers.{writer}.create_time"] = datetime_from_ms(position.create_ms)
    now, then = _beyond(after), _beyond(before)
    kept = {path: at for path, at in now.items() if path not in then}
    forgotten = _writers(before) - _writers(after)
    gone = [f"writers.{writer}" for writer in forgotten]
    gone += [path for path in then if path not in now and path.split(".")[1] not in forgotten]
    update: dict[str, Any] = {"$max": raised}
    if kept:
        update["$set"] = kept
    if gone:
        update["$unset"] = dict.fromkeys(gone, "")
    return UpdateOne({"_id": partition}, update, upsert=True)


def _writers(watermark: Watermark) -> set[str]:
    return watermark.positions.keys() | watermark.beyond.keys()


def _beyond(watermark: Watermark) -> dict[str, Any]:
    """The batches behind gaps, by the path of each in the document."""
    return {
        f"writers.{writer}.beyond.{sequence}": datetime_from_ms(create_ms)
        for writer, created_ms in watermark.beyond.items()
        for sequence, create_ms in created_ms.items()
    }


def _instants(watermark: Watermark) -> dict[str, Any]:
    if watermark.complete_through_ms is None:
        return {}
    return {"complete_through": datetime_from_ms(watermark.complete_through_ms)}


def _from_document(document: Mapping[str, Any]) -> Watermark:
    complete_through = document.get("complete_through")
    writers: Mapping[str, Mapping[str, Any]] = document.get("writers", {})
    return Watermark(
        None if complete_through is None else datetime_to_ms(complete_through),
        document.get("partition_count", 0),
        {
            writer: Position(known["sequence"], datetime_to_ms(known["create_time"]))
            for writer, known in writers.items()
            if "sequence" in known
        },
        {
            writer: {int(sequence): datetime_to_ms(at) for sequence, at in known["beyond"].items()}
            for writer, known in writers.items()
            if known.get("beyond")
        },
    )
