"""Holds of the instant that answers are complete through, while something recorded later is on its way into the log.

A question as of an instant is lowered to what answers are complete through, and its answer may never change. So that
instant must not pass the record time of a write before the write is seen. Batches of devices are told of by the
watermark of their partition; what billing itself records is told of here. A hold is placed well before its instant,
else not at all, and taken away when the write is known to be done. One whose write may still come is left, until it can
come no more.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from pymongo import ASCENDING

from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 2_000
# Longer than the driver waits for a write and the server goes on with one that nobody waits for.
_EXPIRES_MS = 120_000


@dataclass(frozen=True, slots=True)
class RecordHold:
    """Answers are not complete through `record_ms`, epoch milliseconds, while it stands."""

    key: str
    record_ms: int


class RecordHoldStore:
    """The collection `record_holds`, a document for each write on its way. `clock_ms` is the wall clock.

    Methods raise pymongo.errors.PyMongoError when the store is away.
    """

    def __init__(self, database: Database, clock_ms: Callable[[], int]) -> None:
        self._holds = database["record_holds"]
        self._clock_ms = clock_ms

    async def prepare(self) -> None:
        """Makes the index by which the server removes what a crash has left."""
        await self._holds.create_index([("expire_at", ASCENDING)], expireAfterSeconds=0)

    async def place(self, ahead_ms: int) -> RecordHold:
        """A hold at an instant so far ahead, in force before half of that is over."""
        while True:
            now_ms = self._clock_ms()
            hold = RecordHold(uuid.uuid4().hex, now_ms + ahead_ms)
            await self._holds.insert_one(
                {
                    "_id": hold.key,
                    "record_at": datetime_from_ms(hold.record_ms),
                    "expire_at": datetime_from_ms(now_ms + _EXPIRES_MS),
                }
            )
            if self._clock_ms() - now_ms <= ahead_ms // 2:
                return hold
            # Too late: answers may be complete through it already.
            await self.remove(hold)

    async def remove(self, hold: RecordHold) -> None:
        """Takes a hold away: what it was for is done, or was never begun."""
        await self._holds.delete_one({"_id": hold.key})

    async def earliest_ms(self) -> int | None:
        """The earliest instant that is held, epoch milliseconds."""
        cursor = self._holds.find({"expire_at": {"$gt": datetime_from_ms(self._clock_ms())}}, {"record_at": 1})
        found = [datetime_to_ms(hold["record_at"]) async for hold in cursor.max_time_ms(_READ_TIMEOUT_MS)]
        return min(found, default=None)
