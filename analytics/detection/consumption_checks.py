"""Looks at what meters use, hour by hour, where a rule has switched it on; of others nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from analytics.alerts.alert import AlertType, Severity
from analytics.alerts.alert_catalogue import PLACES, TYPE_PLACE
from analytics.alerts.condition_table import Look
from analytics.detection.consumption import (
    Consumption,
    HighLimits,
    LocalHours,
    ZeroLimits,
    add,
    ended,
    energy_kwh,
    judge,
)
from analytics.detection.reading_checks import Finding, Readings
from analytics.stream.observation import KINDS, METER
from common.reading_columns import Numbers
from common.reading_location import Integers

_METER = KINDS.index(METER)
_HIGH, _ZERO = AlertType.CONSUMPTION_HIGH, AlertType.CONSUMPTION_ZERO
_TYPES = [TYPE_PLACE[_HIGH], TYPE_PLACE[_ZERO]]
_MILLIWATT_HOURS_PER_KWH = 1_000_000
_MEDIUM = int(Severity.MEDIUM)


class HourlyReadings(NamedTuple):
    """What of a reading of each row is added up: `rows` are those of the table, instants UTC milliseconds.

    `time_zones` has the IANA zone of each.
    """

    rows: Integers
    start_ms: Integers
    end_ms: Integers
    taken_milliwatt_hours: Integers
    time_zones: Sequence[str]


class ConsumptionWatch:
    """Keeps what hours are usually like, a row a device, from when somebody first wants to know."""

    def __init__(self) -> None:
        self.state = Consumption.empty(0)

    @staticmethod
    def is_wanted(readings: Readings) -> bool:
        """Whether a rule has switched it on for any of them."""
        return bool(readings.is_enabled[:, _TYPES].any())

    def grow(self, room: int) -> None:
        """Makes room for so many rows, if it has less."""
        if len(self.state.local_day) < room:
            self.state = self.state.grown(room)

    def taken(self, rows: Integers) -> Consumption | None:
        """A copy of some rows; None where nobody wants to know."""
        if not len(self.state.local_day):
            return None
        self.grow(int(rows.max(initial=-1)) + 1)
        return self.state.take(rows)

    def look(self, readings: Readings, used: HourlyReadings, *, room: int) -> list[Finding]:
        """What the hours that are over say, by one reading of each row of a table with `room`.

        What is not looked for is sound.
        """
        self.grow(room)
        state, interval_ms = self.state, used.end_ms - used.start_ms
        used_kwh = energy_kwh(used.taken_milliwatt_hours / _MILLIWATT_HOURS_PER_KWH, readings.power_kw, interval_ms)
        is_on = readings.is_enabled[:, _TYPES].any(axis=1)
        places = np.flatnonzero((readings.kind == _METER) & ~np.isnan(used_kwh) & is_on)
        rows, start_ms = used.rows[places], used.start_ms[places]
        over = ended(state, rows, start_ms)
        judged_places, judged_rows = places[over], rows[over]
        local = _local_hours(
            state.hour_start_ms[judged_rows], [used.time_zones[place] for place in judged_places.tolist()]
        )
        values = readings.values if len(readings.values) == 1 else readings.values[judged_places]

        def threshold(alert_type: AlertType, name: str) -> Numbers:
            chosen: Numbers = values[:, PLACES[alert_type, name]]
            return chosen

        judged = judge(
            state,
            judged_rows,
            local,
            HighLimits(*(threshold(_HIGH, name) for name in ("percent", "minimum_days", "minimum_kwh", "day_kwh"))),
            ZeroLimits(*(threshold(_ZERO, name) for name in ("usual_hours", "zero_hours"))),
        )
        add(state, rows, start_ms, interval_ms[places], used_kwh[places])
        size = readings.kind.size
        nothing = np.full(judged_places.size, np.nan)
        findings = []
        for alert_type, is_there, is_sound, measured, expected in (
            (_HIGH, judged.is_high, ~judged.is_high, judged.measured_kwh, judged.expected_kwh),
            (_ZERO, judged.is_zero, judged.has_some, state.zero_hours[judged_rows].astype(np.float64), nothing),
        ):
            severity, soundness = np.zeros(size, np.int64), np.zeros(size, np.bool_)
            severity[judged_places] = np.where(is_there, _MEDIUM, 0)
            soundness[judged_places] = is_sound
            is_enabled = np.broadcast_to(readings.is_enabled[:, TYPE_PLACE[alert_type]], size)
            look = Look(np.where(is_enabled, severity, 0), soundness | ~is_enabled)
            findings.append(
                Finding(
                    alert_type, look, _spread(judged_places, size, measured), _spread(judged_places, size, expected)
                )
            )
        return findings


def _local_hours(hour_start_ms: Integers, time_zones: Sequence[str]) -> LocalHours:
    locals_ = [
        datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone) if zone else UTC)
        for at_ms, zone in zip(hour_start_ms.tolist(), time_zones, strict=True)
    ]
    return LocalHours(
        np.array([one.hour for one in locals_], np.int64), np.array([one.toordinal() for one in locals_], np.int64)
    )


def _spread(places: Integers, size: int, values: Numbers) -> Numbers:
    whole = np.full(size, np.nan)
    whole[places] = values
    return whole
