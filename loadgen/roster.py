"""Who is in the fleet: each device with its id, account, site and region, as the registry wants to know it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from energy.registry.v1 import device_pb2

from common.instants import duration_from_ms, from_ms
from loadgen import itinerary, meter, sensors
from loadgen.fleet_spec import FleetSpec
from loadgen.itinerary import VehicleProfile
from loadgen.meter import MeterProfile
from loadgen.storage_preset import GRID_BATTERY

# Links hold for any reading, however old: they begin before every file and every simulated day.
LINKED_FROM_MS = 946_684_800_000  # 2000-01-01T00:00:00Z

_REGISTER_DIGITS = 8
_METER, _VEHICLE, _STORAGE = (
    device_pb2.DEVICE_KIND_METER,
    device_pb2.DEVICE_KIND_VEHICLE,
    device_pb2.DEVICE_KIND_STORAGE,
)


@dataclass(frozen=True, slots=True)
class Household:
    """A meter and what it measures."""

    meter_id: str
    profile: MeterProfile


@dataclass(frozen=True, slots=True)
class ElectricVehicle:
    """A vehicle, its charger, and what they are like."""

    vehicle_id: str
    charger_id: str
    profile: VehicleProfile


class Roster:
    """The fleet's devices. A device is the same for the same seed and id, whoever else is in the fleet."""

    def __init__(self, spec: FleetSpec) -> None:
        self._spec = spec
        self.households = [
            Household(device_id, meter.draw_profile(self._random(device_id)))
            for device_id in (self._named("meter", number) for number in _numbers(spec.meters))
        ]
        self.vehicles = [
            ElectricVehicle(device_id, self._named("charger", number), itinerary.draw_profile(self._random(device_id)))
            for number, device_id in ((number, self._named("vehicle", number)) for number in _numbers(spec.vehicles))
        ]
        self.pack_ids = [f"{spec.id_prefix}pack-{number:03d}" for number in _numbers(spec.packs)]
        self.sensor_ids = [spec.id_prefix + sensors.sensor_name(number) for number in _numbers(spec.sensors)]

    def devices(self) -> Iterator[device_pb2.Device]:
        """Every device, in the order in which a step has its readings.

        A household is one account and one site. Vehicles live with the households, one each, starting over when there
        are more of them. All packs belong to one more account, all sensors to a last one.
        """
        for number, household in enumerate(self.households):
            connection_kw = household.profile.connection_w / 1000
            yield self._device(household.meter_id, _METER, (number, number), connection_kw, _REGISTER_DIGITS)
        homes = len(self.households) or max(1, len(self.vehicles))
        for number, vehicle in enumerate(self.vehicles):
            home = (number % homes, number % homes)
            charger_kw = vehicle.profile.charger_w / 1000
            yield self._device(vehicle.charger_id, _METER, home, charger_kw, _REGISTER_DIGITS)
            yield self._device(vehicle.vehicle_id, _VEHICLE, home, None)
        accounts = len(self.households) or len(self.vehicles)
        for number, pack_id in enumerate(self.pack_ids):
            connection_kw = float(round(GRID_BATTERY.charging_power_kw + 1))
            yield self._device(pack_id, _STORAGE, (accounts, accounts + number), connection_kw)
        for number, sensor_id in enumerate(self.sensor_ids):
            home = (accounts + bool(self.pack_ids), accounts + len(self.pack_ids) + number)
            yield self._device(sensor_id, _METER, home, sensors.CONNECTION_KW)

    def links(self) -> Iterator[device_pb2.VehicleLink]:
        """Each charger with its vehicle, without end."""
        for vehicle in self.vehicles:
            yield device_pb2.VehicleLink(
                vehicle_id=vehicle.vehicle_id, meter_id=vehicle.charger_id, start_time=from_ms(LINKED_FROM_MS)
            )

    def _device(  # `home` is the number of its account and of its site, from 0
        self,
        device_id: str,
        kind: device_pb2.DeviceKind.ValueType,
        home: tuple[int, int],
        connection_kw: float | None,
        register_digits: int = 0,
    ) -> device_pb2.Device:
        spec, (account, site) = self._spec, home
        return device_pb2.Device(
            device_id=device_id,
            kind=kind,
            account_id=self._named("acc", account + 1),
            site_id=self._named("site", site + 1),
            region=spec.regions[site % len(spec.regions)],
            time_zone=spec.time_zone,
            expected_interval=duration_from_ms(spec.interval_ms),
            connection_kw=connection_kw,
            register_digits=register_digits,
        )

    def _named(self, noun: str, number: int) -> str:
        return f"{self._spec.id_prefix}{noun}-{number:05d}"

    def _random(self, device_id: str) -> Random:
        return Random(f"{self._spec.seed}/{device_id}")


def _numbers(count: int) -> range:
    return range(1, count + 1)
