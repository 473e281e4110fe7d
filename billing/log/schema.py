"""The shape in which a reading rests: kinds, columns and the span of time one history document covers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["integer", "number"]

# Energy is sent as kWh and rests as whole milliwatt-hours; the suffix tells which columns are rounded on entry.
ENERGY_SUFFIX = "_milliwatt_hours"


@dataclass(frozen=True, slots=True)
class Column:
    """One measured value: its name at rest, the field it comes from and how it is stored."""

    name: str
    field: str
    type: ColumnType

    @property
    def is_energy(self) -> bool:
        """True for values sent in kWh and kept in whole milliwatt-hours."""
        return self.name.endswith(ENERGY_SUFFIX)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of device: the name of its measurement, its columns in canonical order, and its span.

    `summed`, `power` and `temperature` name the columns that usage sums, averages over time and averages over readings.
    """

    name: str
    columns: tuple[Column, ...]
    span_ms: int
    summed: tuple[str, ...]
    power: str
    temperature: str

    @property
    def history(self) -> str:
        """Name of the cold collection."""
        return f"{self.name}_history"

    @property
    def days(self) -> str:
        """Name of the collection of daily roll-ups."""
        return f"{self.name}_days"

    @property
    def live(self) -> str:
        """Name of the hot collection."""
        return f"{self.name}_live"

    def position(self, column: str) -> int:
        """Position of a column in the canonical order."""
        return next(place for place, candidate in enumerate(self.columns) if candidate.name == column)

    def padded(self, values: Sequence[int | float | None]) -> tuple[int | float | None, ...]:
        """Values in the canonical order, which may be of an earlier release: a new column goes to the end."""
        return (*values, *[None] * (len(self.columns) - len(values)))


def _energy(field: str) -> Column:
    return Column(field.removesuffix("_kwh") + ENERGY_SUFFIX, field, "integer")


def _number(field: str) -> Column:
    return Column(field, field, "number")


def _integer(field: str) -> Column:
    return Column(field, field, "integer")


DAY_MS = 86_400_000
HOUR_MS = 3_600_000
QUARTER_MS = 900_000

METER = Kind(
    name="meter",
    columns=(
        _energy("import_kwh"),
        _energy("export_kwh"),
        _energy("import_register_kwh"),
        _energy("export_register_kwh"),
        _number("power_kw"),
        _number("voltage_v"),
        _number("current_a"),
        _number("frequency_hz"),
        _number("power_factor"),
        _number("temperature_celsius"),
        _integer("quality_method_code"),
        _integer("quality_reason_code"),
    ),
    span_ms=HOUR_MS,
    summed=("import_milliwatt_hours", "export_milliwatt_hours"),
    power="power_kw",
    temperature="temperature_celsius",
)
VEHICLE = Kind(
    name="vehicle",
    columns=(
        _energy("energy_delivered_kwh"),
        _number("power_kw"),
        _number("state_of_charge_percent"),
        _number("battery_temperature_celsius"),
        _integer("charging_state"),
    ),
    span_ms=HOUR_MS,
    summed=("energy_delivered_milliwatt_hours",),
    power="power_kw",
    temperature="battery_temperature_celsius",
)
STORAGE = Kind(
    name="storage",
    columns=(
        _energy("charge_kwh"),
        _energy("discharge_kwh"),
        _number("power_kw"),
        _number("state_of_charge_percent"),
        _number("temperature_celsius"),
        _number("voltage_v"),
        _integer("cycle_count"),
        _integer("operating_state"),
    ),
    span_ms=HOUR_MS,
    summed=("charge_milliwatt_hours", "discharge_milliwatt_hours"),
    power="power_kw",
    temperature="temperature_celsius",
)
KINDS = {kind.name: kind for kind in (METER, VEHICLE, STORAGE)}
