"""Where closed windows of regions rest, and what each region can carry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, UpdateOne
from pymongo.errors import DuplicateKeyError

from analytics.region_window import Capacity, RegionWindow
from common.event_outbox import PENDING
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

COLLECTION = "region_windows"

_READ_TIMEOUT_MS = 10_000
_NUMBERS = (
    "version",
    "import_milliwatt_hours",
    "export_milliwatt_hours",
    "meter_count",
    "reporting_meter_count",
    "covered_ms",
    "capacity_kw",
)


class RegionWindowStore:
    """The collection `region_windows`, one document a region and window; instants are UTC milliseconds.

    `stale_at` in one says when data was received that may change it.
    """

    def __init__(self, database: Database) -> None:
        self._windows = database[COLLECTION]

    async def prepare(self) -> None:
        """Makes the indexes that find the windows of a region by time, and those that are to be summed up again."""
        await self._windows.create_index([("region", ASCENDING), ("start", ASCENDING)], unique=True)
        await self._windows.create_index([("start", ASCENDING)])
        await self._windows.create_index([("stale_at", ASCENDING)], sparse=True)

    async def close(self, window: RegionWindow) -> bool:
        """Keeps the first version of a window, to be told; False if another replica was faster."""
        try:
            await self._windows.insert_one(_to_document(window))
        except DuplicateKeyError:
            return False
        return True

    async def correct(self, window: RegionWindow, before: RegionWindow, stale_ms: int) -> bool:
        """Puts a later version in the place of the one before it, to be told; False if that is there no more.

        What was received after `stale_ms` keeps its mark.
        """
        found = {"_id": _id(window.region, window.start_ms), "version": before.version}
        replaced = await self._windows.update_one(found, {"$set": _to_document(window)})
        await self.settled(before, stale_ms)
        return replaced.matched_count == 1

    async def settled(self, window: RegionWindow, stale_ms: int) -> None:
        """Says that what was received up to an instant has been summed up."""
        found = {"_id": _id(window.region, window.start_ms), "stale_at": {"$lte": datetime_from_ms(stale_ms)}}
        await self._windows.update_one(found, {"$unset": {"stale_at": ""}})

    async def mark_stale(self, received_ms: Mapping[tuple[str, int], int]) -> None:
        """Says of windows, by region and start, when data was received that may change them.

        A window that is not closed yet needs no mark: what is received now will be in it.
        """
        if received_ms:
            await self._windows.bulk_write(
                [
                    UpdateOne({"_id": _id(region, start_ms)}, {"$max": {"stale_at": datetime_from_ms(instant_ms)}})
                    for (region, start_ms), instant_ms in received_ms.items()
                ],
                ordered=False,
            )

    async def stale(self, limit: int) -> list[tuple[RegionWindow, int]]:
        """The windows that are to be summed up again, and when the last was received that may change them."""
        cursor = self._windows.find({"stale_at": {"$gt": datetime_from_ms(0)}})
        cursor = cursor.sort("stale_at", ASCENDING).limit(limit).max_time_ms(_READ_TIMEOUT_MS)
        return [(window_from_document(found), datetime_to_ms(found["stale_at"])) async for found in cursor]

    async def closed_since(self, start_ms: int) -> dict[str, set[int]]:
        """The starts of the windows that are closed, of those that begin at an instant or later, by region."""
        cursor = self._windows.find({"start": {"$gte": datetime_from_ms(start_ms)}}, {"region": 1, "start": 1})
        found: defaultdict[str, set[int]] = defaultdict(set)
        async for document in cursor.max_time_ms(_READ_TIMEOUT_MS):
            found[document["region"]].add(datetime_to_ms(document["start"]))
        return found

    async def between(self, region: str, start_ms: int, end_ms: int, limit: int) -> Sequence[RegionWindow]:
        """The windows of a region that begin in [start_ms, end_ms), by time."""
        within = {"$gte": datetime_from_ms(start_ms), "$lt": datetime_from_ms(end_ms)}
        cursor = self._windows.find({"region": region, "start": within}).sort("start", ASCENDING).limit(limit)
        return [window_from_document(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def newest(self, region: str) -> RegionWindow | None:
        """The newest closed window of a region."""
        cursor = self._windows.find({"region": region}).sort("start", -1).limit(1)
        return next(
            (window_from_document(found) for found in await cursor.max_time_ms(_READ_TIMEOUT_MS).to_list(1)), None
        )


class RegionCapacityStore:
    """The collection `region_capacities`: what was said of each region, none of it ever changed."""

    def __init__(self, database: Database) -> None:
        self._capacities = database["region_capacities"]

    async def put(self, capacity: Capacity, create_ms: int) -> Capacity:
        """Keeps a capacity; of the same region and instant the one that was said last counts."""
        document = {
            "_id": _id(capacity.region, capacity.start_ms),
            "region": capacity.region,
            "capacity_kw": capacity.capacity_kw,
            "start": datetime_from_ms(capacity.start_ms),
            "actor": capacity.actor,
            "create_time": datetime_from_ms(create_ms),
        }
        await self._capacities.replace_one({"_id": document["_id"]}, document, upsert=True)
        return capacity

    async def by_region(self) -> Mapping[str, Sequence[Capacity]]:
        """Every capacity, by region."""
        found: defaultdict[str, list[Capacity]] = defaultdict(list)
        async for document in self._capacities.find({}).max_time_ms(_READ_TIMEOUT_MS):
            start_ms = datetime_to_ms(document["start"])
            region = document["region"]
            found[region].append(Capacity(region, document["capacity_kw"], start_ms, document["actor"]))
        return found


def _id(region: str, start_ms: int) -> str:
    return f"{region}@{start_ms}"


def _to_document(window: RegionWindow) -> dict[str, Any]:
    return {
        "_id": _id(window.region, window.start_ms),
        "region": window.region,
        "start": datetime_from_ms(window.start_ms),
        **{name: getattr(window, name) for name in _NUMBERS},
        "complete_through": datetime_from_ms(window.complete_through_ms),
        "close_time": datetime_from_ms(window.close_ms),
        PENDING: 1,
    }


def window_from_document(document: Mapping[str, Any]) -> RegionWindow:
    """The window of a document."""
    return RegionWindow(
        region=document["region"],
        start_ms=datetime_to_ms(document["start"]),
        **{name: document[name] for name in _NUMBERS},
        complete_through_ms=datetime_to_ms(document["complete_through"]),
        close_ms=datetime_to_ms(document["close_time"]),
    )
