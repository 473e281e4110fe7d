"""Where billing keeps what it is told of the load of regions, for as long as prices are made from it."""

from collections.abc import Sequence

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from billing.prices.region_price import LoadWindow
from billing.prices.region_price_document import window_from_document, window_to_document
from common.instants import datetime_from_ms
from common.mongo import Database

_KEPT_MS = 7 * 86_400_000
_READ_TIMEOUT_MS = 5_000


class LoadWindowStore:
    """The collection `load_windows`: the newest version of each window, for a week after it has ended."""

    def __init__(self, database: Database) -> None:
        self._windows = database["load_windows"]

    async def prepare(self) -> None:
        """Makes the indexes that find windows by their end and let them go."""
        await self._windows.create_index([("end", ASCENDING)])
        await self._windows.create_index("expire_at", expireAfterSeconds=0)

    async def take(self, window: LoadWindow) -> None:
        """Keeps a window, unless a version as new or newer is here; the order in which they come does not matter."""
        document = window_to_document(window, window.end_ms + _KEPT_MS)
        older = {"_id": document["_id"], "version": {"$lt": window.version}}
        replaced = await self._windows.replace_one(older, document)
        if not replaced.matched_count:
            try:
                await self._windows.insert_one(document)
            except DuplicateKeyError:
                # Either one as new is here, or another was faster and this one may still be newer than that.
                await self._windows.replace_one(older, document)

    async def ended_between(self, start_ms: int, end_ms: int) -> Sequence[LoadWindow]:
        """The windows of every region that ended in [start_ms, end_ms], UTC milliseconds."""
        within = {"$gte": datetime_from_ms(start_ms), "$lte": datetime_from_ms(end_ms)}
        cursor = self._windows.find({"end": within}).max_time_ms(_READ_TIMEOUT_MS)
        return [window_from_document(document) async for document in cursor]
