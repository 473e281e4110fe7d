"""A device as other services need it beside its readings, and the ways to find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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
    """One device; `kind` is the number of `energy.registry.v1.DeviceKind`, instants in milliseconds since 1970 UTC."""

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


_Links = dict[tuple[str, int], VehicleCharge]


class DeviceIndex:
    """Devices by id, region and account, and the links of vehicles; the newest word on each device counts."""

    def __init__(self) -> None:
        self.by_id: dict[str, CachedDevice] = {}
        self._by_region: dict[str, dict[str, CachedDevice]] = {}
        self._by_account: dict[str, dict[str, CachedDevice]] = {}
        self._links_of_vehicle: dict[str, _Links] = {}

    def put(self, message: device_pb2.Device) -> CachedDevice:
        """Takes a device, unless what is here is newer, and returns what is here then."""
        device = _cached(message)
        before = self.by_id.get(device.device_id)
        if before is not None:
            if before.update_time_ms > device.update_time_ms:
                return before
            self._forget(before)
        self.by_id[device.device_id] = device
        self._by_region.setdefault(device.region, {})[device.device_id] = device
        self._by_account.setdefault(device.account_id, {})[device.device_id] = device
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

    def regions(self, kind: int) -> list[str]:
        """The regions that have a device of a kind, in order."""
        by_region = self._by_region.items()
        return sorted(name for name, some in by_region if any(device.kind == kind for device in some.values()))

    def account_ids(self, kind: int, region: str = "") -> list[str]:
        """The accounts that have a device of a kind, in a region where one is named, in order."""
        some = self._by_region.get(region, {}) if region else self.by_id
        return sorted({device.account_id for device in some.values() if device.kind == kind})

    def links_of_vehicle(self, vehicle_id: str) -> tuple[VehicleCharge, ...]:
        """The links of a vehicle by start, whether the vehicle or its meter told of them."""
        charges = self._links_of_vehicle.get(vehicle_id, {}).values()
        return tuple(sorted(charges, key=lambda charge: (charge.start_ms, charge.meter_id)))

    def _forget(self, device: CachedDevice) -> None:
        self._by_region[device.region].pop(device.device_id)
        self._by_account[device.account_id].pop(device.device_id)
        # A link is the meter's to end; what a vehicle once told of its links is only ever added to.
        if device.kind == device_pb2.DEVICE_KIND_METER:
            for link in device.links:
                self._links_of_vehicle[link.vehicle_id].pop((link.meter_id, link.start_ms), None)


def _cached(message: device_pb2.Device) -> CachedDevice:
    return CachedDevice(
        device_id=message.device_id,
        kind=message.kind,
        account_id=message.account_id,
        site_id=message.site_id,
        region=message.region,
        time_zone=message.time_zone,
        expected_interval_ms=duration_to_ms(message.expected_interval),
        links=tuple(_link(link) for link in message.links),
        update_time_ms=to_ms(message.update_time),
        connection_kw=message.connection_kw if message.HasField("connection_kw") else None,
        register_digits=message.register_digits,
        group_ids=tuple(message.group_ids),
    )


def _link(link: device_pb2.VehicleLink) -> CachedLink:
    end_ms = to_ms(link.end_time) if link.HasField("end_time") else None
    return CachedLink(link.vehicle_id, link.meter_id, to_ms(link.start_time), end_ms)
