"""Sees in the stream what operators should know of: the readings of each device against its rules and its usual power.

Readings that come long after their interval are history and raise nothing. Of each device only what is later than what
was looked at before counts, so redelivery and reordering cannot make it see a thing twice.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Protocol

import numpy as np

from analytics.alerts.alert import Alert, Cause, Severity, Sighting
from analytics.alerts.alert_catalogue import TYPE_PLACE
from analytics.alerts.alert_rule import AlertRules, Ruled
from analytics.alerts.condition_table import ConditionTable
from analytics.alerts.profile_table import ProfileTable
from analytics.detection.baseline_store import LearntBaselines
from analytics.detection.charge_state import ChargeRises
from analytics.detection.consumption_checks import ConsumptionWatch, HourlyReadings
from analytics.detection.power_baseline import WARM_UP_READINGS, Baselines
from analytics.detection.reading_checks import Finding, Readings, check
from analytics.detection.voltage_week import VoltageWeeks
from analytics.stream.observation import Observation, ObservedColumns
from analytics.stream.observed_columns import columns_of, joined
from analytics.stream.reading_turns import turns
from common.reading_columns import Numbers, Truths
from common.reading_location import Integers

# What rules come to for so many devices takes a few milliseconds; then others have their turn.
DEVICES_AT_A_TIME = 200
_ROOM_AT_FIRST = 1024
_BEFORE_ALL = np.iinfo(np.int64).min
_UNKNOWN_ROW = -1


class Watched(Ruled, Protocol):
    """What is needed of a registered device."""

    @property
    def connection_kw(self) -> float | None:
        """The power of its grid connection, kW."""

    @property
    def time_zone(self) -> str:
        """The IANA zone of its site."""

    @property
    def links(self) -> Sequence[object]:
        """Which vehicles it charges, if it is the meter of a charger."""


class Findings(Protocol):
    """Who is told what is seen."""

    def seen(self, sighting: Sighting, *, is_new: bool) -> None:
        """A cause was seen; `is_new`: it was not there before."""

    def gone(self, cause: Cause) -> None:
        """A cause is not there any more."""


class Detector:
    """Looks at every timely reading; `find_device` gives None for a device that is not known (yet)."""

    def __init__(
        self, find_device: Callable[[str], Watched | None], findings: Findings, *, timely_within_ms: int = 900_000
    ) -> None:
        self._find_device = find_device
        self._findings = findings
        self._timely_within_ms = timely_within_ms
        self._rules = AlertRules()
        self._rows: dict[str, int] = {}
        self._devices: list[Watched] = []
        self.newest_ms: Integers = np.full(_ROOM_AT_FIRST, _BEFORE_ALL, np.int64)
        self.baselines = Baselines.empty(_ROOM_AT_FIRST)
        self.weeks = VoltageWeeks.empty(_ROOM_AT_FIRST)
        self.consumption = ConsumptionWatch()
        self._rises = ChargeRises.empty(_ROOM_AT_FIRST)
        self._conditions = ConditionTable(_ROOM_AT_FIRST)
        self._profile: Integers = np.zeros(_ROOM_AT_FIRST, np.int64)
        self._connection_kw: Numbers = np.full(_ROOM_AT_FIRST, np.nan)
        self._is_charger: Truths = np.zeros(_ROOM_AT_FIRST, np.bool_)
        self._profiles = ProfileTable()

    @property
    def profile_count(self) -> int:
        """How many sets of thresholds are in use."""
        return len(self._profiles)

    async def use_rules(self, rules: AlertRules) -> None:
        """Other rules from now on, some devices after the others, so that readings need not wait for all of them."""
        self._rules = rules
        row = 0
        while row < len(self._devices):
            device = self._devices[row]
            self._know(row, self._find_device(device.device_id) or device)
            row += 1
            if row % DEVICES_AT_A_TIME == 0:
                self._profiles.columns()
                await asyncio.sleep(0)
        self._profile[:row] = self._profiles.without_unused(self._profile[:row])

    def refresh(self, device_ids: Iterable[str]) -> None:
        """Takes what the registry says now of some devices that were seen before."""
        for device_id in device_ids:
            row, device = self._rows.get(device_id), self._find_device(device_id)
            if row is not None and device is not None:
                self._know(row, device)

    def stale_devices(self) -> list[str]:
        """Those of which the registry says something else than what is known here."""
        find = self._find_device
        return [one.device_id for one in self._devices if (now := find(one.device_id)) is not None and now is not one]

    def device_ids(self) -> Sequence[str]:
        """Every device that was looked at, in the order of its row."""
        return tuple(self._rows)

    def row_of(self, device_id: str) -> int | None:
        """The row of a registered device; None if it is not registered."""
        row = self._rows.get(device_id)
        if row is None:
            device = self._find_device(device_id)
            return None if device is None else self._add(device_id, device)
        return row

    def restore(self, alerts: Iterable[Alert]) -> None:
        """Takes open alerts as causes that are there, unless they were seen here already."""
        for alert in alerts:
            row = self.row_of(alert.cause.device_id) if alert.cause.device_id else None
            if row is not None:
                place = TYPE_PLACE[alert.cause.type]
                self._conditions.restore(row, place, int(alert.severity), alert.last_seen_ms)

    def learn(self, learnt: LearntBaselines) -> None:
        """Takes what was learnt elsewhere, where it is later or next to nothing was learnt here."""
        newest_ms = learnt.newest_ms
        found = [self.row_of(device_id) for device_id in learnt.device_ids]
        rows = np.array([_UNKNOWN_ROW if row is None else row for row in found], np.int64)
        own_count = self.baselines.count[rows]
        is_more = (newest_ms > self.newest_ms[rows]) | (
            (own_count < WARM_UP_READINGS) & (own_count < learnt.baselines.count)
        )
        newer = np.flatnonzero((rows != _UNKNOWN_ROW) & is_more)
        self.newest_ms[rows[newer]] = np.maximum(self.newest_ms[rows[newer]], newest_ms[newer])
        self.baselines.put(rows[newer], learnt.baselines.take(newer))
        self.weeks.put(rows[newer], learnt.weeks.take(newer))
        if learnt.consumption is not None:
            self.consumption.grow(self.newest_ms.size)
            self.consumption.state.put(rows[newer], learnt.consumption.take(newer))

    def look(self, columns: ObservedColumns | None, observations: Sequence[Observation]) -> None:
        """Looks at readings."""
        if observations:
            others = columns_of(observations)
            columns = others if columns is None else joined([columns, others])
        if columns is not None:
            self._look(columns)

    def _look(self, seen: ObservedColumns) -> None:
        is_timely = seen.receive_ms - seen.end_ms <= self._timely_within_ms
        rows = np.fromiter(map(self._rows.get, seen.device_ids, repeat(_UNKNOWN_ROW)), np.int64, len(seen.device_ids))
        for place in np.flatnonzero((rows == _UNKNOWN_ROW) & is_timely).tolist():
            row = self.row_of(seen.device_ids[place])
            rows[place] = _UNKNOWN_ROW if row is None else row
        places = np.flatnonzero(is_timely)
        rows = rows[places]
        is_next = rows != _UNKNOWN_ROW
        is_next &= seen.start_ms[places] > self.newest_ms[rows]
        places, rows = places[is_next], rows[is_next]
        # Each device's in order of time, and of those of the same start the one that supersedes.
        order = np.lexsort((-seen.revision[places], seen.start_ms[places], rows))
        places, rows = places[order], rows[order]
        for turn in turns(rows, seen.start_ms[places]):
            self._look_once(seen, places[turn], rows[turn])

    def _look_once(self, seen: ObservedColumns, places: Integers, rows: Integers) -> None:
        values, is_enabled = self._profiles.columns()
        profile = self._profile[rows]
        if profile.min() == profile.max():
            # One set of thresholds for all, as nearly always, is not copied for each.
            profile = profile[:1]
        readings = Readings(
            seen.kind[places],
            seen.state[places],
            seen.power_kw[places],
            seen.is_power_derived[places],
            seen.voltage_v[places],
            seen.temperature_celsius[places],
            seen.state_of_charge_percent[places],
            self._connection_kw[rows],
            self._is_charger[rows],
            values[profile],
            is_enabled[profile],
        )
        start_ms = seen.start_ms[places]
        self.newest_ms[rows] = start_ms
        state, weeks, rises = self.baselines.take(rows), self.weeks.take(rows), self._rises.take(rows)
        for finding in check(readings, start_ms, state, weeks, rises):
            self._tell(finding, rows, start_ms)
        self.baselines.put(rows, state)
        self.weeks.put(rows, weeks)
        self._rises.put(rows, rises)
        if self.consumption.is_wanted(readings):
            zones = [self._devices[row].time_zone for row in rows.tolist()]
            used = HourlyReadings(rows, start_ms, seen.end_ms[places], seen.taken_milliwatt_hours[places], zones)
            for finding in self.consumption.look(readings, used, room=self.newest_ms.size):
                self._tell(finding, rows, start_ms)

    def _tell(self, finding: Finding, rows: Integers, start_ms: Integers) -> None:
        changes = self._conditions.look(TYPE_PLACE[finding.type], rows, start_ms, finding.look)
        for place, is_new in zip(changes.told.tolist(), changes.is_new.tolist(), strict=True):
            device = self._devices[rows[place]]
            sighting = Sighting(
                Cause(finding.type, device.region, device.device_id),
                Severity(int(finding.look.severity[place])),
                int(start_ms[place]),
                _number(finding.measured[place]),
                _number(finding.expected[place]),
                device.account_id,
            )
            self._findings.seen(sighting, is_new=is_new)
        for place in changes.gone.tolist():
            device = self._devices[rows[place]]
            self._findings.gone(Cause(finding.type, device.region, device.device_id))

    def _add(self, device_id: str, device: Watched) -> int:
        row = self._rows[device_id] = len(self._rows)
        self._devices.append(device)
        if row == self.newest_ms.size:
            self._grow()
        self._know(row, device)
        return row

    def _know(self, row: int, device: Watched) -> None:
        self._devices[row] = device
        self._profile[row] = self._profiles.number_of(self._rules.profile_of(device))
        self._connection_kw[row] = math.nan if device.connection_kw is None else device.connection_kw
        self._is_charger[row] = bool(device.links)

    def _grow(self) -> None:
        room = self.newest_ms.size
        self.newest_ms = np.concatenate((self.newest_ms, np.full(room, _BEFORE_ALL, np.int64)))
        self._profile = np.concatenate((self._profile, np.zeros(room, np.int64)))
        self._connection_kw = np.concatenate((self._connection_kw, np.full(room, np.nan)))
        self._is_charger = np.concatenate((self._is_charger, np.zeros(room, np.bool_)))
        self.baselines = self.baselines.grown(2 * room)
        self.weeks = self.weeks.grown(2 * room)
        self._rises = self._rises.grown(2 * room)
        self._conditions.grow(2 * room)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
