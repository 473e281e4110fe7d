"""Where it rests which windows are to be summed up again, until they were: a mark for each, however much came late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import ASCENDING, DESCENDING, UpdateOne

from analytics.windows.due_window import PATIENCE_MS, QUIET_MS, DueWindow
from analytics.windows.region_window_document import place_of
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 5_000
_MARKS_A_WRITE = 1_000


class DueWindowStore:
    """The collection `region_windows_due`; whoever writes what in whatever order, the marks are the same."""

    def __init__(self, database: Database) -> None:
        self._due = database["region_windows_due"]

    async def prepare(self) -> None:
        """Makes the indexes that find what is ripe."""
        await self._due.create_index([("latest", ASCENDING)])
        await self._due.create_index([("first", ASCENDING)])

    async def mark(self, windows: Iterable[DueWindow]) -> int:
        """Marks windows, or widens their marks; returns how many had none."""
        writes = [
            UpdateOne(
                {"_id": place_of(window.region, window.start_ms)},
                {
                    "$min": {"first": datetime_from_ms(window.first_ms)},
                    "$max": {"latest": datetime_from_ms(window.latest_ms)},
                    "$setOnInsert": {"region": window.region, "start": datetime_from_ms(window.start_ms)},
                },
                upsert=True,
            )
            for window in windows
        ]
        new_count = 0
        for first in range(0, len(writes), _MARKS_A_WRITE):
            written = await self._due.bulk_write(writes[first : first + _MARKS_A_WRITE], ordered=False)
            new_count += int(written.upserted_count)
        return new_count

    async def ripe(self, complete_through_ms: int, limit: int) -> list[DueWindow]:
        """Windows that are ripe, the newest first, at most so many."""
        found: dict[tuple[str, int], DueWindow] = {}
        # One after the other, for each goes by an index of its own.
        for name, wait_ms in (("latest", QUIET_MS), ("first", PATIENCE_MS)):
            ripe = {name: {"$lt": datetime_from_ms(complete_through_ms - wait_ms)}}
            cursor = self._due.find(ripe).sort("start", DESCENDING).limit(limit).max_time_ms(_READ_TIMEOUT_MS)
            async for document in cursor:
                window = _from_document(document)
                found[window.region, window.start_ms] = window
        return sorted(found.values(), key=lambda window: window.start_ms, reverse=True)[:limit]

    async def done(self, window: DueWindow, complete_through_ms: int) -> None:
        """Takes a mark off that is done by a window complete through this instant; what came since stays to be done."""
        place, through = place_of(window.region, window.start_ms), datetime_from_ms(complete_through_ms)
        removed = await self._due.delete_one({"_id": place, "latest": {"$lt": through}})
        if not removed.deleted_count:
            await self._due.update_one({"_id": place}, {"$max": {"first": through}})

    async def count(self) -> int:
        """How many windows are marked."""
        return await self._due.count_documents({}, maxTimeMS=_READ_TIMEOUT_MS)


def _from_document(document: Mapping[str, Any]) -> DueWindow:
    first_ms, latest_ms = datetime_to_ms(document["first"]), datetime_to_ms(document["latest"])
    return DueWindow(document["region"], datetime_to_ms(document["start"]), first_ms, latest_ms)
