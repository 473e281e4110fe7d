"""Which days of meters have changed, so that issued invoices they are in may need an adjustment."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pymongo import ASCENDING

from billing.cold.day import document_id
from billing.cold.day_notice_store import Day
from billing.log.schema import METER, Kind
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 10_000
_FIRST_DELAY_MS = 60_000
_LONGEST_DELAY_MS = 6 * 3_600_000


class AdjustmentFailure(NamedTuple):
    """Why an invoice could not be looked at: a reason of the contract, and words for a person.

    `device_id` is the device whose bill could not be made; empty when it is not one of them.
    """

    invoice_id: str
    device_id: str
    reason: str
    description: str


class DueAdjustment(NamedTuple):
    """A day whose invoices are to be looked at once everything acked before `told_ms`, epoch milliseconds, is known.

    Where that has failed it is tried again at `try_ms`.
    """

    day: Day
    told_ms: int
    failure_count: int = 0
    try_ms: int | None = None
    failure: AdjustmentFailure | None = None


def delay_ms(failure_count: int) -> int:
    """How long a day waits that has failed so often: a minute, twice as long each time, at most six hours."""
    doublings = min(failure_count - 1, 20)
    return min(_FIRST_DELAY_MS << doublings, _LONGEST_DELAY_MS)


class AdjustmentDueStore:
    """The collection `adjustments_due`, a document a day of a meter; gone once its invoices were looked at."""

    def __init__(self, database: Database) -> None:
        self._due = database["adjustments_due"]

    async def prepare(self) -> None:
        """Makes the indexes by which they are found and listed."""
        await self._due.create_index([("try_at", ASCENDING), ("told_at", ASCENDING)])
        await self._due.create_index([("device_id", ASCENDING), ("day_start", ASCENDING)])

    async def tell(self, kind: Kind, day: Day, told_ms: int) -> None:
        """Says that a day of a device has changed, or will have at an instant; only those of meters are billed.

        One that has failed is tried again without waiting.
        """
        if kind is not METER:
            return
        known = {"device_id": day.device_id, "day_start": datetime_from_ms(day.start_ms)}
        change = {
            "$setOnInsert": known,
            "$max": {"told_at": datetime_from_ms(told_ms)},
            "$unset": {"try_at": "", "failure_count": "", "failure": ""},
        }
        await self._due.update_one({"_id": document_id(day.device_id, day.start_ms)}, change, upsert=True)

    async def find(self, before_ms: int, now_ms: int, limit: int) -> list[DueAdjustment]:
        """Some that were told of before an instant, the oldest first, then those to be tried again by now.

        Both instants are epoch milliseconds.
        """
        fresh = {"try_at": None, "told_at": {"$lte": datetime_from_ms(before_ms)}}
        found = await self._read(fresh, "told_at", limit)
        if len(found) < limit:
            found += await self._read({"try_at": {"$lte": datetime_from_ms(now_ms)}}, "try_at", limit - len(found))
        return found

    async def _read(self, query: Mapping[str, Any], order: str, limit: int) -> list[DueAdjustment]:
        cursor = self._due.find(query).sort(order, ASCENDING).limit(limit)
        return [_from_document(found) async for found in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def page(
        self, device_id: str, after: Day | None, limit: int, *, failed_only: bool = False
    ) -> list[DueAdjustment]:
        """So many after a day, by device and day: of a device, or of all where it is empty."""
        stages: list[dict[str, Any]] = []
        if device_id:
            stages.append({"$match": {"device_id": device_id}})
        if after is not None:
            later = {"device_id": after.device_id, "day_start": {"$gt": datetime_from_ms(after.start_ms)}}
            stages += [
                {"$match": {"device_id": {"$gte": after.device_id}}},
                {"$match": {"$or": [{"device_id": {"$gt": after.device_id}}, later]}},
            ]
        if failed_only:
            stages.append({"$match": {"failure_count": {"$gt": 0}}})
        stages += [{"$sort": {"device_id": ASCENDING, "day_start": ASCENDING}}, {"$limit": limit}]
        cursor = self._due.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)
        return [_from_document(found) async for found in cursor]

    async def done(self, due: DueAdjustment) -> None:
        """Forgets a day, unless it has changed again."""
        await self._due.delete_one(_as_found(due))

    async def postpone(self, due: DueAdjustment, failure: AdjustmentFailure, now_ms: int) -> None:
        """Keeps a day that has failed, to be tried again later, unless it has changed again."""
        failure_count = due.failure_count + 1
        change = {
            "try_at": datetime_from_ms(now_ms + delay_ms(failure_count)),
            "failure_count": failure_count,
            "failure": failure._asdict(),
        }
        await self._due.update_one(_as_found(due), {"$set": change})


def _as_found(due: DueAdjustment) -> dict[str, Any]:
    return {"_id": document_id(due.day.device_id, due.day.start_ms), "told_at": datetime_from_ms(due.told_ms)}


def _from_document(found: Mapping[str, Any]) -> DueAdjustment:
    failure, try_at = found.get("failure"), found.get("try_at")
    return DueAdjustment(
        day=Day(found["device_id"], datetime_to_ms(found["day_start"])),
        told_ms=datetime_to_ms(found["told_at"]),
        failure_count=found.get("failure_count", 0),
        try_ms=None if try_at is None else datetime_to_ms(try_at),
        failure=None if failure is None else AdjustmentFailure(**failure),
    )
