"""Leases and heartbeats at rest: every change names what it replaces, so that two replicas cannot both have made it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pymongo import ASCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from common.mongo import Database
from common.topology import queue_name

_LEASES = "partition_leases"
_REPLICAS = "replicas"
_DUPLICATE_KEY = 11000
_READ_TIMEOUT_MS = 1_000


@dataclass(frozen=True, slots=True)
class SeenLeases:
    """One look: the owner of each partition (None: nobody), and how often each replica's heart has beaten."""

    owners: Mapping[int, str | None]
    heartbeats: Mapping[str, int]


class LeaseStore:
    """The leases of one service's partitions, and the heartbeats of its replicas.

    A lease lives as long as its owner's heart beats, so that a replica renews all it holds by one write. The collection
    `partition_leases` has a document a partition, its id the name of the queue; `replicas` has one a replica. Each
    method raises pymongo.errors.PyMongoError when the store is away; whatever was half done then may be done again.
    """

    def __init__(self, database: Database, service: str) -> None:
        self._leases = database[_LEASES]
        self._replicas = database[_REPLICAS]
        self._service = service

    async def prepare(self) -> None:
        """Makes the indexes by which a service finds its own."""
        await self._leases.create_index([("service", ASCENDING)])
        await self._replicas.create_index([("service", ASCENDING)])

    async def beat(self, replica: str) -> None:
        """Says that a replica lives. The time is for people who look; no decision is taken by it."""
        await self._replicas.update_one(
            {"_id": self._replica_id(replica)},
            {
                "$inc": {"heartbeats": 1},
                "$set": {"service": self._service, "replica": replica, "beat_at": datetime.now(UTC)},
            },
            upsert=True,
        )

    async def look(self) -> SeenLeases:
        """Who holds what and who lives. Leases are read first, so that a new owner's heartbeat is not missed."""
        mine = {"service": self._service}
        leases = self._leases.find(mine, {"partition": 1, "owner": 1}).max_time_ms(_READ_TIMEOUT_MS)
        owners = {lease["partition"]: lease["owner"] async for lease in leases}
        replicas = self._replicas.find(mine, {"replica": 1, "heartbeats": 1}).max_time_ms(_READ_TIMEOUT_MS)
        return SeenLeases(owners, {found["replica"]: found["heartbeats"] async for found in replicas})

    async def make(self, partitions: Iterable[int]) -> None:
        """Makes the leases of new partitions, owned by nobody; those that exist stay as they are."""
        fresh = [
            {"_id": self._lease_id(partition), "service": self._service, "partition": partition, "owner": None}
            for partition in partitions
        ]
        try:
            await self._leases.insert_many(fresh, ordered=False)
        except BulkWriteError as failure:
            if any(error["code"] != _DUPLICATE_KEY for error in failure.details["writeErrors"]):
                raise

    async def take(self, partition: int, owner: str | None, me: str) -> bool:
        """Makes a lease of which `owner` (None: nobody) was seen as the owner mine; False if it has another by now."""
        taken = await self._leases.update_one(
            {"_id": self._lease_id(partition), "owner": owner}, {"$set": {"owner": me, "taken_at": datetime.now(UTC)}}
        )
        return taken.matched_count == 1

    async def give_back(self, partitions: Collection[int], me: str) -> None:
        """Frees leases of mine; those that have another owner by now stay as they are."""
        if partitions:
            await self._leases.bulk_write(
                [
                    UpdateOne({"_id": self._lease_id(partition), "owner": me}, {"$set": {"owner": None}})
                    for partition in partitions
                ],
                ordered=False,
            )

    async def bury(self, replica: str, heartbeats: int) -> bool:
        """Removes a replica that is gone; False if its heart has beaten since it was seen, or if it was removed."""
        removed = await self._replicas.delete_one({"_id": self._replica_id(replica), "heartbeats": heartbeats})
        return removed.deleted_count == 1

    async def leave(self, me: str) -> None:
        """Frees all leases of a replica that stops, and removes it."""
        await self._leases.update_many({"service": self._service, "owner": me}, {"$set": {"owner": None}})
        await self._replicas.delete_one({"_id": self._replica_id(me)})

    def _lease_id(self, partition: int) -> str:
        return queue_name(self._service, partition)

    def _replica_id(self, replica: str) -> str:
        return f"{self._service}/{replica}"
