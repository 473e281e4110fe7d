"""The devices of the registry, at hand in a service that asks about them for every reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Iterator
from typing import TYPE_CHECKING

import grpc
from energy.registry.v1 import device_pb2, registry_service_pb2
from energy.registry.v1.registry_service_pb2 import GetDeviceRequest, WatchDevicesRequest, WatchDevicesResponse
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub

from common.cached_device import CachedDevice, DeviceIndex, VehicleCharge
from common.call_deadline import patience
from common.errors import DependencyUnavailable, DeviceNotFound
from common.grpc_client import UNARY_TIMEOUT_SECONDS
from common.logs import get_logger
from common.retrying import retried_for_ever

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceAsyncStub

__all__ = ["REGISTRY_SERVICE", "CachedDevice", "RegistryCache", "VehicleCharge"]

REGISTRY_SERVICE = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name
"""What a gateway has to be serving for the cache to ask it."""

_RECONNECT_WAIT_INITIAL_SECONDS = 0.1
_RECONNECT_WAIT_MAXIMUM_SECONDS = 2.0
_ACCOUNTS_AT_ONCE = 20_000

_log = get_logger(__name__)


class WatchLost(Exception):
    """Expected: the watch of the registry ended before it had told anything."""


class RegistryCache:
    """Every registered device as the gateway last told it; empty at first, and usable from then on.

    It owns the channel to the gateway. `run()` keeps it fresh and must run as a background task. While the gateway is
    away, what is known stays.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stub: RegistryServiceAsyncStub = RegistryServiceStub(channel)
        self._index = DeviceIndex()
        self._complete = asyncio.Event()
        self._told = asyncio.Event()

    @property
    def is_complete(self) -> bool:
        """Whether every device that was registered when the first watch began is here."""
        return self._complete.is_set()

    async def wait_complete(self) -> None:
        """Returns when the cache is complete; give it a time limit of your own."""
        await self._complete.wait()

    async def run(self) -> None:
        """Watches the registry for ever; a gateway that is away is asked again."""
        while True:
            attempts = retried_for_ever(
                WatchLost,
                wait_initial_seconds=_RECONNECT_WAIT_INITIAL_SECONDS,
                wait_maximum_seconds=_RECONNECT_WAIT_MAXIMUM_SECONDS,
            )
            async for attempt in attempts:
                with attempt:
                    await self._watch()

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    def get(self, device_id: str) -> CachedDevice | None:
        """The device, or None if it is not here (yet)."""
        return self._index.by_id.get(device_id)

    def unknown_among(self, device_ids: Iterable[str]) -> set[str]:
        """Those of some devices that are not here (yet)."""
        return set(device_ids).difference(self._index.by_id)

    async def wait_known(self, device_ids: Iterable[str], limit_seconds: float) -> bool:
        """Waits until the watch has told of all these devices; False if it has not within the limit.

        A reading may be faster than the news of its device: the gateway that let it in knows more than the watch.
        """
        missing = self.unknown_among(device_ids)
        try:
            async with asyncio.timeout(limit_seconds):
                while missing:
                    self._told.clear()
                    await self._told.wait()
                    missing = self.unknown_among(missing)
        except TimeoutError:
            return False
        return True

    def account_count(self, kind: int, region: str = "", after: str = "") -> int:
        """How many accounts after one have a device of a kind, in a region where one is named."""
        return self._index.account_count(kind, region, after)

    def accounts(self, kind: int, region: str = "", after: str = "") -> Iterator[str]:
        """These accounts in order, some at a time: whoever comes meanwhile is among them if it is their turn yet."""
        while some := self._index.accounts_after(after, _ACCOUNTS_AT_ONCE, kind, region):
            yield from some
            after = some[-1]

    def regions(self, kind: int) -> list[str]:
        """The regions that have a device of a kind, in order."""
        return self._index.regions(kind)

    def all_regions(self) -> list[str]:
        """The regions that have a device, in order."""
        return self._index.all_regions()

    def any_device_id(self) -> str | None:
        """The id of some device; None while there is none."""
        return next(iter(self._index.by_id), None)

    async def find(self, device_id: str) -> CachedDevice:
        """The device; the gateway is asked if it is not here.

        Raises:
            DeviceNotFound: it is not registered.
            DependencyUnavailable: it is not here, and the gateway is away.
        DeadlineExceeded: the caller's time is over.
        """
        cached = self.get(device_id)
        if cached is not None:
            return cached
        try:
            timeout_seconds = patience(UNARY_TIMEOUT_SECONDS)
            response = await self._stub.GetDevice(GetDeviceRequest(device_id=device_id), timeout=timeout_seconds)
        except grpc.aio.AioRpcError as failure:
            if failure.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                raise DeviceNotFound(device_id) from None
            raise DependencyUnavailable("registry") from failure
        return self._index.put(response.device)

    def devices(self) -> Iterable[CachedDevice]:
        """Every device that is here, as of this call, in no particular order."""
        return tuple(self._index.by_id.values())

    def by_region(self, region: str) -> tuple[CachedDevice, ...]:
        """The devices of a region."""
        return self._index.in_region(region)

    def by_account(self, account_id: str) -> tuple[CachedDevice, ...]:
        """The devices of an account."""
        return self._index.of_account(account_id)

    def by_site(self, site_id: str) -> tuple[CachedDevice, ...]:
        """The devices of a site."""
        return self._index.at_site(site_id)

    def by_group(self, group_id: str) -> tuple[CachedDevice, ...]:
        """The devices of a group."""
        return self._index.in_group(group_id)

    def links_of_vehicle(self, vehicle_id: str) -> tuple[VehicleCharge, ...]:
        """Which meters measured the charging of a vehicle, and when, by start."""
        return self._index.links_of_vehicle(vehicle_id)

    async def _watch(self) -> None:
        responses_count = 0
        # No deadline, for a watch is meant to last; the channel's keepalive ends it when the gateway falls silent.
        call: AsyncIterable[WatchDevicesResponse] = self._stub.WatchDevices(WatchDevicesRequest())
        try:
            async for response in call:
                responses_count += 1
                self._take(response.devices)
                if response.snapshot_complete and not self.is_complete:
                    self._complete.set()
                    _log.info("registry_cached", devices=len(self._index.by_id))
        except grpc.aio.AioRpcError as lost:
            _log.warning("registry_watch_lost", code=lost.code().name)
        if not responses_count:
            raise WatchLost

    def _take(self, devices: Iterable[device_pb2.Device]) -> None:
        for device in devices:
            self._index.put(device)
        self._told.set()
