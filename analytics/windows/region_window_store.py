"""Where closed windows rest: one document for each region and start, which each version replaces, with its event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from analytics.windows.region_window import HOUR_MS, WINDOW_MS, RegionWindow
from analytics.windows.region_window_document import place_of, window_from_document, window_to_document
from common.event_outbox import PENDING, prepare_outbox
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

COLLECTION = "region_windows"

_READ_TIMEOUT_MS = 5_000
_NEWS_MAXIMUM = 10_000
_DAYS_MS = 48 * HOUR_MS


class RegionWindowStore:
    """The collection `region_windows`; instants are UTC milliseconds.

    Every write carries the mark of its event, so that a version that is stored is told, whoever dies in between.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._windows = database[COLLECTION]

    async def prepare(self) -> None:
        """Makes the indexes that find the windows of a region, of a start, and those that were closed last."""
        await self._windows.create_index([("region", ASCENDING), ("start", ASCENDING)], unique=True)
        await self._windows.create_index([("start", ASCENDING)])
        await self._windows.create_index([("close_time", ASCENDING)])
        await prepare_outbox(self._database, COLLECTION)

    async def close_first(self, window: RegionWindow) -> bool:
        """Keeps the first version of a window; False if it has one."""
        try:
            await self._windows.insert_one(window_to_document(window) | {PENDING: 1})
        except DuplicateKeyError:
            return False
        return True

    async def replace(self, window: RegionWindow) -> bool:
        """Keeps a version in place of the one before it; False if that is not the one here."""
        document = window_to_document(window) | {PENDING: 1}
        before = {"_id": document.pop("_id"), "version": window.version - 1}
        return bool((await self._windows.update_one(before, {"$set": document})).matched_count)

    async def find(self, region: str, start_ms: int) -> RegionWindow | None:
        """The newest version of a window; None while it is not closed."""
        found = await self._windows.find_one({"_id": place_of(region, start_ms)}, max_time_ms=_READ_TIMEOUT_MS)
        return None if found is None else window_from_document(found)

    async def closed_regions(self, start_ms: int) -> set[str]:
        """The regions whose window of this start is closed."""
        cursor = self._windows.find({"start": datetime_from_ms(start_ms)}, {"region": 1, "_id": 0})
        return {document["region"] async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)}

    async def complete_through(self, starts_ms: Sequence[int]) -> dict[tuple[str, int], int]:
        """What each closed window of some starts is complete through, UTC milliseconds, by region and start."""
        wanted = {"start": {"$in": [datetime_from_ms(start_ms) for start_ms in starts_ms]}}
        cursor = self._windows.find(wanted, {"region": 1, "start": 1, "complete_through": 1, "_id": 0})
        return {
            (found["region"], datetime_to_ms(found["start"])): datetime_to_ms(found["complete_through"])
            async for found in cursor.max_time_ms(_READ_TIMEOUT_MS)
        }

    async def newest(self, region: str, now_ms: int) -> RegionWindow | None:
        """The closed window of a region that starts last; it is looked for from now on backwards, further each time.

        For not every server stops at the first that it finds in the order asked for.
        """
        for reach_ms in (2 * HOUR_MS, _DAYS_MS, None):
            wanted: dict[str, Any] = {"region": region}
            if reach_ms is not None:
                wanted["start"] = {"$gte": datetime_from_ms(now_ms - reach_ms)}
            cursor = self._windows.find(wanted).sort("start", DESCENDING).limit(1)
            async for document in cursor.max_time_ms(_READ_TIMEOUT_MS):
                return window_from_document(document)
        return None

    async def between(self, region: str, start_ms: int, end_ms: int, limit: int) -> list[RegionWindow]:
        """The closed windows of a region that start in [start_ms, end_ms), by start, at most so many.

        As many as there would be without a gap are read, and then twice as many, for the same reason.
        """
        found: list[RegionWindow] = []
        span_ms = limit * WINDOW_MS
        while start_ms < end_ms and len(found) < limit:
            part_end_ms = min(end_ms, start_ms + span_ms)
            within = {"$gte": datetime_from_ms(start_ms), "$lt": datetime_from_ms(part_end_ms)}
            cursor = self._windows.find({"region": region, "start": within}).sort("start", ASCENDING)
            cursor = cursor.limit(limit - len(found)).max_time_ms(_READ_TIMEOUT_MS)
            found += [window_from_document(document) async for document in cursor]
            start_ms, span_ms = part_end_ms, 2 * span_ms
        return found

    async def older(self, before_ms: int, limit: int) -> list[RegionWindow]:
        """Windows that start before an instant and whose event is told, by start, at most so many."""
        old = {"start": {"$lt": datetime_from_ms(before_ms)}, PENDING: {"$exists": False}}
        cursor = self._windows.find(old).sort("start", ASCENDING).limit(limit).max_time_ms(_READ_TIMEOUT_MS)
        return [window_from_document(document) async for document in cursor]

    async def remove(self, windows: Sequence[RegionWindow]) -> int:
        """Removes windows; returns how many were there."""
        places = [place_of(window.region, window.start_ms) for window in windows]
        return int((await self._windows.delete_many({"_id": {"$in": places}})).deleted_count)

    async def closed_since(self, close_ms: int) -> list[RegionWindow]:
        """The windows of every region of which a version was made at an instant or later, in that order."""
        made: Mapping[str, Any] = {"close_time": {"$gte": datetime_from_ms(close_ms)}}
        cursor = self._windows.find(made).sort("close_time", ASCENDING).limit(_NEWS_MAXIMUM)
        return [window_from_document(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]
