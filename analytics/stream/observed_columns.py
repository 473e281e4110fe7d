"""Columns of readings become columns of observations: the rules of `batch_reader.observe`, an operation a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analytics.stream.device_states import CHARGING_STATES, OPERATING_STATES, STATE_NUMBERS
from analytics.stream.observation import (
    KINDS,
    KW_PER_MILLIWATT_HOUR_A_MS,
    METER,
    REPORTING_STATE,
    STORAGE,
    UNKNOWN_STATE,
    VEHICLE,
    Observation,
    ObservedColumns,
)
from common.energy import milliwatt_hours_of
from common.reading_columns import Numbers, ReadingColumns, Truths
from common.reading_location import Integers

# Ten times what the gateway lets through: so many milliwatt-hours of a million readings still fit into 64 bits.
_ENERGY_MAXIMUM_KWH = 1e7

_UNKNOWN = STATE_NUMBERS[UNKNOWN_STATE]


def _numbers(states: Mapping[int, str]) -> Integers:
    numbers = np.full(max(states) + 1, _UNKNOWN, np.int64)
    for number, state in states.items():
        numbers[number] = STATE_NUMBERS[state]
    return numbers


# Of each kind: the energy that flows in and out, and the state.
_TAKEN = {METER: "import_kwh", VEHICLE: "energy_delivered_kwh", STORAGE: "charge_kwh"}
_GIVEN = {METER: "export_kwh", STORAGE: "discharge_kwh"}
# The temperature of a meter says nothing of a battery.
_TEMPERATURE = {VEHICLE: "battery_temperature_celsius", STORAGE: "temperature_celsius"}
_STATES = {
    VEHICLE: ("charging_state", _numbers(CHARGING_STATES)),
    STORAGE: ("operating_state", _numbers(OPERATING_STATES)),
}


def plain(columns: ReadingColumns) -> Truths:
    """Which readings have only numbers that `observed` takes; the others are for a look at each."""
    is_plain: Truths = np.ones(columns.rows.size, np.bool_)
    for name in (_TAKEN[columns.kind], _GIVEN.get(columns.kind, "")):
        if name in columns.values:
            # False for what is not a number, too.
            is_plain &= np.abs(columns.values[name]) <= _ENERGY_MAXIMUM_KWH
    if "power_kw" in columns.values:
        is_plain &= np.isfinite(columns.values["power_kw"])
    return is_plain


def observed(columns: ReadingColumns, receive_ms: Integers) -> ObservedColumns:
    """What analytics keeps of plain readings that the gateway received at these times."""
    kind = columns.kind
    count = columns.rows.size
    taken, given = _energy(columns, _TAKEN[kind]), _energy(columns, _GIVEN.get(kind, ""))
    return ObservedColumns(
        device_ids=list(map(bytes.decode, columns.device_ids)),
        kind=np.full(count, KINDS.index(kind), np.int64),
        start_ms=columns.start_ms,
        end_ms=columns.start_ms if columns.interval_ms is None else columns.start_ms + columns.interval_ms,
        revision=columns.revision,
        receive_ms=receive_ms,
        state=_state(columns),
        power_kw=_power(columns, taken, given),
        taken_milliwatt_hours=taken,
        given_milliwatt_hours=given,
        voltage_v=_measured(columns, "voltage_v"),
        temperature_celsius=_measured(columns, _TEMPERATURE.get(kind, "")),
        is_power_derived=np.full(count, "power_kw" not in columns.values),
        state_of_charge_percent=_measured(columns, "state_of_charge_percent"),
    )


def joined(groups: Sequence[ObservedColumns]) -> ObservedColumns:
    """The rows of all groups, one after the other."""
    if len(groups) == 1:
        return groups[0]
    return ObservedColumns(
        [device_id for group in groups for device_id in group.device_ids],
        np.concatenate([group.kind for group in groups]),
        np.concatenate([group.start_ms for group in groups]),
        np.concatenate([group.end_ms for group in groups]),
        np.concatenate([group.revision for group in groups]),
        np.concatenate([group.receive_ms for group in groups]),
        np.concatenate([group.state for group in groups]),
        np.concatenate([group.power_kw for group in groups]),
        np.concatenate([group.taken_milliwatt_hours for group in groups]),
        np.concatenate([group.given_milliwatt_hours for group in groups]),
        np.concatenate([group.voltage_v for group in groups]),
        np.concatenate([group.temperature_celsius for group in groups]),
        np.concatenate([group.is_power_derived for group in groups]),
        np.concatenate([group.state_of_charge_percent for group in groups]),
    )


def columns_of(observations: Sequence[Observation]) -> ObservedColumns:
    """Observations as columns."""

    def integers(name: str) -> Integers:
        return np.array([getattr(seen, name) for seen in observations], np.int64)

    def numbers(name: str) -> Numbers:
        # None becomes NaN.
        return np.array([getattr(seen, name) for seen in observations], np.float64)

    return ObservedColumns(
        [seen.device_id for seen in observations],
        np.array([KINDS.index(seen.kind) for seen in observations], np.int64),
        integers("start_ms"),
        integers("end_ms"),
        integers("revision"),
        integers("receive_ms"),
        np.array([STATE_NUMBERS[seen.state] for seen in observations], np.int64),
        numbers("power_kw"),
        integers("taken_milliwatt_hours"),
        integers("given_milliwatt_hours"),
        numbers("voltage_v"),
        numbers("temperature_celsius"),
        np.array([seen.is_power_derived for seen in observations], np.bool_),
        numbers("state_of_charge_percent"),
    )


def _measured(columns: ReadingColumns, name: str) -> Numbers:
    sent = columns.values.get(name)
    return np.full(columns.rows.size, np.nan) if sent is None else sent.astype(np.float64, copy=False)


def _power(columns: ReadingColumns, taken: Integers, given: Integers) -> Numbers:
    is_derived = not columns.values.keys().isdisjoint({_TAKEN[columns.kind], _GIVEN.get(columns.kind, "")})
    if "power_kw" in columns.values or columns.interval_ms is None or not is_derived:
        return _measured(columns, "power_kw")
    net = given - taken if columns.kind == STORAGE else taken - given
    interval_ms = columns.interval_ms.astype(np.float64)
    interval_ms[columns.interval_ms <= 0] = np.nan
    power_kw: Numbers = net * KW_PER_MILLIWATT_HOUR_A_MS / interval_ms
    return power_kw


def _energy(columns: ReadingColumns, name: str) -> Integers:
    sent = columns.values.get(name)
    if sent is None:
        return np.zeros(columns.rows.size, np.int64)
    energies: Numbers = sent.astype(np.float64, copy=False)
    return milliwatt_hours_of(energies)


def _state(columns: ReadingColumns) -> Integers:
    if columns.kind == METER:
        return np.full(columns.rows.size, STATE_NUMBERS[REPORTING_STATE], np.int64)
    name, numbers = _STATES[columns.kind]
    sent = columns.values.get(name)
    if sent is None:
        return np.full(columns.rows.size, _UNKNOWN, np.int64)
    states = _int32(sent.astype(np.int64, copy=False))
    return numbers[np.where((states >= 0) & (states < numbers.size), states, 0)]


def _int32(integers: Integers) -> Integers:
    # A parser cuts a longer varint off.
    return integers.astype(np.int32).astype(np.int64)
