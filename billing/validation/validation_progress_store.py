"""How far the days of each meter are validated: moved on by who validates, set back by who changes a day."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from billing.cold.day_notice_store import Day
from billing.log.schema import METER, Kind
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database, find_by_ids

_READ_TIMEOUT_MS = 10_000


class Progress(NamedTuple):
    """Up to where the days of a meter are validated, epoch milliseconds, and how often one of them has changed."""

    through_ms: int
    changes: int


class ValidationProgressStore:
    """The collection `validation_progress`, a document a meter.

    Who moves a meter on must have read how far it was: a change that set it back meanwhile is not lost.
    """

    def __init__(self, database: Database) -> None:
        self._progress = database["validation_progress"]

    async def prepare(self) -> None:
        """Makes the index by which meters are found whose days have changed."""
        await self._progress.create_index([("is_set_back", ASCENDING)], sparse=True)

    async def find(self, device_ids: Sequence[str]) -> dict[str, Progress]:
        """The progress of some meters, of those that were ever validated or set back."""
        known = find_by_ids(self._progress, device_ids, timeout_ms=_READ_TIMEOUT_MS)
        return {found["_id"]: _progress(found) async for found in known}

    async def find_set_back(self, limit: int) -> dict[str, Progress]:
        """The progress of some of the meters whose days have changed."""
        cursor = self._progress.find({"is_set_back": True}).limit(limit).max_time_ms(_READ_TIMEOUT_MS)
        return {found["_id"]: _progress(found) async for found in cursor}

    async def set_back(self, device_id: str, to_ms: int) -> None:
        """Says that a day of a meter that begins at an instant, epoch milliseconds, has changed."""
        change = {
            "$min": {"validated_through": datetime_from_ms(to_ms)},
            "$set": {"is_set_back": True},
            "$inc": {"changes": 1},
        }
        await self._progress.update_one({"_id": device_id}, change, upsert=True)

    async def day_changed(self, kind: Kind, day: Day) -> None:
        """Says that a day of a device has changed; only those of meters are validated."""
        if kind is METER:
            await self.set_back(day.device_id, day.start_ms)

    async def move_on(self, device_id: str, before: Progress | None, to_ms: int, *, is_done: bool) -> bool:
        """Says that a meter is validated up to an instant; False when a day of it has changed since it was read.

        `is_done` says that no day which has ended is left; else it is found among those set back, and goes on at once.
        """
        reached = {"validated_through": datetime_from_ms(to_ms)}
        if before is None:
            try:
                left = {} if is_done else {"is_set_back": True}
                await self._progress.insert_one({"_id": device_id, **reached, "changes": 0, **left})
            except DuplicateKeyError:
                return False
            return True
        was = {
            "_id": device_id,
            "validated_through": datetime_from_ms(before.through_ms),
            "changes": before.changes,
        }
        change: dict[str, Any] = {"$set": reached if is_done else {**reached, "is_set_back": True}}
        if is_done:
            change["$unset"] = {"is_set_back": ""}
        result = await self._progress.update_one(was, change)
        return bool(result.matched_count)


def _progress(document: Mapping[str, Any]) -> Progress:
    return Progress(datetime_to_ms(document["validated_through"]), document["changes"])
