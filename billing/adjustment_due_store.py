"""Which days of meters have changed, so that issued invoices they are in may need an adjustment."""

from typing import NamedTuple

from pymongo import ASCENDING

from billing.day import document_id
from billing.day_notice_store import Day
from billing.schema import METER, Kind
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 10_000


class DueAdjustment(NamedTuple):
    """A day whose invoices are to be looked at once everything acked before `told_ms`, epoch milliseconds, is known."""

    day: Day
    told_ms: int


class AdjustmentDueStore:
    """The collection `adjustments_due`, a document a day of a meter; gone once its invoices were looked at."""

    def __init__(self, database: Database) -> None:
        self._due = database["adjustments_due"]

    async def prepare(self) -> None:
        """Makes the index by which they are found."""
        await self._due.create_index([("told_at", ASCENDING)])

    async def tell(self, kind: Kind, day: Day, told_ms: int) -> None:
        """Says that a day of a device has changed, or will have at an instant; only those of meters are billed."""
        if kind is not METER:
            return
        known = {"device_id": day.device_id, "day_start": datetime_from_ms(day.start_ms)}
        change = {"$setOnInsert": known, "$max": {"told_at": datetime_from_ms(told_ms)}}
        await self._due.update_one({"_id": document_id(day.device_id, day.start_ms)}, change, upsert=True)

    async def find(self, before_ms: int, limit: int) -> list[DueAdjustment]:
        """Some that were told of before an instant, epoch milliseconds, the oldest first."""
        query = {"told_at": {"$lte": datetime_from_ms(before_ms)}}
        cursor = self._due.find(query).sort("told_at", ASCENDING).limit(limit)
        return [
            DueAdjustment(Day(found["device_id"], datetime_to_ms(found["day_start"])), datetime_to_ms(found["told_at"]))
            async for found in cursor.max_time_ms(_READ_TIMEOUT_MS)
        ]

    async def done(self, due: DueAdjustment) -> None:
        """Forgets a day, unless it has changed again."""
        day = due.day
        await self._due.delete_one(
            {"_id": document_id(day.device_id, day.start_ms), "told_at": datetime_from_ms(due.told_ms)}
        )
