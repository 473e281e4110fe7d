"""Where devices are kept: the collection `devices`, one document a device.

A link belongs to the document of its meter, where it is added by compare-and-set; the vehicle's document has a copy, so
that reading a device is always reading one document.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from common.errors import DeviceExists, DeviceNotFound
from common.instants import datetime_from_ms
from common.mongo import Database, ping, some_at_a_time
from common.unique_writes import insert_new
from gateway.device import Device
from gateway.device_document import Document, device_from_document, device_to_document, link_to_document
from gateway.vehicle_link import VehicleLink, in_order

PAGE_DEVICES = 1_000

# Each has a stamp of its own, and a write must not take long from that on.
_DEVICES_A_WRITE = 100
_QUERY_TIMEOUT_MS = 10_000
# The copy of `_id` in a field of its own costs an index, and pays where a server walks the whole collection for a range
# or a list of `_id`s, as the local one does. As the second key it keeps the pages of a filter in order.
_INDEXES = [
    IndexModel([("device_id", ASCENDING)]),
    IndexModel([("kind", ASCENDING), ("device_id", ASCENDING)]),
    IndexModel([("region", ASCENDING), ("device_id", ASCENDING)]),
    IndexModel([("account_id", ASCENDING), ("device_id", ASCENDING)]),
    IndexModel([("update_time", ASCENDING)]),
]

Filters = dict[str, str | int]


class Changes(NamedTuple):
    """What changed since an instant: the devices that are news, and the versions of all."""

    devices: list[Device]
    versions: dict[str, int]


class DeviceStore:
    """Reads and writes devices. Every method may raise what the driver raises when the server is away."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._devices: AsyncIOMotorCollection[Document] = database["devices"]
        self._now_ms = now_ms

    async def ping(self) -> None:
        """Asks the server whether it is there."""
        await ping(self._database)

    async def ensure_indexes(self) -> None:
        """Creates the indexes; harmless when they exist."""
        await self._devices.create_indexes(_INDEXES)

    async def create(self, device: Device) -> Device:
        """Registers a device, or finds it registered with the same content.

        Raises:
            DeviceExists: it is registered with other content.
        """
        new = self._stamped(device)
        try:
            await self._devices.insert_one(device_to_document(new))
        except DuplicateKeyError:
            existing = await self.get(device.device_id)
            if not existing.has_content_of(device):
                raise DeviceExists(device.device_id) from None
            return existing
        return new

    async def create_many(self, devices: Sequence[Device]) -> list[bool | DeviceExists]:
        """Registers devices: per device True if it is new, False if it was there with this content.

        The error stands where a device is registered with other content.
        """
        outcomes: list[bool | DeviceExists] = []
        for first in range(0, len(devices), _DEVICES_A_WRITE):
            outcomes += await self._create_some(devices[first : first + _DEVICES_A_WRITE])
        return outcomes

    async def _create_some(self, devices: Sequence[Device]) -> list[bool | DeviceExists]:
        documents = [device_to_document(self._stamped(device)) for device in devices]
        taken = await insert_new(self._devices, documents)
        if not taken:
            return [True] * len(devices)
        existing = await self.get_many({devices[index].device_id for index in taken})
        outcomes: list[bool | DeviceExists] = [True] * len(devices)
        for index in taken:
            device = devices[index]
            same = existing[device.device_id].has_content_of(device)
            outcomes[index] = False if same else DeviceExists(device.device_id)
        return outcomes

    async def get(self, device_id: str) -> Device:
        """One device with its links.

        Raises:
            DeviceNotFound: it is not registered.
        """
        document = await self._devices.find_one({"_id": device_id}, max_time_ms=_QUERY_TIMEOUT_MS)
        if document is None:
            raise DeviceNotFound(device_id)
        return device_from_document(document)

    async def get_many(self, device_ids: Collection[str]) -> dict[str, Device]:
        """Those of the devices that are registered, by id."""
        found = await asyncio.gather(*map(self._documents, some_at_a_time(list(device_ids))))
        return {document["_id"]: device_from_document(document) for documents in found for document in documents}

    async def page(self, after: str, filters: Filters, limit: int) -> list[Device]:
        """The devices whose ids come after one, by id; `filters` name exact values of kind, region and account_id."""
        query: Document = {**filters, "device_id": {"$gt": after}}
        cursor = self._devices.find(query).sort("device_id", ASCENDING).limit(limit).max_time_ms(_QUERY_TIMEOUT_MS)
        return [device_from_document(document) for document in await cursor.to_list(length=limit)]

    async def pages(self) -> AsyncGenerator[list[Device], None]:
        """Every device, in pages of at most 1000, in no particular order."""
        cursor = self._devices.find({}, batch_size=PAGE_DEVICES)
        try:
            while documents := await cursor.to_list(length=PAGE_DEVICES):
                yield [device_from_document(document) for document in documents]
        finally:
            await cursor.close()

    async def changed_since(self, update_time_ms: int, told: Mapping[str, int]) -> Changes:
        """What changed at an instant or later; devices that were told in their present version are no news."""
        query = {"update_time": {"$gte": datetime_from_ms(update_time_ms)}}
        cursor = self._devices.find(query, batch_size=PAGE_DEVICES).max_time_ms(_QUERY_TIMEOUT_MS)
        changes = Changes([], {})
        async for document in cursor:
            device_id, version = document["_id"], document["version"]
            changes.versions[device_id] = version
            if told.get(device_id) != version:
                changes.devices.append(device_from_document(document))
        return changes

    async def add_link(self, meter: Device, link: VehicleLink) -> bool:
        """Adds a link to its meter, if that has not changed since it was read; returns whether that was so."""
        # Later than the last change whatever the clock says.
        update_time_ms = max(self._now_ms(), meter.update_time_ms + 1)
        changed = {
            "links": [link_to_document(kept) for kept in in_order([*meter.links, link])],
            "update_time": datetime_from_ms(update_time_ms),
        }
        outcome = await self._devices.update_one(
            {"_id": meter.device_id, "version": meter.version}, {"$set": changed, "$inc": {"version": 1}}
        )
        return outcome.matched_count == 1

    async def copy_link(self, link: VehicleLink) -> None:
        """Copies a link of a meter to its vehicle; harmless when it is there."""
        await self._devices.update_one(
            {"_id": link.vehicle_id},
            {
                "$addToSet": {"links": link_to_document(link)},
                "$max": {"update_time": datetime_from_ms(self._now_ms())},
                "$inc": {"version": 1},
            },
        )

    async def _documents(self, device_ids: Sequence[str]) -> list[Document]:
        cursor = self._devices.find({"device_id": {"$in": device_ids}}).max_time_ms(_QUERY_TIMEOUT_MS)
        return await cursor.to_list(length=None)

    def _stamped(self, device: Device) -> Device:
        now_ms = self._now_ms()
        return replace(device, links=(), create_time_ms=now_ms, update_time_ms=now_ms, version=1)
