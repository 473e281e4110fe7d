"""Where tariffs rest and who has which: immutable price lists and the assignments that price a device's readings."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import chain
from typing import Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from billing.tariffs.device_registry import RegisteredDevice
from billing.tariffs.tariff import Tariff
from billing.tariffs.tariff_assignment import (
    AssignmentVersion,
    Correction,
    TariffAssignment,
    counting,
    effective_assignments,
    scopes_of,
)
from billing.tariffs.tariff_document import (
    assignment_from_document,
    assignment_key,
    assignment_to_document,
    tariff_from_document,
    tariff_to_document,
)
from common.errors import TariffAssignmentConflict, TariffAssignmentNotFound, TariffExists, TariffNotFound
from common.instants import datetime_from_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 10_000
_SCAN_TIMEOUT_MS = 30_000
_CACHED_TARIFFS_MAXIMUM = 10_000


class TariffStore:
    """The collections `tariffs` and `tariff_assignments`; nothing that is said in them is ever changed.

    An assignment from an instant in the past is marked until the invoices that it concerns are looked at.
    """

    def __init__(self, database: Database) -> None:
        self._tariffs = database["tariffs"]
        self._assignments = database["tariff_assignments"]
        # A tariff never changes, so what was read once stays right.
        self._cached: dict[str, tuple[Tariff, int]] = {}

    async def prepare(self) -> None:
        """Makes the indexes that list tariffs and find the assignments of a device."""
        await self._tariffs.create_index([("key", ASCENDING)])
        await self._assignments.create_index([("scope", ASCENDING), ("start_time", ASCENDING)])
        await self._assignments.create_index([("unsettled", ASCENDING)])

    async def create(self, tariff: Tariff, create_time_ms: int) -> tuple[Tariff, int]:
        """Keeps a tariff; returns it and the instant it was first created, UTC milliseconds.

        Raises:
            TariffExists: one of this id and other content is kept.
        """
        try:
            await self._tariffs.insert_one(tariff_to_document(tariff, create_time_ms))
        except DuplicateKeyError:
            kept, create_time_ms = await self.get(tariff.tariff_id)
            if kept != tariff:
                raise TariffExists(tariff.tariff_id) from None
            return kept, create_time_ms
        return tariff, create_time_ms

    async def get(self, tariff_id: str) -> tuple[Tariff, int]:
        """A tariff and the instant it was created, UTC milliseconds.

        Raises:
            TariffNotFound: there is none of this id.
        """
        known = await self._fetch([tariff_id])
        if tariff_id not in known:
            raise TariffNotFound(tariff_id)
        return known[tariff_id]

    async def tariffs(self, tariff_ids: Iterable[str]) -> dict[str, Tariff]:
        """The tariffs of some ids, by id; unknown ids are left out."""
        known = await self._fetch(set(tariff_ids))
        return {tariff_id: tariff for tariff_id, (tariff, _) in known.items()}

    async def page(self, after: str, limit: int) -> list[tuple[Tariff, int]]:
        """The first tariffs by id after one, each with the instant it was created, UTC milliseconds."""
        cursor = self._tariffs.find({"key": {"$gt": after}}).sort("key", ASCENDING).limit(limit)
        return [tariff_from_document(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def assign(
        self, assignment: TariffAssignment, create_time_ms: int, correction: Correction | None = None
    ) -> None:
        """Keeps an assignment; doing it again changes nothing.

        With a correction it takes the place of another one from the same instant, which stays on record.

        Raises:
            TariffAssignmentConflict: another tariff is assigned to the same from the same instant.
        """
        version = AssignmentVersion(assignment, 1, create_time_ms, correction=correction)
        while not await self._add(version):
            kept = (await self.versions(assignment.scope, assignment.start_ms))[-1]
            if not kept.is_cancelled:
                if kept.assignment.tariff_id == assignment.tariff_id:
                    return
                if correction is None:
                    raise TariffAssignmentConflict(assignment.scope, kept.assignment.tariff_id, assignment.start_ms)
            version = replace(version, number=kept.number + 1)

    async def cancel(
        self, assignment: TariffAssignment, create_time_ms: int, correction: Correction
    ) -> AssignmentVersion:
        """Says that an assignment counts no more; doing it again changes nothing.

        Raises:
            TariffAssignmentNotFound: nothing is assigned to the same from the same instant.
            TariffAssignmentConflict: another tariff is.
        """
        while True:
            versions = await self.versions(assignment.scope, assignment.start_ms)
            if not versions:
                raise TariffAssignmentNotFound(assignment.scope, assignment.start_ms)
            kept = versions[-1]
            if kept.assignment.tariff_id != assignment.tariff_id:
                raise TariffAssignmentConflict(assignment.scope, kept.assignment.tariff_id, assignment.start_ms)
            if kept.is_cancelled:
                return kept
            version = AssignmentVersion(
                assignment, kept.number + 1, create_time_ms, is_cancelled=True, correction=correction
            )
            if await self._add(version):
                return version

    async def versions(self, scope: str, start_ms: int | None = None) -> list[AssignmentVersion]:
        """All that was ever said of a scope, from one start (UTC milliseconds) on or any, by start and number."""
        query: dict[str, Any] = {"scope": scope}
        if start_ms is not None:
            query["start_time"] = datetime_from_ms(start_ms)
        cursor = self._assignments.find(query).sort("start_time", ASCENDING).max_time_ms(_READ_TIMEOUT_MS)
        found = [assignment_from_document(document) async for document in cursor]
        return sorted(found, key=lambda one: (one.assignment.start_ms, one.number))

    async def assignments(self, device: RegisteredDevice, as_of_ms: int | None = None) -> list[TariffAssignment]:
        """Which tariffs a device has had and has, by start, whether its own or those of its site or groups.

        As of an instant, epoch milliseconds, by the assignments that were made by then.
        """
        scopes = scopes_of(device.device_id, device.site_id, device.group_ids)
        # One range of the index a question: for several at once not every server goes by it.
        found = await asyncio.gather(*(self.versions(scope) for scope in scopes))
        return effective_assignments(device.device_id, counting(chain.from_iterable(found), as_of_ms))

    async def latest(self, before_ms: int) -> dict[str, TariffAssignment]:
        """The assignment that began last in each scope before an instant, epoch milliseconds: reads all there are."""
        cursor = self._assignments.find({}).sort([("scope", ASCENDING), ("start_time", ASCENDING)])
        versions = [assignment_from_document(document) async for document in cursor.max_time_ms(_SCAN_TIMEOUT_MS)]
        return {one.scope: one for one in counting(versions) if one.start_ms < before_ms}

    async def unsettled(self, limit: int) -> list[AssignmentVersion]:
        """So many of those whose invoices nobody has looked at since they were made."""
        cursor = self._assignments.find({"unsettled": True}).limit(limit).max_time_ms(_READ_TIMEOUT_MS)
        return [assignment_from_document(document) async for document in cursor]

    async def settle(self, version: AssignmentVersion) -> None:
        """Takes the mark away."""
        key = assignment_key(version.assignment, version.number)
        await self._assignments.update_one({"_id": key}, {"$unset": {"unsettled": ""}})

    async def _add(self, version: AssignmentVersion) -> bool:
        document = assignment_to_document(version)
        if version.assignment.start_ms < version.create_ms:
            document["unsettled"] = True
        try:
            await self._assignments.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def _fetch(self, tariff_ids: Collection[str]) -> dict[str, tuple[Tariff, int]]:
        known = {tariff_id: self._cached[tariff_id] for tariff_id in tariff_ids if tariff_id in self._cached}
        missing = [tariff_id for tariff_id in tariff_ids if tariff_id not in known]
        if not missing:
            return known
        cursor = self._tariffs.find({"_id": {"$in": missing}}).max_time_ms(_READ_TIMEOUT_MS)
        read = {document["_id"]: tariff_from_document(document) async for document in cursor}
        if len(self._cached) + len(read) > _CACHED_TARIFFS_MAXIMUM:
            self._cached.clear()
        self._cached.update(read)
        return known | read
