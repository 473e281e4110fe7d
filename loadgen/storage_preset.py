"""What kind of battery a pack is: its seven states, the legal moves between them, rating and constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

FULL_PER_MILLE = 1000


class OperatingState(IntEnum):
    """The seven states, numbered as `energy.telemetry.v1.OperatingState`."""

    STARTUP = 1
    CHARGING = 2
    DISCHARGING = 3
    IDLE = 4
    FAULT = 5
    MAINTENANCE = 6
    SHUTDOWN = 7


STARTUP, CHARGING, DISCHARGING, IDLE, FAULT, MAINTENANCE, SHUTDOWN = OperatingState

# The only moves there are: a fault ends in maintenance, and maintenance and shutdown are left through startup.
LEGAL_MOVES = {
    STARTUP: frozenset({DISCHARGING, FAULT, IDLE}),
    CHARGING: frozenset({IDLE, FAULT}),
    DISCHARGING: frozenset({CHARGING, FAULT}),
    IDLE: frozenset({CHARGING, DISCHARGING, SHUTDOWN}),
    FAULT: frozenset({MAINTENANCE}),
    MAINTENANCE: frozenset({STARTUP}),
    SHUTDOWN: frozenset({STARTUP}),
}


@dataclass(frozen=True, slots=True)
class StoragePreset:
    """Rating and constants of a pack; probabilities are per tick, charge is in per mille of the capacity.

    The defaults are those of the earlier fleet monitor: a tick of 1 s moves 20 per mille, and 0.2778 kWh make that
    its power of 20 (kW, as we read it). It never entered shutdown; both of its probabilities are ours.
    """

    tick_ms: int = 1_000
    step_per_mille: int = 20
    capacity_kwh: float = 20 / 3600 * 50
    round_trip_efficiency: float = 0.92
    voltage_v: float = 480.0
    fault_probability: float = 0.005
    idle_to_charging_probability: float = 0.7
    idle_to_discharging_probability: float = 0.5
    fault_to_maintenance_probability: float = 0.3
    maintenance_to_startup_probability: float = 0.2
    idle_to_shutdown_probability: float = 0.001
    shutdown_to_startup_probability: float = 0.1
    ambient_celsius: float = 22.0
    highest_celsius: float = 100.0
    warming_factor: float = 1.05
    cooling_factor: float = 0.95

    @property
    def power_kw(self) -> float:
        """Power at the cells while it charges or discharges."""
        return self.capacity_kwh * self.step_per_mille / FULL_PER_MILLE * 3_600_000 / self.tick_ms

    @property
    def charging_power_kw(self) -> float:
        """Power at the grid while it charges: the most the connection carries."""
        return self.power_kw / math.sqrt(self.round_trip_efficiency)


# A four-hour unit of 979 kW and 3 916 kWh with a round trip of 93.7 %, published ratings of its kind: 250 ticks of
# 57.6 s are four hours. Same machine, its steps small enough for a day that looks like one; cells stay below the 45
# degrees that call for a warning.
GRID_BATTERY = StoragePreset(
    tick_ms=57_600,
    step_per_mille=4,
    capacity_kwh=3_916.0,
    round_trip_efficiency=0.937,
    fault_probability=0.0004,
    idle_to_charging_probability=0.10,
    idle_to_discharging_probability=0.05,
    fault_to_maintenance_probability=0.05,
    maintenance_to_startup_probability=0.04,
    idle_to_shutdown_probability=0.005,
    shutdown_to_startup_probability=0.05,
    highest_celsius=38.0,
    warming_factor=1.01,
    cooling_factor=0.99,
)
