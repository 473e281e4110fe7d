"""Where a vehicle's two readings are born: the wall side at its charger's meter, the battery side on board."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypedDict

from loadgen.itinerary import ChargingState, Leg, VehicleProfile
from loadgen.meter import MeterFields
from loadgen.surroundings import Surroundings

_MILLIWATT_HOURS_PER_KWH = 1_000_000
_THREE_PHASE_FROM_W = 11_000
_VOLTAGE_LOWEST, _VOLTAGE_SPAN = 226.0, 8.0
_POWER_FACTOR = 0.99

# Home charging warms a pack by some 8 degrees at 11 kW and it follows within an hour and a half; normal is 15 to 40.
_WARMING_CELSIUS_PER_WATT = 8.0 / 11_000
_WARMING_TIME_MS = 90 * 60_000


class VehicleFields(TypedDict, total=False):
    """The fields of `energy.telemetry.v1.VehicleMeasurement` by name; an absent key is not measured."""

    energy_delivered_kwh: float
    power_kw: float
    state_of_charge_percent: float
    battery_temperature_celsius: float
    charging_state: int


class Vehicle:
    """A vehicle with its charger, following its legs interval by interval."""

    __slots__ = ("_battery_celsius", "_draw", "_leg", "_legs", "_phases", "_register", "profile")

    def __init__(self, profile: VehicleProfile, legs: Iterator[Leg], *, draw: Callable[[], float]) -> None:
        """`draw` gives uniform numbers 0..1; `legs` has no gap and no end."""
        self.profile = profile
        self._legs = legs
        self._leg = next(legs)
        self._draw = draw
        self._register = 0
        self._phases = 3 if profile.charger_w >= _THREE_PHASE_FROM_W else 1
        self._battery_celsius: float | None = None

    def measure(self, surroundings: Surroundings) -> tuple[MeterFields, VehicleFields]:
        """Charger's and vehicle's reading of one interval. Call for intervals in their order, without gap."""
        end_ms = surroundings.start_ms + surroundings.interval_ms
        wall, battery = self._energies(surroundings.start_ms, end_ms)
        leg = self._leg
        state = ChargingState.CHARGING if wall else leg.state
        percent = leg.percent_at(end_ms)
        return (
            self._charger(surroundings, wall),
            {
                "energy_delivered_kwh": battery / _MILLIWATT_HOURS_PER_KWH,
                "power_kw": battery * 3.6 / surroundings.interval_ms,
                "state_of_charge_percent": int(percent * 1000 + 0.5) / 1000,
                "battery_temperature_celsius": self._warm(surroundings, wall),
                "charging_state": int(state),
            },
        )

    def _energies(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """Milliwatt-hours at the wall and into the battery; the second is below the first whenever there are any."""
        wall = battery = 0
        while True:
            leg = self._leg
            if leg.wall_w:
                # Counted from the leg's start, so that the intervals of a leg add up to the leg.
                before = leg.wall_w * (max(start_ms, leg.start_ms) - leg.start_ms) // 3600
                energy = leg.wall_w * (min(end_ms, leg.end_ms) - leg.start_ms) // 3600 - before
                wall += energy
                battery += energy * leg.efficiency_permille // 1000
            if end_ms <= leg.end_ms:
                return wall, battery
            self._leg = next(self._legs)

    def _charger(self, surroundings: Surroundings, wall: int) -> MeterFields:
        self._register += wall
        power_kw = wall * 3.6 / surroundings.interval_ms
        voltage = int((_VOLTAGE_LOWEST + _VOLTAGE_SPAN * self._draw()) * 10) / 10
        return {
            "import_kwh": wall / _MILLIWATT_HOURS_PER_KWH,
            "import_register_kwh": self._register / _MILLIWATT_HOURS_PER_KWH,
            "power_kw": power_kw,
            "voltage_v": voltage,
            "current_a": int(power_kw * 100_000 / (voltage * self._phases * _POWER_FACTOR)) / 100,
            "frequency_hz": surroundings.frequency_hz,
            "power_factor": _POWER_FACTOR,
            "temperature_celsius": int((surroundings.ambient_celsius + power_kw) * 10) / 10,
        }

    def _warm(self, surroundings: Surroundings, wall: int) -> float:
        wall_w = wall * 3600 / surroundings.interval_ms
        settles_at = surroundings.ambient_celsius + _WARMING_CELSIUS_PER_WATT * wall_w
        if self._battery_celsius is None:
            self._battery_celsius = surroundings.ambient_celsius
        share = 1 - math.exp(-surroundings.interval_ms / _WARMING_TIME_MS)
        self._battery_celsius += (settles_at - self._battery_celsius) * share
        return int(self._battery_celsius * 10) / 10
