"""Where the hours of windows rest that were let go: what is left of each quarter-hour after its time."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo import ASCENDING

from analytics.windows.region_window import HOUR_MS, RegionWindow
from analytics.windows.region_window_document import window_from_document, window_to_document
from common.instants import datetime_from_ms
from common.mongo import Database
from common.unique_writes import insert_new

_READ_TIMEOUT_MS = 5_000


class RegionHourStore:
    """The collection `region_hours`; instants are UTC milliseconds. An hour that is there is never changed."""

    def __init__(self, database: Database) -> None:
        self._hours = database["region_hours"]

    async def prepare(self) -> None:
        """Makes the index that finds the hours of a region."""
        await self._hours.create_index([("region", ASCENDING), ("start", ASCENDING)], unique=True)

    async def keep(self, hours: Sequence[RegionWindow]) -> None:
        """Keeps those hours that are not there yet."""
        documents = [window_to_document(hour) | {"closed_ms": hour.closed_ms} for hour in hours]
        await insert_new(self._hours, documents)

    async def between(self, region: str, start_ms: int, end_ms: int, limit: int) -> list[RegionWindow]:
        """The hours of a region that start in [start_ms, end_ms), by start, at most so many."""
        within = {"$gte": datetime_from_ms(start_ms), "$lt": datetime_from_ms(end_ms)}
        cursor = self._hours.find({"region": region, "start": within}).sort("start", ASCENDING).limit(limit)
        return [
            window_from_document(document, length_ms=HOUR_MS, closed_ms=document["closed_ms"])
            async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)
        ]
