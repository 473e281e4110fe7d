"""The range of every number that a reading may carry: the table of the comments in `reading.proto`."""

from __future__ import annotations

from typing import NamedTuple

AHEAD_MAXIMUM_MS = 120_000
REVISION_MAXIMUM = 1_000_000
FRAME_READINGS_MAXIMUM = 1_000
DEVICE_ID_LENGTH_MAXIMUM = 128

# Floats, for comparing a float with an integer costs twice as much.
ENERGY_MAXIMUM_KWH = 1_000_000.0
REGISTER_MAXIMUM_KWH = 1_000_000_000.0
POWER_MAXIMUM_KW = 1_000_000.0
VOLTAGE_MAXIMUM_V = 1_000_000.0
CURRENT_MAXIMUM_A = 1_000_000.0
FREQUENCY_MAXIMUM_HZ = 1_000.0
TEMPERATURE_MINIMUM_CELSIUS = -100.0
TEMPERATURE_MAXIMUM_CELSIUS = 200.0
CHARGE_MAXIMUM_PERCENT = 100.0
CYCLE_COUNT_MAXIMUM = 10_000_000
QUALITY_CODE_MAXIMUM = 999


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


_POWER = Limit("power_kw", -POWER_MAXIMUM_KW, POWER_MAXIMUM_KW, "kW")
_VOLTAGE = Limit("voltage_v", 0.0, VOLTAGE_MAXIMUM_V, "V")
_STATE_OF_CHARGE = Limit("state_of_charge_percent", 0.0, CHARGE_MAXIMUM_PERCENT, "percent")


def _energy(field: str, high: float = ENERGY_MAXIMUM_KWH) -> Limit:
    return Limit(field, 0.0, high, "kWh")


def _temperature(field: str) -> Limit:
    return Limit(field, TEMPERATURE_MINIMUM_CELSIUS, TEMPERATURE_MAXIMUM_CELSIUS, "degrees Celsius")


# By the name of the measurement in the reading. The states are no ranges; `validation` takes them from the contract.
LIMITS: dict[str, tuple[Limit, ...]] = {
    "meter": (
        _energy("import_kwh"),
        _energy("export_kwh"),
        _energy("import_register_kwh", REGISTER_MAXIMUM_KWH),
        _energy("export_register_kwh", REGISTER_MAXIMUM_KWH),
        _POWER,
        _VOLTAGE,
        Limit("current_a", 0.0, CURRENT_MAXIMUM_A, "A"),
        Limit("frequency_hz", 0.0, FREQUENCY_MAXIMUM_HZ, "Hz"),
        Limit("power_factor", -1.0, 1.0),
        _temperature("temperature_celsius"),
        Limit("quality_method_code", 0, QUALITY_CODE_MAXIMUM),
        Limit("quality_reason_code", 0, QUALITY_CODE_MAXIMUM),
    ),
    "vehicle": (
        _energy("energy_delivered_kwh"),
        _POWER,
        _STATE_OF_CHARGE,
        _temperature("battery_temperature_celsius"),
    ),
    "storage": (
        _energy("charge_kwh"),
        _energy("discharge_kwh"),
        _POWER,
        _STATE_OF_CHARGE,
        _temperature("temperature_celsius"),
        _VOLTAGE,
        Limit("cycle_count", 0, CYCLE_COUNT_MAXIMUM, "cycles"),
    ),
}
