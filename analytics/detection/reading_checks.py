"""What one reading of a device says about each type of alert: pure rules over columns, a row a device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from analytics.alerts.alert import AlertType, Severity
from analytics.alerts.alert_catalogue import PLACES, TYPE_PLACE
from analytics.alerts.condition_table import Look
from analytics.detection.charge_state import ChargeRises, follow_rises
from analytics.detection.power_baseline import Baselines, Limits, count_equal, judge
from analytics.detection.voltage_week import Band, VoltageWeeks, follow
from analytics.stream.device_states import STATE_NUMBERS, STATES
from analytics.stream.observation import KINDS, METER, STORAGE, VEHICLE
from common.reading_columns import Numbers, Truths
from common.reading_location import Integers

_METER, _VEHICLE, _STORAGE = KINDS.index(METER), KINDS.index(VEHICLE), KINDS.index(STORAGE)
_FAULT = STATE_NUMBERS["FAULT"]
_UNKNOWN = STATE_NUMBERS["UNKNOWN"]
_IS_PLUGGED: Truths = np.isin(STATES, ["PREPARING", "CHARGING", "SUSPENDED_EV", "SUSPENDED_EVSE"])
_MINUTE_MS = 60_000

_LOW, _MEDIUM, _HIGH, _CRITICAL = map(int, Severity)


class Readings(NamedTuple):
    """One reading of each row, in the columns of `ObservedColumns`, with what is known of its device.

    `values` has a row of thresholds for each, `is_enabled` one truth for each type; or both have one row for all.
    `connection_kw` is NaN where it is not known. `is_charger`: the meter of a charger, whose power jumps whenever a
    vehicle comes or goes.
    """

    kind: Integers
    state: Integers
    power_kw: Numbers
    is_power_derived: Truths
    voltage_v: Numbers
    temperature_celsius: Numbers
    state_of_charge_percent: Numbers
    connection_kw: Numbers
    is_charger: Truths
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    is_enabled: np.ndarray[tuple[int, int], np.dtype[np.bool_]]

    def threshold(self, alert_type: AlertType, name: str) -> Numbers:
        """The threshold of each row."""
        values: Numbers = self.values[:, PLACES[alert_type, name]]
        return values


class Finding(NamedTuple):
    """What the readings say about one type, and what was held against what, NaN where there is no such number."""

    type: AlertType
    look: Look
    measured: Numbers
    expected: Numbers


def check(
    readings: Readings, start_ms: Integers, state: Baselines, weeks: VoltageWeeks, rises: ChargeRises
) -> Iterator[Finding]:
    """Every finding; what rules have switched off is sound, so that an alert of before ends."""
    for finding in (
        *_power(readings, state),
        _range(readings),
        _temperature(readings),
        _voltage(readings),
        _voltage_week(readings, start_ms, weeks),
        _fault(readings),
        _charge_stalled(readings, start_ms, rises),
        _charge_band(readings),
    ):
        is_enabled = readings.is_enabled[:, TYPE_PLACE[finding.type]]
        severity, is_sound = finding.look
        look = Look(np.where(is_enabled, severity, 0), is_sound | ~is_enabled)
        yield finding._replace(look=look)


def _power(readings: Readings, state: Baselines) -> Iterator[Finding]:
    power_kw = readings.power_kw
    # What vehicles and batteries take depends on what they are told to do.
    is_judged = (readings.kind == _METER) & ~readings.is_charger & ~np.isnan(power_kw)
    places = np.flatnonzero(is_judged)
    some = state.take(places)
    values = readings.values if len(readings.values) == 1 else readings.values[places]

    def threshold(alert_type: AlertType, name: str) -> Numbers:
        chosen: Numbers = values[:, PLACES[alert_type, name]]
        return chosen

    spike, drop, outage = AlertType.POWER_SPIKE, AlertType.POWER_DROP, AlertType.POWER_OUTAGE
    limits = Limits(
        threshold(outage, "power_kw"),
        threshold(outage, "baseline_kw"),
        threshold(spike, "medium_percent"),
        threshold(spike, "deviations"),
        threshold(drop, "low_percent"),
        threshold(drop, "deviations"),
    )
    unusual = judge(some, power_kw[places], limits)
    # Energies are told in steps, so that equal ones in a row say nothing.
    equal_count = count_equal(some, np.where(readings.is_power_derived[places], np.nan, power_kw[places]))
    state.put(places, some)
    change = unusual.change_percent
    grave_spike = np.where(change > threshold(spike, "high_percent"), _HIGH, _MEDIUM)
    grave_drop = np.where(change < -threshold(drop, "medium_percent"), _MEDIUM, _LOW)
    frozen = equal_count >= threshold(AlertType.FROZEN_VALUE, "readings")
    nothing = np.full(places.size, np.nan)
    for alert_type, is_there, severity, expected in (
        (outage, unusual.is_outage, np.full(places.size, _HIGH), unusual.expected_kw),
        (spike, unusual.is_spike, grave_spike, unusual.expected_kw),
        (drop, unusual.is_drop, grave_drop, unusual.expected_kw),
        (AlertType.FROZEN_VALUE, frozen, np.full(places.size, _MEDIUM), nothing),
    ):
        yield Finding(
            alert_type,
            Look(
                _spread(places, power_kw.size, np.where(is_there, severity, 0)),
                _spread(places, power_kw.size, ~is_there),
            ),
            power_kw,
            _spread(places, power_kw.size, expected, np.nan),
        )


def _range(readings: Readings) -> Finding:
    alert_type = AlertType.POWER_OUT_OF_RANGE
    limit_kw = readings.connection_kw * readings.threshold(alert_type, "connection_percent") / 100
    # Comparisons with what is not known are false.
    is_over = np.abs(readings.power_kw) > limit_kw
    is_sound = np.abs(readings.power_kw) <= limit_kw
    return Finding(alert_type, Look(np.where(is_over, _HIGH, 0), is_sound), readings.power_kw, limit_kw)


def _temperature(readings: Readings) -> Finding:
    alert_type, celsius = AlertType.OVER_TEMPERATURE, readings.temperature_celsius
    medium, high, critical, hysteresis = (
        readings.threshold(alert_type, f"{name}_celsius") for name in ("medium", "high", "critical", "hysteresis")
    )
    severity = np.select([celsius >= critical, celsius >= high, celsius >= medium], [_CRITICAL, _HIGH, _MEDIUM], 0)
    expected = np.select([celsius >= critical, celsius >= high], [critical, high], medium)
    return Finding(alert_type, Look(severity, celsius < medium - hysteresis), celsius, expected)


def _voltage(readings: Readings) -> Finding:
    alert_type = AlertType.VOLTAGE_OUT_OF_BAND
    # What a battery has at its terminals is its own.
    voltage_v = np.where(readings.kind == _METER, readings.voltage_v, np.nan)
    low, high, grave, hysteresis = (
        readings.threshold(alert_type, f"{name}_v") for name in ("low", "high", "grave_low", "hysteresis")
    )
    severity = np.select([voltage_v < grave, voltage_v < low, voltage_v > high], [_HIGH, _MEDIUM, _MEDIUM], 0)
    is_sound = (voltage_v >= low + hysteresis) & (voltage_v <= high - hysteresis)
    expected = np.where(voltage_v > high, high, low)
    return Finding(alert_type, Look(severity, is_sound), voltage_v, expected)


def _voltage_week(readings: Readings, start_ms: Integers, weeks: VoltageWeeks) -> Finding:
    alert_type, size = AlertType.VOLTAGE_WEEK_OUT_OF_BAND, readings.kind.size
    places = np.flatnonzero((readings.kind == _METER) & ~np.isnan(readings.voltage_v))
    values = readings.values if len(readings.values) == 1 else readings.values[places]
    low_v, high_v, lowest_v, limit_percent, minimum_means = (
        values[:, PLACES[alert_type, name]]
        for name in ("low_v", "high_v", "lowest_v", "outside_percent", "minimum_means")
    )
    some = weeks.take(places)
    week = follow(some, start_ms[places], readings.voltage_v[places], Band(low_v, high_v, lowest_v))
    weeks.put(places, some)
    # What was not measured was neither good nor bad; of few means a share says little.
    means = week.measured_count + week.coming_count
    percent, beyond_percent = 100 * week.outside_count / means, 100 * week.beyond_count / means
    is_enough = week.measured_count >= minimum_means
    is_often = is_enough & (percent > limit_percent)
    is_bad = is_often | (beyond_percent > 0)
    look = Look(
        _spread(places, size, np.where(week.is_over & is_bad, _MEDIUM, 0)),
        _spread(places, size, week.is_over & is_enough & ~is_bad),
    )
    # What lies beyond all limits is held against none of the week.
    measured, limit = np.where(is_often, percent, beyond_percent), np.where(is_often, limit_percent, 0.0)
    return Finding(alert_type, look, _spread(places, size, measured, np.nan), _spread(places, size, limit, np.nan))


def _fault(readings: Readings) -> Finding:
    is_known = (readings.kind == _STORAGE) & (readings.state != _UNKNOWN)
    is_fault = is_known & (readings.state == _FAULT)
    nothing = np.full(readings.kind.size, np.nan)
    look = Look(np.where(is_fault, _CRITICAL, 0), is_known & ~is_fault)
    return Finding(AlertType.STORAGE_FAULT, look, nothing, nothing)


def _charge_stalled(readings: Readings, start_ms: Integers, rises: ChargeRises) -> Finding:
    alert_type, size = AlertType.CHARGE_STALLED, readings.kind.size
    # What does not tell its state may be anywhere.
    places = np.flatnonzero((readings.kind == _VEHICLE) & (readings.state != _UNKNOWN))
    low, minutes = (
        np.broadcast_to(readings.threshold(alert_type, name), size)[places]
        for name in ("low_percent", "stalled_minutes")
    )
    some, percent = rises.take(places), readings.state_of_charge_percent
    stalled = follow_rises(
        some,
        start_ms[places],
        percent[places],
        _IS_PLUGGED[readings.state[places]],
        low_percent=low,
        stalled_ms=minutes * _MINUTE_MS,
    )
    rises.put(places, some)
    look = Look(_spread(places, size, np.where(stalled.is_there, _MEDIUM, 0)), _spread(places, size, stalled.is_sound))
    return Finding(alert_type, look, percent, _spread(places, size, low, np.nan))


def _charge_band(readings: Readings) -> Finding:
    alert_type = AlertType.CHARGE_OUT_OF_BAND
    # How far a vehicle is driven and charged is its driver's.
    percent = np.where(readings.kind == _STORAGE, readings.state_of_charge_percent, np.nan)
    low, high, hysteresis = (
        readings.threshold(alert_type, f"{name}_percent") for name in ("low", "high", "hysteresis")
    )
    severity = np.where((percent < low) | (percent > high), _MEDIUM, 0)
    is_sound = (percent >= low + hysteresis) & (percent <= high - hysteresis)
    return Finding(alert_type, Look(severity, is_sound), percent, np.where(percent > high, high, low))


def _spread(places: Integers, size: int, values: np.ndarray[Any, Any], otherwise: float = 0) -> np.ndarray[Any, Any]:
    whole = np.full(size, otherwise, values.dtype)
    whole[places] = values
    return whole
