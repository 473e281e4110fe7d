"""The hot collections: one document per device with its newest reading and when it was last heard of."""

from collections.abc import Collection, Sequence

from pymongo import UpdateOne

from billing.live.hot_reading import Latest, from_document, to_update
from billing.log.schema import KINDS, Kind
from common.mongo import Database, find_by_ids

_READ_TIMEOUT_MS = 5_000
_LIST_TIMEOUT_MS = 30_000


class LiveStore:
    """Moves hot documents forward and reads them."""

    def __init__(self, database: Database) -> None:
        self._collections = {kind.name: database[kind.live] for kind in KINDS.values()}

    async def advance(self, latest: Collection[Latest]) -> None:
        """Takes newest readings in; one that is older than what is there changes nothing."""
        for name, collection in self._collections.items():
            writes = [
                UpdateOne({"_id": one.device_id}, {"$max": to_update(one)}, upsert=True)
                for one in latest
                if one.kind == name
            ]
            if writes:
                await collection.bulk_write(writes, ordered=False)

    async def find(self, device_ids: Sequence[str]) -> dict[str, Latest]:
        """What the hot documents of some devices say, of those that have one."""
        found = {}
        for name, collection in self._collections.items():
            async for document in find_by_ids(collection, device_ids, timeout_ms=_READ_TIMEOUT_MS):
                found[document["_id"]] = from_document(KINDS[name], document)
        return found

    async def device_ids(self, kind: Kind) -> list[str]:
        """Every device of a kind that has ever sent a reading, in no particular order."""
        cursor = self._collections[kind.name].find({}, {"_id": 1}).max_time_ms(_LIST_TIMEOUT_MS)
        return [document["_id"] async for document in cursor]
