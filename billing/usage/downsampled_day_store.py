"""Takes the quarter-hours out of the documents of days, and leaves what their local days come to."""

from typing import Any, Literal
from zoneinfo import ZoneInfo

from pymongo import ASCENDING

from billing.cold.day_notice_store import Day, day_key
from billing.cold.day_store import days_filter
from billing.log.schema import KINDS, Kind
from billing.usage.downsampled_day import is_faithful, local_day_cells
from common.instants import datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 10_000

Downsampling = Literal["downsampled", "differs", "not_ready"]


class DownsampledDayStore:
    """Works on the collections of `DayStore`. A day is changed at once or not at all, so that no reader sees a half."""

    def __init__(self, database: Database) -> None:
        self._days = {kind.name: database[kind.days] for kind in KINDS.values()}

    async def sealed_days(self, kind: Kind, device_id: str, before_ms: int) -> list[int]:
        """The starts of the sealed days of a device before an instant that have their quarter-hours, epoch ms, by time.

        Raises:
            pymongo.errors.PyMongoError: the store failed.
        """
        wanted = {"span_start": 1, "sealed": 1, "time_zone": 1}
        cursor = self._days[kind.name].find(days_filter(device_id, 0, before_ms), wanted)
        cursor = cursor.sort([("device_id", ASCENDING), ("span_start", ASCENDING)]).max_time_ms(_READ_TIMEOUT_MS)
        return [
            datetime_to_ms(document["span_start"])
            async for document in cursor
            if document.get("sealed") and "time_zone" not in document
        ]

    async def downsample(self, kind: Kind, day: Day, time_zone: str) -> Downsampling:
        """Leaves of a sealed day its sums by the local days of a zone, if these are what its quarter-hours come to.

        Raises:
            pymongo.errors.PyMongoError: the store failed; doing it again is safe.
        """
        key = day_key(day)
        document = await self._days[kind.name].find_one(key, max_time_ms=_READ_TIMEOUT_MS)
        if document is None or not document.get("sealed"):
            return "not_ready"
        if "columns" not in document:
            return "downsampled"
        cells = local_day_cells(kind, document, ZoneInfo(time_zone))
        if not is_faithful(kind, document, cells):
            return "differs"
        as_read: dict[str, Any] = {**key, "sealed": True, "versions": document["versions"]}
        change = {"$set": {"local_days": cells, "time_zone": time_zone}, "$unset": {"columns": ""}}
        result = await self._days[kind.name].update_one(as_read, change)
        return "downsampled" if result.matched_count else "not_ready"
