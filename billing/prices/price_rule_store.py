"""Where the rules rest that make prices of regions: policies, which never change, and overrides, which may end."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from billing.prices.price_override import PriceOverride
from billing.prices.price_policy import PricePolicy
from billing.prices.price_rule_document import (
    override_from_document,
    override_to_document,
    policy_from_document,
    policy_to_document,
)
from common.errors import PriceOverrideNotFound, PriceRuleExists
from common.instants import datetime_from_ms, rfc3339
from common.mongo import Database

POLICIES_MAXIMUM = 10_000

_READ_TIMEOUT_MS = 5_000


class PriceRuleStore:
    """The collections `price_policies` and `price_overrides`; instants are UTC milliseconds."""

    def __init__(self, database: Database) -> None:
        self._policies = database["price_policies"]
        self._overrides = database["price_overrides"]

    async def prepare(self) -> None:
        """Makes the indexes that list policies and find the overrides of a time, and of a region."""
        await self._policies.create_index([("region", ASCENDING), ("start", ASCENDING)], unique=True)
        await self._overrides.create_index([("end", ASCENDING)])
        await self._overrides.create_index([("region", ASCENDING), ("create_time", DESCENDING), ("key", DESCENDING)])

    async def create_policy(self, policy: PricePolicy, create_ms: int) -> tuple[PricePolicy, int]:
        """Keeps a policy; returns it and when it was first created.

        Raises:
            PriceRuleExists: the region has one from this instant on with other content.
        """
        document = policy_to_document(policy, create_ms)
        try:
            await self._policies.insert_one(document)
        except DuplicateKeyError:
            found = await self._policies.find_one({"_id": document["_id"]}, max_time_ms=_READ_TIMEOUT_MS)
            kept, create_ms = policy_from_document(found) if found else (policy, create_ms)
            if kept != policy:
                described = f"a policy of the region {policy.region!r} from {rfc3339(policy.start_ms)} on"
                raise PriceRuleExists(document["_id"], described) from None
        return policy, create_ms

    async def policies(self, region: str = "") -> list[tuple[PricePolicy, int]]:
        """The policies of a region, or of all, by region and start, each with when it was created."""
        wanted = {"region": region} if region else {}
        cursor = self._policies.find(wanted).sort([("region", ASCENDING), ("start", ASCENDING)])
        cursor = cursor.limit(POLICIES_MAXIMUM).max_time_ms(_READ_TIMEOUT_MS)
        return [policy_from_document(document) async for document in cursor]

    async def policies_by_region(self) -> Mapping[str, Sequence[PricePolicy]]:
        """Every policy, by region and start."""
        found: defaultdict[str, list[PricePolicy]] = defaultdict(list)
        for policy, _ in await self.policies():
            found[policy.region].append(policy)
        return found

    async def create_override(self, override: PriceOverride) -> PriceOverride:
        """Keeps an override; returns the one that is kept.

        Raises:
            PriceRuleExists: one of this id has other content.
        """
        try:
            await self._overrides.insert_one(override_to_document(override))
        except DuplicateKeyError:
            kept = await self.override(override.override_id)
            if not kept.is_same_as(override):
                raise PriceRuleExists(override.override_id, f"an override {override.override_id!r}") from None
            return kept
        return override

    async def has_override(self, override_id: str) -> bool:
        """Whether there is an override of this id."""
        found = await self._overrides.find_one({"_id": override_id}, {"_id": 1}, max_time_ms=_READ_TIMEOUT_MS)
        return found is not None

    async def override(self, override_id: str) -> PriceOverride:
        """An override.

        Raises:
            PriceOverrideNotFound: there is none of this id.
        """
        document = await self._overrides.find_one({"_id": override_id}, max_time_ms=_READ_TIMEOUT_MS)
        if document is None:
            raise PriceOverrideNotFound(override_id)
        return override_from_document(document)

    async def remove(self, removed: PriceOverride) -> PriceOverride:
        """Keeps that an override was removed, as it says itself, unless it was before; returns what is kept."""
        document = override_to_document(removed)
        fields = ("end", "remove_time", "removed_by", "remove_reason", "first_end")
        kept: dict[str, Any] | None = await self._overrides.find_one_and_update(
            {"_id": removed.override_id, "remove_time": None},
            {"$set": {field: document[field] for field in fields}},
            return_document=ReturnDocument.AFTER,
            maxTimeMS=_READ_TIMEOUT_MS,
        )
        return await self.override(removed.override_id) if kept is None else override_from_document(kept)

    async def overrides_after(self, instant_ms: int) -> list[PriceOverride]:
        """The overrides of every region that end after an instant, or never."""
        cursor = self._overrides.find({"end": {"$gt": datetime_from_ms(instant_ms)}})
        return [override_from_document(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def page(self, region: str, before: tuple[int, str] | None, limit: int) -> list[PriceOverride]:
        """The overrides of a region, the one created last first, from after (create time, id) on."""
        stages: list[dict[str, Any]] = [{"$match": {"region": region}}]
        if before is not None:
            create_time = datetime_from_ms(before[0])
            later = {"create_time": create_time, "key": {"$lt": before[1]}}
            stages[0]["$match"]["create_time"] = {"$lte": create_time}
            stages.append({"$match": {"$or": [{"create_time": {"$lt": create_time}}, later]}})
        stages += [{"$sort": {"create_time": DESCENDING, "key": DESCENDING}}, {"$limit": limit}]
        cursor = self._overrides.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)
        return [override_from_document(document) async for document in cursor]
