"""Which quarter-hours got readings late: a small document for each write to the log that had any, kept for 40 days."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from pymongo import ASCENDING

from billing.log.late_reading import LateReadings, late_readings
from billing.log.segment import Segment
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 5_000
_KEPT = timedelta(days=40)
_INTEGERS = "<i8"


class LateReadingStore:
    """The collection `readings_late`; a document goes when it is 40 days old.

    It is written before the segments that it tells of: a crash in between leaves one too many, never one too few.
    """

    def __init__(self, database: Database) -> None:
        self._late = database["readings_late"]

    async def prepare(self) -> None:
        """Makes the indexes: of when it was recorded, and of what goes."""
        await self._late.create_index([("recorded_at", ASCENDING)])
        await self._late.create_index([("expire_at", ASCENDING)], expireAfterSeconds=0)

    async def note(self, segments: Sequence[Segment]) -> None:
        """Notes what segments that are about to be logged have of late readings.

        Raises:
            pymongo.errors.PyMongoError: the store failed; noting all again is safe.
        """
        late = late_readings(segments)
        if late is not None:
            await self._late.insert_one(_to_document(late))

    async def since(self, after_ms: int, through_ms: int, limit: int) -> list[LateReadings]:
        """What was recorded in (after_ms, through_ms], epoch milliseconds, the earliest first.

        At most so many; 0: all.
        """
        recorded = {"$gt": datetime_from_ms(after_ms), "$lte": datetime_from_ms(through_ms)}
        cursor = self._late.find({"recorded_at": recorded}).sort("recorded_at", ASCENDING).limit(limit)
        return [_from_document(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]


def _to_document(late: LateReadings) -> dict[str, Any]:
    recorded_at = datetime_from_ms(late.record_ms)
    return {
        "recorded_at": recorded_at,
        "expire_at": recorded_at + _KEPT,
        "device_ids": late.device_ids,
        "device_index": late.device_index.astype(_INTEGERS, copy=False).tobytes(),
        "quarters": late.quarter_ms.astype(_INTEGERS, copy=False).tobytes(),
    }


def _from_document(document: Mapping[str, Any]) -> LateReadings:
    return LateReadings(
        datetime_to_ms(document["recorded_at"]),
        document["device_ids"],
        np.frombuffer(document["device_index"], _INTEGERS),
        np.frombuffer(document["quarters"], _INTEGERS),
    )
