"""Every type of alert with the numbers that decide when it is raised: their defaults, their limits, their origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from analytics.alerts.alert import AlertType

_T = AlertType


class Threshold(NamedTuple):
    """A number of a type: its name, which ends in its unit, its default and what it may be, both ends included."""

    type: AlertType
    name: str
    default: float
    minimum: float
    maximum: float


# Over so many seconds without its cause an alert is over by itself.
_HOLDS = tuple(Threshold(one, "hold_seconds", 60.0, 0.0, 86_400.0) for one in AlertType)

THRESHOLDS: tuple[Threshold, ...] = (
    *_HOLDS,
    # As a fleet counts a device as stale.
    Threshold(_T.DEVICE_SILENT, "expected_intervals", 3, 1, 1000),
    Threshold(_T.DEVICE_SILENT, "minimum_seconds", 30, 1, 86_400),
    Threshold(_T.REGION_SILENT, "silent_percent", 80, 1, 100),
    Threshold(_T.REGION_SILENT, "minimum_devices", 2, 1, 1e9),
    Threshold(_T.REGION_OVERLOAD, "raise_percent", 90, 0, 1000),
    Threshold(_T.REGION_OVERLOAD, "clear_percent", 85, 0, 1000),
    Threshold(_T.REGION_OVERLOAD, "consecutive_windows", 2, 1, 96),
    # The percentages and kilowatts of the smart grid that this took over; a reading must besides be unusual for a
    # device whose power changes much anyway, by standard deviations.
    Threshold(_T.POWER_OUTAGE, "power_kw", 0.1, 0, 1e6),
    Threshold(_T.POWER_OUTAGE, "baseline_kw", 1, 0, 1e6),
    Threshold(_T.POWER_SPIKE, "medium_percent", 100, 1, 1e6),
    Threshold(_T.POWER_SPIKE, "high_percent", 200, 1, 1e6),
    Threshold(_T.POWER_SPIKE, "deviations", 4, 0, 1000),
    Threshold(_T.POWER_DROP, "low_percent", 50, 1, 100),
    Threshold(_T.POWER_DROP, "medium_percent", 80, 1, 100),
    Threshold(_T.POWER_DROP, "deviations", 4, 0, 1000),
    # Flat line: the same value, not zero, over 24 intervals.
    Threshold(_T.FROZEN_VALUE, "readings", 24, 2, 100_000),
    Threshold(_T.POWER_OUT_OF_RANGE, "connection_percent", 110, 1, 10_000),
    # Cells: warn at 45, derate at 50, trip at 55.
    Threshold(_T.OVER_TEMPERATURE, "medium_celsius", 45, -100, 200),
    Threshold(_T.OVER_TEMPERATURE, "high_celsius", 50, -100, 200),
    Threshold(_T.OVER_TEMPERATURE, "critical_celsius", 55, -100, 200),
    Threshold(_T.OVER_TEMPERATURE, "hysteresis_celsius", 2, 0, 100),
    # 230 V within 10 percent, and EN 50160's lowest of all.
    Threshold(_T.VOLTAGE_OUT_OF_BAND, "low_v", 207, 0, 1e6),
    Threshold(_T.VOLTAGE_OUT_OF_BAND, "high_v", 253, 0, 1e6),
    Threshold(_T.VOLTAGE_OUT_OF_BAND, "grave_low_v", 195.5, 0, 1e6),
    Threshold(_T.VOLTAGE_OUT_OF_BAND, "hysteresis_v", 1, 0, 1e6),
    # EN 50160 over a week: 95 % of the means over ten minutes in the band, and none below the lowest.
    Threshold(_T.VOLTAGE_WEEK_OUT_OF_BAND, "low_v", 207, 0, 1e6),
    Threshold(_T.VOLTAGE_WEEK_OUT_OF_BAND, "high_v", 253, 0, 1e6),
    Threshold(_T.VOLTAGE_WEEK_OUT_OF_BAND, "lowest_v", 195.5, 0, 1e6),
    Threshold(_T.VOLTAGE_WEEK_OUT_OF_BAND, "outside_percent", 5, 0, 100),
    # Those of two days; a whole week has 1008.
    Threshold(_T.VOLTAGE_WEEK_OUT_OF_BAND, "minimum_means", 288, 1, 1008),
    Threshold(_T.EFFICIENCY_LOW, "efficiency_percent", 85, 0, 100),
    Threshold(_T.EFFICIENCY_LOW, "minimum_kwh", 0.5, 0, 1e6),
    Threshold(_T.CHARGE_STALLED, "low_percent", 20, 0, 100),
    Threshold(_T.CHARGE_STALLED, "stalled_minutes", 60, 1, 10_000),
    Threshold(_T.CHARGE_OUT_OF_BAND, "low_percent", 10, 0, 100),
    Threshold(_T.CHARGE_OUT_OF_BAND, "high_percent", 95, 0, 100),
    Threshold(_T.CHARGE_OUT_OF_BAND, "hysteresis_percent", 1, 0, 100),
    # Of the mean of the same hour of other days; of a day there is no limit but one's own.
    Threshold(_T.CONSUMPTION_HIGH, "percent", 300, 100, 1e6),
    Threshold(_T.CONSUMPTION_HIGH, "minimum_days", 7, 1, 366),
    Threshold(_T.CONSUMPTION_HIGH, "minimum_kwh", 1, 0, 1e6),
    Threshold(_T.CONSUMPTION_HIGH, "day_kwh", 1e9, 0, 1e9),
    # Zero run: a day, where there was something in every hour of a week.
    Threshold(_T.CONSUMPTION_ZERO, "usual_hours", 168, 1, 10_000),
    Threshold(_T.CONSUMPTION_ZERO, "zero_hours", 24, 1, 10_000),
)

ASCENDING_THRESHOLDS: Mapping[AlertType, tuple[str, ...]] = {
    _T.REGION_OVERLOAD: ("clear_percent", "raise_percent"),
    _T.POWER_OUTAGE: ("power_kw", "baseline_kw"),
    _T.POWER_SPIKE: ("medium_percent", "high_percent"),
    _T.POWER_DROP: ("low_percent", "medium_percent"),
    _T.OVER_TEMPERATURE: ("medium_celsius", "high_celsius", "critical_celsius"),
    _T.VOLTAGE_OUT_OF_BAND: ("grave_low_v", "low_v", "high_v"),
    _T.VOLTAGE_WEEK_OUT_OF_BAND: ("lowest_v", "low_v", "high_v"),
    _T.CHARGE_OUT_OF_BAND: ("low_percent", "high_percent"),
}
"""The thresholds of a type of which each must not be less than those before it; else they contradict each other."""

OFF_BY_DEFAULT = frozenset({_T.CHARGE_OUT_OF_BAND, _T.CONSUMPTION_HIGH, _T.CONSUMPTION_ZERO})
"""The types that are raised only where a rule says so: what is much or little depends on whose it is."""

REGION_TYPES = frozenset({_T.REGION_SILENT, _T.REGION_OVERLOAD})
"""The types that are about a region as a whole."""

TYPES: tuple[AlertType, ...] = tuple(AlertType)
"""The types in a fixed order, so that a column of an array can stand for each."""

TYPE_PLACE: Mapping[AlertType, int] = {one: place for place, one in enumerate(TYPES)}

PLACES: Mapping[tuple[AlertType, str], int] = {(one.type, one.name): place for place, one in enumerate(THRESHOLDS)}
"""Where a threshold stands among all."""

RAISED_BY_DEFAULT: tuple[bool, ...] = tuple(one not in OFF_BY_DEFAULT for one in TYPES)
"""Whether each type is raised where no rule says anything."""

DEFAULTS: tuple[float, ...] = tuple(one.default for one in THRESHOLDS)


def threshold_of(alert_type: AlertType, name: str) -> Threshold | None:
    """A threshold of a type; None if the type has none of this name."""
    place = PLACES.get((alert_type, name))
    return None if place is None else THRESHOLDS[place]
