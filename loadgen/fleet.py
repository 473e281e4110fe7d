"""A fleet of simulated devices: who they are for the registry, and what they read, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from energy.registry.v1.device_pb2 import Device, VehicleLink
from energy.telemetry.v1.reading_pb2 import Reading

from common.instants import duration_from_ms, from_ms
from loadgen import sensors
from loadgen.fleet_spec import DEFAULT_REGIONS, FleetSpec
from loadgen.itinerary import Itinerary
from loadgen.meter import LoadMode, LoadShapes, Meter
from loadgen.roster import Roster
from loadgen.storage import Pack
from loadgen.storage_preset import GRID_BATTERY, OperatingState
from loadgen.surroundings import Surroundings, surroundings_at
from loadgen.vehicle import Vehicle

__all__ = ["DEFAULT_REGIONS", "Fleet", "FleetSpec", "LoadMode"]

_SUPPLIED_IN_OUTAGE = 0.3

# Messages take a mapping for a sub-message, which is faster than building it first and which their stubs do not know.
_new_reading: Callable[..., Reading] = Reading


class Fleet:
    """The devices of a spec and their readings. The same spec and window give byte-equal readings."""

    def __init__(self, spec: FleetSpec) -> None:
        self.spec = spec
        self._roster = Roster(spec)
        self._zone = ZoneInfo(spec.time_zone)

    def devices(self) -> list[Device]:
        """Every device, ready to be registered."""
        return list(self._roster.devices())

    def links(self) -> list[VehicleLink]:
        """The link of every charger with its vehicle, valid from 2000 on."""
        return list(self._roster.links())

    def readings(self, start_ms: int, end_ms: int) -> Iterator[list[Reading]]:
        """The readings of `[start_ms, end_ms)`: per whole interval in it a list with one reading per device.

        Lists are in the order of `devices`. Registers, packs and appliances begin anew with each call, so read a long
        window with one call; nothing is computed before it is asked for.
        """
        fleet = _Running(self.spec, self._roster, self._zone, start_ms)
        interval_ms = self.spec.interval_ms
        for step_ms in range(start_ms, end_ms - interval_ms + 1, interval_ms):
            yield fleet.step(surroundings_at(step_ms, interval_ms, self._zone))


class _Running:
    """The devices at work. Each kind has random numbers of its own, so that kinds do not disturb each other."""

    def __init__(self, spec: FleetSpec, roster: Roster, zone: ZoneInfo, start_ms: int) -> None:
        self._shapes = LoadShapes()
        self._meters = list(_meters(spec, roster))
        draw = self._draw_of(spec, "vehicle")
        self._vehicles = [
            (
                car.charger_id,
                car.vehicle_id,
                Vehicle(
                    car.profile,
                    Itinerary(car.profile, vehicle_id=car.vehicle_id, seed=spec.seed, zone=zone).legs(start_ms),
                    draw=draw,
                ),
            )
            for car in roster.vehicles
        ]
        self._packs = [(pack_id, _pack(spec, pack_id)) for pack_id in roster.pack_ids]
        self._sensor_ids = roster.sensor_ids
        self._sensor_draw = self._draw_of(spec, "sensor")

    def step(self, surroundings: Surroundings) -> list[Reading]:
        # These three lines per device are the fleet's whole cost, so the loops stay plain.
        common: dict[str, Any] = {
            "start_time": from_ms(surroundings.start_ms),
            "interval": duration_from_ms(surroundings.interval_ms),
        }
        levels = self._shapes.levels(surroundings)
        readings = [
            _new_reading(device_id=device_id, meter=meter.measure(surroundings, levels[meter.profile.shape]), **common)
            for device_id, meter in self._meters
        ]
        for charger_id, vehicle_id, vehicle in self._vehicles:
            wall, battery = vehicle.measure(surroundings)
            readings.append(_new_reading(device_id=charger_id, meter=wall, **common))
            readings.append(_new_reading(device_id=vehicle_id, vehicle=battery, **common))
        for pack_id, pack in self._packs:
            readings.append(_new_reading(device_id=pack_id, storage=pack.measure(surroundings), **common))
        for sensor_id in self._sensor_ids:
            fields = sensors.measure(surroundings.interval_ms, self._sensor_draw)
            readings.append(_new_reading(device_id=sensor_id, meter=fields, **common))
        return readings

    @staticmethod
    def _draw_of(spec: FleetSpec, kind: str) -> Callable[[], float]:
        return Random(f"{spec.seed}/{kind}").random


def _meters(spec: FleetSpec, roster: Roster) -> Iterator[tuple[str, Meter]]:
    random = Random(f"{spec.seed}/meter")
    households = roster.households
    supplied = set(range(len(households)))
    if spec.mode is LoadMode.OUTAGE:
        supplied = set(random.sample(range(len(households)), round(_SUPPLIED_IN_OUTAGE * len(households))))
    for number, household in enumerate(households):
        meter = Meter(household.profile, draw=random.random, mode=spec.mode, supplied=number in supplied)
        yield household.meter_id, meter


def _pack(spec: FleetSpec, pack_id: str) -> Pack:
    random = Random(f"{spec.seed}/{pack_id}")
    return Pack(
        GRID_BATTERY,
        charge_per_mille=random.randrange(300, 901, 4),
        cycle_count=random.randrange(1, 400),
        state=random.choice((OperatingState.IDLE, OperatingState.CHARGING, OperatingState.DISCHARGING)),
        draw=random.random,
    )
