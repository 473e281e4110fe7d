"""Makes devices and their links known to the mesh before their first reading."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from itertools import islice

import grpc
from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.registry.v1.device_pb2 import Device, VehicleLink
from energy.registry.v1.registry_service_pb2 import (
    BatchCreateDevicesRequest,
    CreateDeviceRequest,
    GetDeviceRequest,
    LinkVehicleRequest,
)
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub

from common.grpc_client import SLOW_TIMEOUT_SECONDS, UNARY_TIMEOUT_SECONDS

_DEVICES_PER_CALL = 1000
_CALLS_AT_ONCE = 16


class RegistrationRefused(Exception):
    """Expected: the registry does not take a device."""


async def register_devices(channel: grpc.aio.Channel, devices: Sequence[Device]) -> int:
    """Registers the devices; those that exist with the same content stay. Returns how many are new.

    Raises:
        RegistrationRefused: a device was refused; the first one is named.
        grpc.aio.AioRpcError: the call failed.
    """
    registry = RegistryServiceStub(channel)
    created = 0
    for first in range(0, len(devices), _DEVICES_PER_CALL):
        chunk = devices[first : first + _DEVICES_PER_CALL]
        response = await registry.BatchCreateDevices(
            BatchCreateDevicesRequest(devices=chunk), timeout=SLOW_TIMEOUT_SECONDS
        )
        if response.refused:
            refusal = response.refused[0]
            reason = ErrorReason.Name(refusal.reason).removeprefix("ERROR_REASON_")
            device_id = chunk[refusal.index].device_id
            raise RegistrationRefused(f"device {device_id}: {reason} {refusal.field} {refusal.description}".rstrip())
        created += response.created_count
    return created


async def link_vehicles(channel: grpc.aio.Channel, links: Sequence[VehicleLink]) -> None:
    """Links chargers' meters to vehicles; links that exist stay.

    Raises:
        grpc.aio.AioRpcError: a call failed.
    """
    registry = RegistryServiceStub(channel)
    await in_parallel(
        registry.LinkVehicle(
            LinkVehicleRequest(
                vehicle_id=link.vehicle_id,
                meter_id=link.meter_id,
                start_time=link.start_time,
                end_time=link.end_time if link.HasField("end_time") else None,
            ),
            timeout=UNARY_TIMEOUT_SECONDS,
        )
        for link in links
    )


async def ensure_device(channel: grpc.aio.Channel, device: Device) -> Device:
    """The device as it is registered: the one that has this id already, else the given one, now created.

    Raises:
        grpc.aio.AioRpcError: a call failed.
    """
    registry = RegistryServiceStub(channel)
    try:
        found = await registry.GetDevice(GetDeviceRequest(device_id=device.device_id), timeout=UNARY_TIMEOUT_SECONDS)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        created = await registry.CreateDevice(CreateDeviceRequest(device=device), timeout=UNARY_TIMEOUT_SECONDS)
        return created.device
    return found.device


async def in_parallel(calls: Iterable[Awaitable[object]]) -> None:
    """Awaits the calls, a few at a time; they are started only as they are reached."""
    waiting = iter(calls)
    while chunk := list(islice(waiting, _CALLS_AT_ONCE)):
        await asyncio.gather(*chunk)
