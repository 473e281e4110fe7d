"""What can be said of how much energy arrives: enough, too little, more than can be, or nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

# Meters and vehicles are not exact to the last digit.
MEASURED_WITHIN_PERCENT = 1.0
_MILLIWATT_HOURS_A_KWH = 1_000_000


class EfficiencyState(StrEnum):
    """By the names of the contract."""

    OK = "OK"
    LOW = "LOW"
    TOO_SMALL = "TOO_SMALL"
    DATA_ERROR = "DATA_ERROR"
    NO_DATA = "NO_DATA"


class EfficiencyLimits(NamedTuple):
    """Under so many kilowatt-hours nothing is said; under so many per cent too little arrives."""

    minimum_kwh: float
    low_percent: float


def charging_state(
    dc_milliwatt_hours: int | None, ac_milliwatt_hours: int | None, limits: EfficiencyLimits
) -> EfficiencyState:
    """What can be said of a vehicle into whose battery so much came of so much that its charger took."""
    if dc_milliwatt_hours is None or ac_milliwatt_hours is None:
        return EfficiencyState.NO_DATA
    if not dc_milliwatt_hours or dc_milliwatt_hours < limits.minimum_kwh * _MILLIWATT_HOURS_A_KWH:
        return EfficiencyState.TOO_SMALL
    if not ac_milliwatt_hours:
        return EfficiencyState.DATA_ERROR
    return state_of_percent(100 * dc_milliwatt_hours / ac_milliwatt_hours, limits.low_percent)


def state_of_percent(percent: float, low_percent: float) -> EfficiencyState:
    """What can be said of an efficiency."""
    if percent > 100 + MEASURED_WITHIN_PERCENT:
        return EfficiencyState.DATA_ERROR
    return EfficiencyState.LOW if percent < low_percent else EfficiencyState.OK
