"""Where the capacities of regions rest: one document for each region and instant from which it is valid."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from analytics.windows.region_capacity import RegionCapacity
from common.errors import RegionCapacityExists
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 5_000


class RegionCapacityStore:
    """The collection `region_capacities`; documents are put in once and never changed. Instants: UTC ms."""

    def __init__(self, database: Database) -> None:
        self._capacities = database["region_capacities"]

    async def prepare(self) -> None:
        """Makes the index that finds what was valid when."""
        await self._capacities.create_index([("region", ASCENDING), ("start", DESCENDING)], unique=True)

    async def set(self, capacity: RegionCapacity) -> RegionCapacity:
        """Keeps a capacity; returns the one that is kept, which is an earlier one that says the same.

        Raises:
            RegionCapacityExists: the region has another one from this instant on.
        """
        try:
            await self._capacities.insert_one(_to_document(capacity))
        except DuplicateKeyError:
            place = {"region": capacity.region, "start": datetime_from_ms(capacity.start_ms)}
            found = await self._capacities.find_one(place, max_time_ms=_READ_TIMEOUT_MS)
            kept = _from_document(found) if found else capacity
            if not kept.is_same_as(capacity):
                raise RegionCapacityExists(capacity.region, capacity.start_ms) from None
            return kept
        return capacity

    async def valid_at(self, region: str, instant_ms: int) -> RegionCapacity | None:
        """What a region could carry at an instant, as far as anybody has said."""
        begun = {"region": region, "start": {"$lte": datetime_from_ms(instant_ms)}}
        cursor = self._capacities.find(begun).sort("start", DESCENDING).limit(1).max_time_ms(_READ_TIMEOUT_MS)
        found = [_from_document(document) async for document in cursor]
        return found[0] if found else None

    async def history(self, regions: Collection[str]) -> Mapping[str, list[RegionCapacity]]:
        """All that was ever set for some regions, or for every region where none is named, by start."""
        wanted: dict[str, Any] = {"region": {"$in": list(regions)}} if regions else {}
        cursor = self._capacities.find(wanted).sort([("region", ASCENDING), ("start", ASCENDING)])
        found: dict[str, list[RegionCapacity]] = {}
        async for document in cursor.max_time_ms(_READ_TIMEOUT_MS):
            found.setdefault(document["region"], []).append(_from_document(document))
        return found


def _to_document(capacity: RegionCapacity) -> dict[str, Any]:
    return {
        "_id": f"{capacity.region}@{capacity.start_ms}",
        "region": capacity.region,
        "start": datetime_from_ms(capacity.start_ms),
        "capacity_milliwatts": capacity.capacity_milliwatts,
        "actor": capacity.actor,
        "create_time": datetime_from_ms(capacity.create_ms),
    }


def _from_document(document: Mapping[str, Any]) -> RegionCapacity:
    return RegionCapacity(
        region=document["region"],
        capacity_milliwatts=int(document["capacity_milliwatts"]),
        start_ms=datetime_to_ms(document["start"]),
        actor=document["actor"],
        create_ms=datetime_to_ms(document["create_time"]),
    )
