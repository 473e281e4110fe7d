"""Where devices are kept: the collection `devices`, one document a device, a link in the document of its meter."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ASCENDING, IndexModel
from pymongo.errors import BulkWriteError, DuplicateKeyError

from common.errors import DeviceExists, DeviceNotFound
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database, ping
from gateway.device import Device, DeviceKind
from gateway.device_document import Document, device_from_document, device_to_document, link_from_document
from gateway.vehicle_link import VehicleLink

PAGE_DEVICES = 1_000

_DUPLICATE_KEY = 11_000
_QUERY_TIMEOUT_MS = 10_000
# The second key keeps the pages of one filter in the order of device_id.
_INDEXES = [
    IndexModel([("kind", ASCENDING), ("_id", ASCENDING)]),
    IndexModel([("region", ASCENDING), ("_id", ASCENDING)]),
    IndexModel([("account_id", ASCENDING), ("_id", ASCENDING)]),
    IndexModel([("update_time", ASCENDING)]),
    IndexModel([("links.vehicle_id", ASCENDING)]),
]

Filters = dict[str, str | int]


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
            return _same_content(await self.get(device.device_id), device)
        return new

    async def create_many(self, devices: Sequence[Device]) -> list[bool | DeviceExists]:
        """Registers devices in one bulk write: per device True if it is new, False if it was there with this content.

        The error stands where a device is registered with other content.
        """
        documents = [device_to_document(self._stamped(device)) for device in devices]
        try:
            await self._devices.insert_many(documents, ordered=False)
        except BulkWriteError as refused:
            taken = _duplicate_indexes(refused)
        else:
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
        devices = await self.get_many([device_id])
        if device_id not in devices:
            raise DeviceNotFound(device_id)
        return devices[device_id]

    async def get_many(self, device_ids: Collection[str]) -> dict[str, Device]:
        """Those of the devices that are registered, by id."""
        cursor = self._devices.find({"_id": {"$in": list(device_ids)}}).max_time_ms(_QUERY_TIMEOUT_MS)
        devices = await self._with_links(await cursor.to_list(length=None))
        return {device.device_id: device for device in devices}

    async def page(self, after: str, filters: Filters, limit: int) -> list[Device]:
        """The devices whose ids come after one, by id; `filters` name exact values of kind, region and account_id."""
        query: Document = {**filters, "_id": {"$gt": after}}
        cursor = self._devices.find(query).sort("_id", ASCENDING).limit(limit).max_time_ms(_QUERY_TIMEOUT_MS)
        return await self._with_links(await cursor.to_list(length=limit))

    async def pages(self) -> AsyncGenerator[list[Device], None]:
        """Every device, in pages of at most 1000, in no particular order."""
        cursor = self._devices.find({}, batch_size=PAGE_DEVICES)
        try:
            while documents := await cursor.to_list(length=PAGE_DEVICES):
                yield await self._with_links(documents)
        finally:
            await cursor.close()

    async def versions_since(self, update_time_ms: int) -> dict[str, tuple[int, int]]:
        """Of each device that changed at an instant or later: (update time in milliseconds, version), by id."""
        query = {"update_time": {"$gte": datetime_from_ms(update_time_ms)}}
        fields = {"_id": 1, "update_time": 1, "version": 1}
        cursor = self._devices.find(query, fields, batch_size=PAGE_DEVICES).max_time_ms(_QUERY_TIMEOUT_MS)
        return {document["_id"]: _stamp(document) async for document in cursor}

    async def replace_links(self, meter: Device, links: Sequence[VehicleLink]) -> bool:
        """Gives a meter other links, if it has not changed since it was read; returns whether that was so."""
        # Above the last one whatever the clock says, so that watchers see every change.
        update_time_ms = max(self._now_ms(), meter.update_time_ms + 1)
        document = device_to_document(replace(meter, links=tuple(links)))
        changed = {"links": document["links"], "update_time": datetime_from_ms(update_time_ms)}
        outcome = await self._devices.update_one(
            {"_id": meter.device_id, "version": meter.version}, {"$set": changed, "$inc": {"version": 1}}
        )
        return outcome.matched_count == 1

    async def touch(self, device_id: str) -> None:
        """Marks a device as changed now, for a link of it did."""
        now = datetime_from_ms(self._now_ms())
        await self._devices.update_one({"_id": device_id}, {"$max": {"update_time": now}, "$inc": {"version": 1}})

    def _stamped(self, device: Device) -> Device:
        now_ms = self._now_ms()
        return replace(device, links=(), create_time_ms=now_ms, update_time_ms=now_ms, version=1)

    async def _with_links(self, documents: Sequence[Document]) -> list[Device]:
        vehicle_ids = [document["_id"] for document in documents if document["kind"] == DeviceKind.VEHICLE]
        links = await self._links_of(vehicle_ids) if vehicle_ids else {}
        return [device_from_document(document, tuple(links.get(document["_id"], ()))) for document in documents]

    async def _links_of(self, vehicle_ids: Sequence[str]) -> dict[str, list[VehicleLink]]:
        links: dict[str, list[VehicleLink]] = {vehicle_id: [] for vehicle_id in vehicle_ids}
        query = {"links.vehicle_id": {"$in": list(vehicle_ids)}}
        cursor = self._devices.find(query, {"_id": 1, "links": 1}).max_time_ms(_QUERY_TIMEOUT_MS)
        async for meter in cursor:
            for document in meter["links"]:
                if document["vehicle_id"] in links:
                    links[document["vehicle_id"]].append(link_from_document(meter["_id"], document))
        return links


def _stamp(document: Document) -> tuple[int, int]:
    return datetime_to_ms(document["update_time"]), document["version"]


def _same_content(existing: Device, device: Device) -> Device:
    if not existing.has_content_of(device):
        raise DeviceExists(device.device_id)
    return existing


def _duplicate_indexes(refused: BulkWriteError) -> list[int]:
    details: Mapping[str, Any] = refused.details or {}
    errors = details.get("writeErrors", [])
    if details.get("writeConcernErrors") or any(error["code"] != _DUPLICATE_KEY for error in errors):
        raise refused
    return [error["index"] for error in errors]
