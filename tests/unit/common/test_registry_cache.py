"""The registry cache follows a watch, outlives the gateway, and asks for what it does not have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import grpc
import pytest
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, DEVICE_KIND_VEHICLE, Device, VehicleLink
from energy.registry.v1.registry_service_pb2 import (
    GetDeviceRequest,
    GetDeviceResponse,
    WatchDevicesRequest,
    WatchDevicesResponse,
)
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceServicer, add_RegistryServiceServicer_to_server

from common.errors import DependencyUnavailable, DeviceNotFound
from common.grpc_client import open_channel
from common.instants import duration_from_ms, from_ms
from common.registry_cache import RegistryCache, VehicleCharge
from common.rpc_guard import Context


class ScriptedRegistry(RegistryServiceServicer):
    """A registry that tells watchers what the test says, and knows the listed devices."""

    def __init__(self) -> None:
        """Has no device."""
        self.listed: dict[str, Device] = {}
        self.watches: list[asyncio.Queue[WatchDevicesResponse]] = []
        self.snapshot: list[Device] = []
        self.address = "127.0.0.1:0"
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listens: on a free port the first time, on the same port from then on."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_RegistryServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(self.address)}"
        await self._server.start()

    async def stop(self) -> None:
        """Breaks every watch and stops listening."""
        self.watches.clear()
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    def tell(self, *devices: Device) -> None:
        """Tells every watcher of changed devices."""
        for watch in self.watches:
            watch.put_nowait(WatchDevicesResponse(devices=devices, snapshot_complete=True))

    async def GetDevice(self, request: GetDeviceRequest, context: Context) -> GetDeviceResponse:  # noqa: N802
        """A listed device."""
        if request.device_id not in self.listed:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return GetDeviceResponse(device=self.listed[request.device_id])

    async def WatchDevices(  # noqa: N802
        self,
        request: WatchDevicesRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[WatchDevicesResponse]:
        """The snapshot in one message, its end in another, then what is told."""
        news: asyncio.Queue[WatchDevicesResponse] = asyncio.Queue()
        self.watches.append(news)
        yield WatchDevicesResponse(devices=self.snapshot)
        yield WatchDevicesResponse(snapshot_complete=True)
        while True:
            yield await news.get()


def meter(device_id: str, *, update_ms: int = 1, region: str = "north", account_id: str = "acc-1") -> Device:
    """A meter as the registry tells of it."""
    return Device(
        device_id=device_id,
        kind=DEVICE_KIND_METER,
        account_id=account_id,
        site_id="site-1",
        region=region,
        time_zone="Asia/Kolkata",
        expected_interval=duration_from_ms(900_000),
        update_time=from_ms(update_ms),
    )


def linked(device: Device, vehicle_id: str, start_ms: int, end_ms: int | None = None) -> Device:
    """The meter with one more link."""
    end_time = None if end_ms is None else from_ms(end_ms)
    link = VehicleLink(
        vehicle_id=vehicle_id, meter_id=device.device_id, start_time=from_ms(start_ms), end_time=end_time
    )
    device.links.append(link)
    return device


@pytest.fixture
async def registry() -> AsyncIterator[ScriptedRegistry]:
    """A registry without devices."""
    # Abstract for the type checker only; what a test does not call is not scripted.
    scripted = ScriptedRegistry()  # type: ignore[abstract]
    await scripted.start()
    yield scripted
    await scripted.stop()


@pytest.fixture
async def cache(registry: ScriptedRegistry) -> AsyncIterator[RegistryCache]:
    """A cache that does not watch yet."""
    cache = RegistryCache(open_channel(registry.address))
    yield cache
    await cache.close()


@pytest.fixture
async def watching(cache: RegistryCache) -> AsyncIterator[RegistryCache]:
    """A cache that watches."""
    running = asyncio.ensure_future(cache.run())
    yield cache
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def eventually(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds; fails after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the cache has no event for what a test waits for
            await asyncio.sleep(0.01)


async def test_an_empty_cache_can_be_asked(cache: RegistryCache) -> None:
    """Before the gateway has told anything there is nothing, and no error."""
    assert cache.get("meter-1") is None
    assert list(cache.devices()) == []
    assert cache.by_region("north") == ()
    assert cache.by_account("acc-1") == ()
    assert cache.links_of_vehicle("vehicle-1") == ()
    assert not cache.is_complete


async def test_a_snapshot_fills_the_cache(registry: ScriptedRegistry, watching: RegistryCache) -> None:
    """Once it is complete every device is found by id, region and account, with the fields that services need."""
    registry.snapshot = [meter("meter-1"), meter("meter-2", region="south", account_id="acc-2")]

    await asyncio.wait_for(watching.wait_complete(), 10)

    assert {device.device_id for device in watching.devices()} == {"meter-1", "meter-2"}
    assert [device.device_id for device in watching.by_region("south")] == ["meter-2"]
    assert [device.device_id for device in watching.by_account("acc-1")] == ["meter-1"]
    found = watching.get("meter-1")
    assert found is not None
    assert (found.kind, found.site_id, found.time_zone) == (DEVICE_KIND_METER, "site-1", "Asia/Kolkata")
    assert found.expected_interval_ms == 900_000


async def test_accounts_are_found_by_kind_and_region(registry: ScriptedRegistry, watching: RegistryCache) -> None:
    """Each once, in order; one whose meter moved away is not there any more."""
    vehicle = meter("vehicle-1", account_id="acc-3")
    vehicle.kind = DEVICE_KIND_VEHICLE
    registry.snapshot = [
        *(meter(f"meter-{number}", account_id="acc-1") for number in range(2)),
        meter("meter-2", region="south", account_id="acc-0"),
        vehicle,
    ]
    await asyncio.wait_for(watching.wait_complete(), 10)

    assert list(watching.accounts(DEVICE_KIND_METER)) == ["acc-0", "acc-1"]
    assert list(watching.accounts(DEVICE_KIND_METER, "north")) == ["acc-1"]
    assert list(watching.accounts(DEVICE_KIND_METER, "west")) == []
    registry.tell(meter("meter-2", update_ms=2, region="north", account_id="acc-0"))
    await eventually(lambda: watching.by_region("south") == ())
    assert list(watching.accounts(DEVICE_KIND_METER, "south")) == []


async def test_a_change_replaces_what_was_known(registry: ScriptedRegistry, watching: RegistryCache) -> None:
    """A device that moved is found in its new region only."""
    registry.snapshot = [meter("meter-1", update_ms=1)]
    await asyncio.wait_for(watching.wait_complete(), 10)

    registry.tell(meter("meter-1", update_ms=2, region="south", account_id="acc-9"))
    await eventually(lambda: watching.by_region("south") != ())

    assert watching.by_region("north") == ()
    assert watching.by_account("acc-1") == ()
    assert [device.device_id for device in watching.by_account("acc-9")] == ["meter-1"]


async def test_an_older_word_does_not_replace_a_newer(registry: ScriptedRegistry, watching: RegistryCache) -> None:
    """A device may be told more than once; the newest counts."""
    registry.snapshot = [meter("meter-1", update_ms=5, region="south")]
    await asyncio.wait_for(watching.wait_complete(), 10)

    registry.tell(meter("meter-1", update_ms=4, region="north"))
    registry.tell(meter("meter-2"))
    await eventually(lambda: watching.get("meter-2") is not None)

    assert [device.device_id for device in watching.by_region("south")] == ["meter-1"]


async def test_the_links_of_a_vehicle_come_from_its_meters(registry: ScriptedRegistry, watching: RegistryCache) -> None:
    """By start, without those that a meter no longer has; None is without end."""
    registry.snapshot = [
        linked(meter("meter-2"), "vehicle-1", 2_000),
        linked(linked(meter("meter-1"), "vehicle-1", 1_000, 2_000), "vehicle-2", 2_000),
    ]
    await asyncio.wait_for(watching.wait_complete(), 10)
    before = watching.links_of_vehicle("vehicle-1")

    registry.tell(linked(meter("meter-2", update_ms=2), "vehicle-1", 2_000, 3_000))
    registry.tell(meter("meter-1", update_ms=2))
    await eventually(lambda: len(watching.links_of_vehicle("vehicle-1")) == 1)

    assert before == (VehicleCharge("meter-1", 1_000, 2_000), VehicleCharge("meter-2", 2_000, None))
    assert watching.links_of_vehicle("vehicle-1") == (VehicleCharge("meter-2", 2_000, 3_000),)
    assert watching.links_of_vehicle("vehicle-2") == ()


async def test_a_vehicle_brings_its_links_before_its_meters_are_known(
    registry: ScriptedRegistry, cache: RegistryCache
) -> None:
    """A vehicle that was asked for one by one can be compared with its meters at once."""
    vehicle = Device(device_id="vehicle-1", kind=DEVICE_KIND_VEHICLE, update_time=from_ms(1))
    vehicle.links.append(VehicleLink(vehicle_id="vehicle-1", meter_id="meter-1", start_time=from_ms(1_000)))
    registry.listed["vehicle-1"] = vehicle

    await cache.find("vehicle-1")

    assert cache.links_of_vehicle("vehicle-1") == (VehicleCharge("meter-1", 1_000, None),)


async def test_a_device_that_is_not_here_is_asked_for_and_kept(
    registry: ScriptedRegistry, cache: RegistryCache
) -> None:
    """The second question is answered without the gateway."""
    registry.listed["meter-1"] = meter("meter-1")

    found = await cache.find("meter-1")
    await registry.stop()

    assert await cache.find("meter-1") is found
    assert cache.get("meter-1") is found


async def test_an_unknown_device_is_not_found(registry: ScriptedRegistry, cache: RegistryCache) -> None:  # noqa: ARG001
    """The gateway's answer becomes the error that callers know."""
    with pytest.raises(DeviceNotFound):
        await cache.find("nobody")


async def test_a_gateway_that_is_away_is_told_as_such(registry: ScriptedRegistry, cache: RegistryCache) -> None:
    """Not being able to ask is no proof that the device does not exist."""
    await registry.stop()

    with pytest.raises(DependencyUnavailable):
        await cache.find("meter-1")


async def test_the_cache_outlives_the_gateway(registry: ScriptedRegistry, watching: RegistryCache) -> None:
    """What is known stays while the gateway is away, and what changed meanwhile is there soon after it is back."""
    registry.snapshot = [meter("meter-1")]
    await asyncio.wait_for(watching.wait_complete(), 10)

    await registry.stop()
    known_while_away = watching.get("meter-1") is not None
    registry.snapshot = [meter("meter-1"), meter("meter-2")]
    await registry.start()
    await eventually(lambda: watching.get("meter-2") is not None)

    assert known_while_away
    assert watching.is_complete
