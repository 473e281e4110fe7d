"""Batches that could not be folded whole: which spans of theirs are in no answer, since when and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pymongo import ASCENDING, ReplaceOne

from billing.cold.quarantined_period import QuarantinedPeriod
from billing.log.observation import SpanKey
from billing.log.schema import KINDS
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import IDS_A_QUESTION, Database, some_at_a_time

_READ_TIMEOUT_MS = 10_000
_FEW = 1000


class QuarantinedSpan(NamedTuple):
    """A span whose readings of a batch were set aside, and why."""

    key: SpanKey
    reason: str


@dataclass(frozen=True, slots=True)
class QuarantinedBatch:
    """A batch with spans that were set aside at an instant, epoch milliseconds; the rest of it is folded.

    `record_ms` is when the batch was logged; 0 of those that were set aside before it was kept.
    """

    batch_id: str
    quarantined_ms: int
    spans: Sequence[QuarantinedSpan]
    record_ms: int = 0


class QuarantineStore:
    """The collection `readings_quarantined`, a document a batch; what is in it stays in the log for ever."""

    def __init__(self, database: Database) -> None:
        self._quarantined = database["readings_quarantined"]

    async def prepare(self) -> None:
        """Makes the index by which the batches of a device are found."""
        await self._quarantined.create_index([("device_ids", ASCENDING), ("_id", ASCENDING)])

    async def add(self, batches: Iterable[QuarantinedBatch]) -> None:
        """Sets batches aside; one that was already is as it is now.

        Raises:
            pymongo.errors.PyMongoError: the store failed; doing it again is safe.
        """
        notes = [ReplaceOne({"_id": batch.batch_id}, _document(batch), upsert=True) for batch in batches]
        await self._quarantined.bulk_write(notes, ordered=False)

    async def find(self, device_id: str = "", after: str = "", limit: int = 0) -> list[QuarantinedBatch]:
        """Batches by id, from the one after `after` on; of a device, or empty of all. 0 is without a limit."""
        query: dict[str, Any] = {"device_ids": device_id} if device_id else {}
        cursor = self._quarantined.find({**query, "_id": {"$gt": after}}).sort("_id", ASCENDING).limit(limit)
        return [_batch(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def get(self, batch_ids: Sequence[str]) -> list[QuarantinedBatch]:
        """Those of some batches that are set aside."""
        cursor = self._quarantined.find({"_id": {"$in": list(batch_ids)}}).max_time_ms(_READ_TIMEOUT_MS)
        return [_batch(document) async for document in cursor]

    async def periods(
        self, device_ids: Sequence[str], start_ms: int, end_ms: int, as_of_ms: int | None = None
    ) -> frozenset[QuarantinedPeriod]:
        """The times of devices that overlap [start_ms, end_ms), epoch milliseconds, of which readings are set aside.

        As known at `as_of_ms` what was logged later is not missing. To be asked before what an answer rests on is read,
        and again after it: what is set aside meanwhile, or folded again, is told in one of both.
        """
        wanted, found = frozenset(device_ids), set[QuarantinedPeriod]()
        for batch in await self._of_devices(device_ids):
            if as_of_ms is None or batch.record_ms <= as_of_ms:
                found.update(_period(span.key) for span in batch.spans if span.key.device_id in wanted)
        return frozenset(one for one in found if one.start_ms < end_ms and one.end_ms > start_ms)

    async def _of_devices(self, device_ids: Sequence[str]) -> list[QuarantinedBatch]:
        """Those of some devices, and maybe others."""
        if len(device_ids) > IDS_A_QUESTION:
            # As a rule there are none or few, and of a fleet there are many questions.
            few = await self.find(limit=_FEW + 1)
            if len(few) <= _FEW:
                return few
        found: list[QuarantinedBatch] = []
        for some in some_at_a_time(device_ids):
            of_some = {"device_ids": some[0] if len(some) == 1 else {"$in": some}}
            cursor = self._quarantined.find(of_some).max_time_ms(_READ_TIMEOUT_MS)
            found += [_batch(document) async for document in cursor]
        return found

    async def count(self) -> int:
        """How many batches are set aside."""
        return int(await self._quarantined.count_documents({}, maxTimeMS=_READ_TIMEOUT_MS))

    async def remove(self, batch: QuarantinedBatch) -> None:
        """Takes a batch out, unless it was set aside anew since it was read."""
        at = datetime_from_ms(batch.quarantined_ms)
        # Of those that were set aside before it was told when, there is no instant.
        when = [{"quarantined_at": at}] if batch.quarantined_ms else [{"quarantined_at": {"$exists": False}}]
        await self._quarantined.delete_one({"_id": batch.batch_id, "$or": when})


def _document(batch: QuarantinedBatch) -> dict[str, Any]:
    return {
        "_id": batch.batch_id,
        "quarantined_at": datetime_from_ms(batch.quarantined_ms),
        "device_ids": sorted({span.key.device_id for span in batch.spans}),
        "reason": "; ".join(f"{' '.join(map(str, span.key))}: {span.reason}" for span in batch.spans),
        "spans": [{**span.key._asdict(), "reason": span.reason} for span in batch.spans],
        "recorded_at": datetime_from_ms(batch.record_ms),
    }


def _batch(document: Mapping[str, Any]) -> QuarantinedBatch:
    quarantined_at = document.get("quarantined_at")
    return QuarantinedBatch(
        document["_id"],
        0 if quarantined_at is None else datetime_to_ms(quarantined_at),
        [
            QuarantinedSpan(SpanKey(one["kind"], one["device_id"], one["span_start_ms"]), one["reason"])
            for one in document.get("spans", ())
        ]
        or [QuarantinedSpan(SpanKey("", "", 0), document["reason"])],
        datetime_to_ms(document["recorded_at"]) if "recorded_at" in document else 0,
    )


def _period(key: SpanKey) -> QuarantinedPeriod:
    return QuarantinedPeriod(key.device_id, key.span_start_ms, key.span_start_ms + KINDS[key.kind].span_ms)
