"""The range of every number that a reading may carry: the table of the comments in `reading.proto`."""

from __future__ import annotations

from typing import NamedTuple

AHEAD_MAXIMUM_MS = 120_000
REVISION_MAXIMUM = 1_000_000
FRAME_READINGS_MAXIMUM = 1_000
DEVICE_ID_LENGTH_MAXIMUM = 128


class Limit(NamedTuple):
    """A closed range [low, high] of one field, in its unit."""

    field: str
    low: float
    high: float
    unit: str = ""

    @property
    def description(self) -> str:
        """The limit, for a person."""
        return f"must be a number in {self.low:.0f}..{self.high:.0f} {self.unit}".rstrip()


_ENERGY_KWH = 1_000_000
_REGISTER_KWH = 1_000_000_000
_POWER_KW = 1_000_000
_ELECTRIC = 1_000_000

# By the name of the measurement in the reading. The states are no ranges; `validation` takes them from the contract.
LIMITS: dict[str, tuple[Limit, ...]] = {
    "meter": (
        Limit("import_kwh", 0, _ENERGY_KWH, "kWh"),
        Limit("export_kwh", 0, _ENERGY_KWH, "kWh"),
        Limit("import_register_kwh", 0, _REGISTER_KWH, "kWh"),
        Limit("export_register_kwh", 0, _REGISTER_KWH, "kWh"),
        Limit("power_kw", -_POWER_KW, _POWER_KW, "kW"),
        Limit("voltage_v", 0, _ELECTRIC, "V"),
        Limit("current_a", 0, _ELECTRIC, "A"),
        Limit("frequency_hz", 0, 1_000, "Hz"),
        Limit("power_factor", -1, 1),
        Limit("temperature_celsius", -100, 200, "degrees Celsius"),
    ),
    "vehicle": (
        Limit("energy_delivered_kwh", 0, _ENERGY_KWH, "kWh"),
        Limit("power_kw", -_POWER_KW, _POWER_KW, "kW"),
        Limit("state_of_charge_percent", 0, 100, "percent"),
        Limit("battery_temperature_celsius", -100, 200, "degrees Celsius"),
    ),
    "storage": (
        Limit("charge_kwh", 0, _ENERGY_KWH, "kWh"),
        Limit("discharge_kwh", 0, _ENERGY_KWH, "kWh"),
        Limit("power_kw", -_POWER_KW, _POWER_KW, "kW"),
        Limit("state_of_charge_percent", 0, 100, "percent"),
        Limit("temperature_celsius", -100, 200, "degrees Celsius"),
        Limit("voltage_v", 0, _ELECTRIC, "V"),
        Limit("cycle_count", 0, 10_000_000, "cycles"),
    ),
}
