"""The quick yes for nearly every reading: its measurement has a value, and every value is in its range.

Reading a field that is absent gives zero, which is in every range, so nobody has to ask which fields are present; that,
and comparing without a table, takes a third of the time. A no means only that `validation` has to look closer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from energy.telemetry.v1.reading_pb2 import (
    ChargingState,
    EnergyQuality,
    MeterMeasurement,
    OperatingState,
    StorageMeasurement,
    VehicleMeasurement,
)

from gateway.limits import (
    CHARGE_MAXIMUM_PERCENT,
    CURRENT_MAXIMUM_A,
    CYCLE_COUNT_MAXIMUM,
    ENERGY_MAXIMUM_KWH,
    FREQUENCY_MAXIMUM_HZ,
    POWER_MAXIMUM_KW,
    QUALITY_CODE_MAXIMUM,
    REGISTER_MAXIMUM_KWH,
    TEMPERATURE_MAXIMUM_CELSIUS,
    TEMPERATURE_MINIMUM_CELSIUS,
    VOLTAGE_MAXIMUM_V,
)


def _is_plain_meter(measured: MeterMeasurement) -> bool:
    return bool(
        (measured.import_kwh or measured.export_kwh or measured.power_kw or measured.voltage_v)
        and 0.0 <= measured.import_kwh <= ENERGY_MAXIMUM_KWH
        and 0.0 <= measured.export_kwh <= ENERGY_MAXIMUM_KWH
        and 0.0 <= measured.import_register_kwh <= REGISTER_MAXIMUM_KWH
        and 0.0 <= measured.export_register_kwh <= REGISTER_MAXIMUM_KWH
        and -POWER_MAXIMUM_KW <= measured.power_kw <= POWER_MAXIMUM_KW
        and 0.0 <= measured.voltage_v <= VOLTAGE_MAXIMUM_V
        and 0.0 <= measured.current_a <= CURRENT_MAXIMUM_A
        and 0.0 <= measured.frequency_hz <= FREQUENCY_MAXIMUM_HZ
        and -1.0 <= measured.power_factor <= 1.0
        and TEMPERATURE_MINIMUM_CELSIUS <= measured.temperature_celsius <= TEMPERATURE_MAXIMUM_CELSIUS
        and measured.energy_quality in _ENERGY_QUALITIES
        and 0 <= measured.quality_method_code <= QUALITY_CODE_MAXIMUM
        and 0 <= measured.quality_reason_code <= QUALITY_CODE_MAXIMUM
    )


def _is_plain_vehicle(measured: VehicleMeasurement) -> bool:
    return bool(
        (measured.energy_delivered_kwh or measured.power_kw or measured.state_of_charge_percent)
        and 0.0 <= measured.energy_delivered_kwh <= ENERGY_MAXIMUM_KWH
        and -POWER_MAXIMUM_KW <= measured.power_kw <= POWER_MAXIMUM_KW
        and 0.0 <= measured.state_of_charge_percent <= CHARGE_MAXIMUM_PERCENT
        and TEMPERATURE_MINIMUM_CELSIUS <= measured.battery_temperature_celsius <= TEMPERATURE_MAXIMUM_CELSIUS
        and measured.charging_state in _CHARGING_STATES
    )


def _is_plain_storage(measured: StorageMeasurement) -> bool:
    return bool(
        (measured.state_of_charge_percent or measured.charge_kwh or measured.discharge_kwh or measured.power_kw)
        and 0.0 <= measured.charge_kwh <= ENERGY_MAXIMUM_KWH
        and 0.0 <= measured.discharge_kwh <= ENERGY_MAXIMUM_KWH
        and -POWER_MAXIMUM_KW <= measured.power_kw <= POWER_MAXIMUM_KW
        and 0.0 <= measured.state_of_charge_percent <= CHARGE_MAXIMUM_PERCENT
        and TEMPERATURE_MINIMUM_CELSIUS <= measured.temperature_celsius <= TEMPERATURE_MAXIMUM_CELSIUS
        and 0.0 <= measured.voltage_v <= VOLTAGE_MAXIMUM_V
        and 0 <= measured.cycle_count <= CYCLE_COUNT_MAXIMUM
        and measured.operating_state in _OPERATING_STATES
    )


_ENERGY_QUALITIES = frozenset(EnergyQuality.values())
_CHARGING_STATES = frozenset(ChargingState.values())
_OPERATING_STATES = frozenset(OperatingState.values())

IS_PLAIN: dict[str, Callable[[Any], bool]] = {
    "meter": _is_plain_meter,
    "vehicle": _is_plain_vehicle,
    "storage": _is_plain_storage,
}
"""By the name of the measurement in the reading."""
