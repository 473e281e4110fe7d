"""Where devices are registered, found, linked and watched: `energy.registry.v1.RegistryService`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.registry.v1.registry_service_pb2 import (
    BatchCreateDevicesRequest,
    BatchCreateDevicesResponse,
    CreateDeviceRequest,
    CreateDeviceResponse,
    DeviceRefusal,
    GetDeviceRequest,
    GetDeviceResponse,
    LinkVehicleRequest,
    LinkVehicleResponse,
    ListDevicesRequest,
    ListDevicesResponse,
    WatchDevicesRequest,
    WatchDevicesResponse,
)
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceServicer

from common.errors import DeviceExists, FieldViolation, InvalidArgument
from common.paging import encode_token, page_size
from common.rpc_guard import Context
from gateway.device_directory import DeviceDirectory
from gateway.device_message import device_from_message, device_to_message, link_to_message
from gateway.device_store import DeviceStore
from gateway.device_watch import DeviceWatches
from gateway.registry_requests import filters_of, last_id_of, link_of, require_batch_size
from gateway.vehicle_linking import link_vehicle

_PAGE_DEFAULT = 100
_PAGE_MAXIMUM = 1_000


class RegistryService(RegistryServiceServicer):
    """Translates between the calls and the store; what it registers, this gateway's directory knows at once."""

    def __init__(self, store: DeviceStore, directory: DeviceDirectory, watches: DeviceWatches) -> None:
        self._store = store
        self._directory = directory
        self._watches = watches

    async def CreateDevice(self, request: CreateDeviceRequest, context: Context) -> CreateDeviceResponse:  # noqa: N802, ARG002
        """Registers a device."""
        device, violations = device_from_message(request.device)
        if violations:
            raise InvalidArgument(
                [
                    FieldViolation(f"device.{violation.field}", violation.reason, violation.description)
                    for violation in violations
                ]
            )
        kept = await self._store.create(device)
        self._directory.put([kept])
        return CreateDeviceResponse(device=device_to_message(kept))

    async def BatchCreateDevices(  # noqa: N802
        self,
        request: BatchCreateDevicesRequest,
        context: Context,  # noqa: ARG002
    ) -> BatchCreateDevicesResponse:
        """Registers those devices of a batch that keep the rules."""
        require_batch_size(len(request.devices))
        checked = [device_from_message(message) for message in request.devices]
        refused = [_refusal(index, violations[0]) for index, (_, violations) in enumerate(checked) if violations]
        indexes = [index for index, (_, violations) in enumerate(checked) if not violations]
        devices = [checked[index][0] for index in indexes]
        outcomes = await self._store.create_many(devices) if devices else []
        for index, outcome in zip(indexes, outcomes, strict=True):
            if isinstance(outcome, DeviceExists):
                refused.append(_refusal(index, FieldViolation("device_id", outcome.reason, outcome.message)))
        self._directory.put(
            device for device, outcome in zip(devices, outcomes, strict=True) if not isinstance(outcome, DeviceExists)
        )
        return BatchCreateDevicesResponse(
            created_count=outcomes.count(True),
            existing_count=outcomes.count(False),
            refused=sorted(refused, key=lambda refusal: refusal.index),
        )

    async def GetDevice(self, request: GetDeviceRequest, context: Context) -> GetDeviceResponse:  # noqa: N802, ARG002
        """Gets a device."""
        if not request.device_id:
            raise InvalidArgument([FieldViolation("device_id", "FIELD_REQUIRED", "is required")])
        return GetDeviceResponse(device=device_to_message(await self._store.get(request.device_id)))

    async def ListDevices(self, request: ListDevicesRequest, context: Context) -> ListDevicesResponse:  # noqa: N802, ARG002
        """Lists a page of devices."""
        filters = filters_of(request)
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        after = last_id_of(request.page_token, filters)
        # One more than asked for tells whether there is a next page.
        devices = await self._store.page(after, filters, size + 1)
        page = devices[:size]
        token = encode_token({"device_id": page[-1].device_id}, filters) if len(devices) > size else ""
        return ListDevicesResponse(devices=[device_to_message(device) for device in page], next_page_token=token)

    async def WatchDevices(  # noqa: N802
        self,
        request: WatchDevicesRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[WatchDevicesResponse]:
        """Sends every device, then every change."""
        async with aclosing(self._watches.watch()) as groups:
            async for devices, snapshot_complete in groups:
                messages = [device_to_message(device) for device in devices]
                yield WatchDevicesResponse(devices=messages, snapshot_complete=snapshot_complete)

    async def LinkVehicle(self, request: LinkVehicleRequest, context: Context) -> LinkVehicleResponse:  # noqa: N802, ARG002
        """Links a meter to a vehicle."""
        link = link_of(request)
        await link_vehicle(self._store, link)
        return LinkVehicleResponse(link=link_to_message(link))


def _refusal(index: int, violation: FieldViolation) -> DeviceRefusal:
    return DeviceRefusal(
        index=index,
        reason=ErrorReason.Value(f"ERROR_REASON_{violation.reason}"),
        field=violation.field,
        description=violation.description,
    )
