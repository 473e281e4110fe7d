"""The registry as its callers see it: registering, finding, listing, linking and watching over gRPC."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import grpc
import pytest
from energy.common.v1 import error_reason_pb2 as reasons
from energy.registry.v1 import device_pb2
from energy.registry.v1.registry_service_pb2 import (
    BatchCreateDevicesRequest,
    CreateDeviceRequest,
    GetDeviceRequest,
    LinkVehicleRequest,
    ListDevicesRequest,
)
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

from common.grpc_client import open_channel
from common.instants import from_ms
from common.registry_cache import RegistryCache, VehicleCharge
from tests.integration.gateway.conftest import RunningGateway, message, register
from tests.wire.gateway.test_send_readings import detail_of


async def test_a_device_is_registered_once(gateway: RunningGateway) -> None:
    """Again with the same content is safe; with other content it exists already."""
    first = await gateway.registry.CreateDevice(CreateDeviceRequest(device=message("m-1")), timeout=10)
    again = await gateway.registry.CreateDevice(CreateDeviceRequest(device=message("m-1")), timeout=10)
    other = message("m-1")
    other.region = "Elsewhere"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.registry.CreateDevice(CreateDeviceRequest(device=other), timeout=10)
    found = await gateway.registry.GetDevice(GetDeviceRequest(device_id="m-1"), timeout=10)

    assert first.device == again.device == found.device
    assert first.device.state == device_pb2.DEVICE_STATE_ACTIVE
    assert first.device.expected_interval.seconds == 60
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert detail_of(refused.value, ErrorInfo).metadata == {"device_id": "m-1"}


async def test_a_device_that_breaks_rules_names_every_field(gateway: RunningGateway) -> None:
    """Paths lead from the request."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.registry.CreateDevice(CreateDeviceRequest(), timeout=10)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert {violation.field for violation in detail_of(refused.value, BadRequest).field_violations} == {
        "device.device_id",
        "device.kind",
        "device.account_id",
        "device.region",
        "device.time_zone",
    }


async def test_a_batch_registers_what_is_right(gateway: RunningGateway) -> None:
    """Refused devices are told by their position; all others exist afterwards."""
    await register(gateway, message("old"), message("taken"))
    taken, zoneless = message("taken"), message("zoneless")
    taken.region = "Elsewhere"
    zoneless.time_zone = "Mars/Olympus"

    response = await gateway.registry.BatchCreateDevices(
        BatchCreateDevicesRequest(devices=[zoneless, message("new"), taken, message("old")]), timeout=10
    )

    assert (response.created_count, response.existing_count) == (1, 1)
    assert [(refusal.index, refusal.reason, refusal.field) for refusal in response.refused] == [
        (0, reasons.ERROR_REASON_INVALID_FORMAT, "time_zone"),
        (2, reasons.ERROR_REASON_DEVICE_EXISTS, "device_id"),
    ]


@pytest.mark.parametrize("devices_count", [0, 1001])
async def test_a_batch_has_1_to_1000_devices(gateway: RunningGateway, devices_count: int) -> None:
    """An empty or too large one is refused as a whole."""
    request = BatchCreateDevicesRequest(devices=[message("m")] * devices_count)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.registry.BatchCreateDevices(request, timeout=10)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in detail_of(refused.value, BadRequest).field_violations] == ["devices"]


async def test_devices_are_listed_page_by_page(gateway: RunningGateway) -> None:
    """Pages follow each other until the token is empty; a token belongs to its filters."""
    vehicle = message("v-1", device_pb2.DEVICE_KIND_VEHICLE)
    await register(gateway, *(message(f"m-{number}") for number in range(5)), vehicle)

    ids, token = [], ""
    while True:
        request = ListDevicesRequest(page_size=2, page_token=token, kind=device_pb2.DEVICE_KIND_METER)
        response = await gateway.registry.ListDevices(request, timeout=10)
        ids.append([found.device_id for found in response.devices])
        token = response.next_page_token
        if not token:
            break
        last_token = token
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.registry.ListDevices(ListDevicesRequest(page_token=last_token), timeout=10)

    assert ids == [["m-0", "m-1"], ["m-2", "m-3"], ["m-4"]]
    assert detail_of(refused.value, ErrorInfo).reason == "PAGE_TOKEN_INVALID"


async def test_a_link_that_says_too_little_names_every_field(gateway: RunningGateway) -> None:
    """Nothing is linked by half a request."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.registry.LinkVehicle(LinkVehicleRequest(), timeout=10)

    fields = [violation.field for violation in detail_of(refused.value, BadRequest).field_violations]
    assert fields == ["vehicle_id", "meter_id", "start_time"]


async def test_another_service_hears_of_devices_and_links(gateway: RunningGateway) -> None:
    """The cache of a service that watches has them within two seconds."""
    cache = RegistryCache(open_channel(gateway.app.server.address))
    watching = asyncio.ensure_future(cache.run())
    await asyncio.wait_for(cache.wait_complete(), 10)

    await register(gateway, message("m-1"), message("v-1", device_pb2.DEVICE_KIND_VEHICLE))
    link = LinkVehicleRequest(vehicle_id="v-1", meter_id="m-1", start_time=from_ms(1_000), end_time=from_ms(2_000))
    response = await gateway.registry.LinkVehicle(link, timeout=10)
    async with asyncio.timeout(5):
        while not cache.links_of_vehicle("v-1"):  # noqa: ASYNC110 - the cache has no event for it
            await asyncio.sleep(0.05)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    await cache.close()

    assert response.link.meter_id == "m-1"
    assert cache.links_of_vehicle("v-1") == (VehicleCharge("m-1", 1_000, 2_000),)
    assert {found.device_id for found in cache.by_account("acc-1")} == {"m-1", "v-1"}
