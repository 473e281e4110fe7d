"""A device as other services need it beside its readings, and the ways to find it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from energy.registry.v1 import device_pb2

from common.instants import duration_to_ms, to_ms


class VehicleCharge(NamedTuple):
    """A meter measured the charging of a vehicle over [start_ms, end_ms); None is without end."""

    meter_id: str
    start_ms: int
    end_ms: int | None


class CachedLink(NamedTuple):
    """A link of a meter and a vehicle over [start_ms, end_ms); None is without end."""

    vehicle_id: str
    meter_id: str
    start_ms: int
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class CachedDevice:
    """One device; `kind` is the number of `energy.registry.v1.DeviceKind`, instants in milliseconds since 1970 UTC.

    `is_active`: in operation, neither serviced nor out of operation for good, which is `is_decommissioned`.
    """

    device_id: str
    kind: int
    account_id: str
    site_id: str
    region: str
    time_zone: str
    expected_interval_ms: int
    links: tuple[CachedLink, ...]
    update_time_ms: int
    connection_kw: float | None = None
    register_digits: int = 0
    group_ids: tuple[str, ...] = ()
    is_active: bool = True
    create_time_ms: int = 0
    is_decommissioned: bool = False


_SHARED_NAMES_MAXIMUM = 2000
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Links = dict[tuple[str, int], VehicleCharge]


class DeviceIndex:
    """Devices by id, region, account, site and group, and the links of vehicles; the newest word on each counts."""

    def __init__(self) -> None:
        self.by_id: dict[str, CachedDevice] = {}
        self._by_region: dict[str, dict[str, CachedDevice]] = {}
        self._by_account: dict[str, dict[str, CachedDevice]] = {}
        self._by_site: dict[str, dict[str, CachedDevice]] = {}
        self._by_group: dict[str, dict[str, CachedDevice]] = {}
        self._links_of_vehicle: dict[str, _Links] = {}
        self._names: dict[str, str] = {}

    def put(self, message: device_pb2.Device) -> CachedDevice:
        """Takes a device, unless what is here is newer, and returns what is here then."""
        device = _cached(message, self._shared)
        before = self.by_id.get(device.device_id)
        if before is not None:
            if before.update_time_ms > device.update_time_ms:
                return before
            self._forget(before)
        self.by_id[device.device_id] = device
        for index, name in self._places(device):
            index.setdefault(name, {})[device.device_id] = device
        for link in device.links:
            charge = VehicleCharge(link.meter_id, link.start_ms, link.end_ms)
            self._links_of_vehicle.setdefault(link.vehicle_id, {})[link.meter_id, link.start_ms] = charge
        return device

    def in_region(self, region: str) -> tuple[CachedDevice, ...]:
        """The devices of a region."""
        return tuple(self._by_region.get(region, {}).values())

    def of_account(self, account_id: str) -> tuple[CachedDevice, ...]:
        """The devices of an account."""
        return tuple(self._by_account.get(account_id, {}).values())

    def at_site(self, site_id: str) -> tuple[CachedDevice, ...]:
        """The devices of a site."""
        return tuple(self._by_site.get(site_id, {}).values())

    def in_group(self, group_id: str) -> tuple[CachedDevice, ...]:
        """The devices of a group."""
        return tuple(self._by_group.get(group_id, {}).values())

    def regions(self, kind: int) -> list[str]:
        """The regions that have a device of a kind, in order."""
        by_region = self._by_region.items()
        return sorted(name for name, some in by_region if any(device.kind == kind for device in some.values()))

    def all_regions(self) -> list[str]:
        """The regions that have a device, in order."""
        return sorted(self._by_region)

    def account_count(self, kind: int, region: str = "", after: str = "") -> int:
        """How many accounts after one have a device of a kind, in a region where one is named."""
        return sum(1 for one in self._accounts(kind, region) if one > after)

    def accounts_after(self, after: str, limit: int, kind: int, region: str = "") -> list[str]:
        """So many of these accounts in order, after one."""
        return heapq.nsmallest(limit, (one for one in self._accounts(kind, region) if one > after))

    def _accounts(self, kind: int, region: str) -> Iterator[str]:
        for account_id, devices in self._by_account.items():
            if any(device.kind == kind and region in {"", device.region} for device in devices.values()):
                yield account_id

    def links_of_vehicle(self, vehicle_id: str) -> tuple[VehicleCharge, ...]:
        """The links of a vehicle by start, whether the vehicle or its meter told of them."""
        charges = self._links_of_vehicle.get(vehicle_id, {}).values()
        return tuple(sorted(charges, key=lambda charge: (charge.start_ms, charge.meter_id)))

    def _places(self, device: CachedDevice) -> Iterator[tuple[dict[str, dict[str, CachedDevice]], str]]:
        """The indexes that a device is in, each with the name it is there by."""
        yield self._by_region, device.region
        yield self._by_account, device.account_id
        if device.site_id:
            yield self._by_site, device.site_id
        for group_id in device.group_ids:
            yield self._by_group, group_id

    def _shared(self, name: str) -> str:
        # Many devices have the same, and each message brings it as an object of its own.
        if len(self._names) >= _SHARED_NAMES_MAXIMUM:
            self._names.clear()
        return self._names.setdefault(name, name)

    def _forget(self, device: CachedDevice) -> None:
        for index, name in self._places(device):
            _drop(index, name, device.device_id)
        # A link is the meter's to end; what a vehicle once told of its links is only ever added to.
        if device.kind == device_pb2.DEVICE_KIND_METER:
            for link in device.links:
                _drop(self._links_of_vehicle, link.vehicle_id, (link.meter_id, link.start_ms))


def _drop(index: dict[str, dict[_Key, _Value]], group: str, key: _Key) -> None:
    """Takes one out of a group, and the group with its last one: accounts and vehicles come and go."""
    some = index.get(group, {})
    some.pop(key, None)
    if not some:
        index.pop(group, None)


def _cached(message: device_pb2.Device, shared: Callable[[str], str]) -> CachedDevice:
    return CachedDevice(
        device_id=message.device_id,
        kind=message.kind,
        account_id=message.account_id,
        site_id=message.site_id,
        region=shared(message.region),
        time_zone=shared(message.time_zone),
        expected_interval_ms=duration_to_ms(message.expected_interval),
        links=tuple(_link(link) for link in message.links),
        update_time_ms=to_ms(message.update_time),
        connection_kw=message.connection_kw if message.HasField("connection_kw") else None,
        register_digits=message.register_digits,
        group_ids=tuple(map(shared, message.group_ids)),
        is_active=message.state in {device_pb2.DEVICE_STATE_ACTIVE, device_pb2.DEVICE_STATE_UNSPECIFIED},
        create_time_ms=to_ms(message.create_time),
        is_decommissioned=message.state == device_pb2.DEVICE_STATE_DECOMMISSIONED,
    )


def _link(link: device_pb2.VehicleLink) -> CachedLink:
    end_ms = to_ms(link.end_time) if link.HasField("end_time") else None
    return CachedLink(link.vehicle_id, link.meter_id, to_ms(link.start_time), end_ms)
