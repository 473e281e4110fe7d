"""Where a household's reading is born: its load over the day, and the meter that counts it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypedDict

from loadgen.surroundings import Surroundings

_MINUTES_PER_DAY = 1440
_MILLIWATT_HOURS_PER_KWH = 1_000_000
_SHAPE_COUNT = 16

# 230 V +-10 % is the legal band; a healthy street stays near the middle and sags under load.
_VOLTAGE_LOWEST, _VOLTAGE_SPAN = 226.0, 10.0
_VOLTAGE_FLOOR, _VOLTAGE_CEILING = 207.0, 253.0
_SAG_VOLT_PER_WATT = 0.0005

_SOLAR_SHARE = 0.10
_APPLIANCE_STARTS_PER_HOUR = 0.5


class LoadMode(StrEnum):
    """What the fleet lives through."""

    NORMAL = "normal"
    PEAK = "peak"
    OUTAGE = "outage"


# Lowest factor on the load and its span, drawn uniformly per reading, as the earlier smart-grid simulator had them.
_LOAD_FACTOR = {LoadMode.NORMAL: (0.8, 0.4), LoadMode.PEAK: (1.5, 0.5), LoadMode.OUTAGE: (0.0, 0.3)}


class MeterFields(TypedDict, total=False):
    """The fields of `energy.telemetry.v1.MeterMeasurement` by name; an absent key is not measured."""

    import_kwh: float
    export_kwh: float
    import_register_kwh: float
    export_register_kwh: float
    power_kw: float
    voltage_v: float
    current_a: float
    frequency_hz: float
    power_factor: float
    temperature_celsius: float


@dataclass(frozen=True, slots=True)
class MeterProfile:
    """One household: what it draws at night and on top of that at its evening peak, in watts, and its connection.

    Night 100..300 W and the peak between 17 and 21 local are the usual household picture; the sizes give a yearly
    5 000 kWh on average, where published homes have 5 090 to 5 938.
    """

    base_w: float
    evening_w: float
    shape: int
    connection_w: int
    solar_w: int
    power_factor: float
    initial_register_kwh: int


def draw_profile(random: Random) -> MeterProfile:
    """A household, drawn from `random`; one of ten has solar panels of 2 to 5 kW."""
    return MeterProfile(
        base_w=random.uniform(100, 300),
        evening_w=random.uniform(800, 2600),
        shape=random.randrange(_SHAPE_COUNT),
        connection_w=random.choice((5_000, 7_500, 10_000)),
        solar_w=random.randrange(2_000, 5_001, 100) if random.random() < _SOLAR_SHARE else 0,
        power_factor=random.uniform(0.90, 0.99),
        initial_register_kwh=random.randrange(1_000, 40_000),
    )


class LoadShapes:
    """The day's course of sixteen kinds of household, each 0 at night and about 1 at its evening peak."""

    def __init__(self) -> None:
        self._sums = [_running_sums(kind) for kind in range(_SHAPE_COUNT)]

    def levels(self, surroundings: Surroundings) -> list[float]:
        """The mean level of each shape over the interval."""
        first = int(surroundings.local_minute)
        minutes = max(1, round(surroundings.interval_ms / 60_000))
        return [(_sum_until(sums, first + minutes) - _sum_until(sums, first)) / minutes for sums in self._sums]


class Meter:
    """The meter of one household. Its registers start with the profile's and are to the mWh the sum of its energies."""

    __slots__ = (
        "_appliance_until_ms",
        "_appliance_w",
        "_draw",
        "_export",
        "_factor",
        "_import",
        "_supplied",
        "profile",
    )

    def __init__(
        self,
        profile: MeterProfile,
        *,
        draw: Callable[[], float],
        mode: LoadMode = LoadMode.NORMAL,
        supplied: bool = True,
    ) -> None:
        """`draw` gives uniform numbers 0..1; `supplied` is False for a meter that an outage leaves without voltage."""
        self.profile = profile
        self._draw = draw
        self._factor = _LOAD_FACTOR[mode]
        self._supplied = supplied
        self._import = profile.initial_register_kwh * _MILLIWATT_HOURS_PER_KWH
        self._export = 0
        self._appliance_w = 0.0
        self._appliance_until_ms = 0

    def measure(self, surroundings: Surroundings, level: float) -> MeterFields:
        """The reading of one interval, `level` being that of the household's shape in it."""
        if not self._supplied:
            return self._without_supply(surroundings)
        profile, draw, interval_ms = self.profile, self._draw, surroundings.interval_ms
        lowest, span = self._factor
        load_w = profile.base_w + profile.evening_w * level + self._appliances_w(surroundings, level)
        net_w = int(load_w * (lowest + span * draw()))
        if profile.solar_w:
            net_w -= int(profile.solar_w * surroundings.sunlight * (0.8 + 0.2 * draw()))
        net_w = max(-profile.connection_w, min(profile.connection_w, net_w))
        voltage = _VOLTAGE_LOWEST + _VOLTAGE_SPAN * draw() - _SAG_VOLT_PER_WATT * net_w
        voltage = int(max(_VOLTAGE_FLOOR, min(_VOLTAGE_CEILING, voltage)) * 10) / 10
        current = int(abs(net_w) / (voltage * profile.power_factor) * 100) / 100
        energy = (abs(net_w) * interval_ms + 1800) // 3600  # W x ms to mWh, to the nearest
        fields: MeterFields = {
            "import_kwh": 0.0,
            "power_kw": net_w / 1000,
            "voltage_v": voltage,
            "current_a": current,
            "frequency_hz": surroundings.frequency_hz,
            "power_factor": int(profile.power_factor * 1000) / 1000,
            "temperature_celsius": int((surroundings.ambient_celsius + 2 + 0.2 * current) * 10) / 10,
        }
        self._count(fields, energy if net_w > 0 else 0, energy if net_w < 0 else 0)
        return fields

    def _count(self, fields: MeterFields, imported: int, exported: int) -> None:
        self._import += imported
        fields["import_kwh"] = imported / _MILLIWATT_HOURS_PER_KWH
        fields["import_register_kwh"] = self._import / _MILLIWATT_HOURS_PER_KWH
        if self.profile.solar_w:
            self._export += exported
            fields["export_kwh"] = exported / _MILLIWATT_HOURS_PER_KWH
            fields["export_register_kwh"] = self._export / _MILLIWATT_HOURS_PER_KWH

    def _without_supply(self, surroundings: Surroundings) -> MeterFields:
        # True zeros; frequency and power factor are absent, for there is no wave to measure them on.
        fields: MeterFields = {
            "power_kw": 0.0,
            "voltage_v": 0.0,
            "current_a": 0.0,
            "temperature_celsius": int(surroundings.ambient_celsius * 10) / 10,
        }
        self._count(fields, 0, 0)
        return fields

    def _appliances_w(self, surroundings: Surroundings, level: float) -> float:
        """Now and then something large runs for 5 to 20 minutes: the more likely the busier the hour."""
        start_ms, interval_ms = surroundings.start_ms, surroundings.interval_ms
        if self._appliance_until_ms <= start_ms:
            chance = _APPLIANCE_STARTS_PER_HOUR * level * interval_ms / 3_600_000
            if self._draw() >= chance:
                return 0.0
            self._appliance_w = 1000 + 1500 * self._draw()
            self._appliance_until_ms = start_ms + int((5 + 15 * self._draw()) * 60_000)
        return self._appliance_w * min(1.0, (self._appliance_until_ms - start_ms) / interval_ms)


def _running_sums(kind: int) -> list[float]:
    """Sums of the shape's level over the first 0..1440 minutes of a day."""
    centre = 18.2 * 60 + kind % 4 * 30  # 18:12 to 19:42, so that every peak lies between 17 and 21
    width = 60 + kind // 4 * 10
    sums = [0.0]
    for minute in range(_MINUTES_PER_DAY):
        morning = 0.35 * _bell(minute, 7.5 * 60, 50)
        noon = 0.18 * _bell(minute, 13 * 60, 120)
        sums.append(sums[-1] + morning + noon + _bell(minute, centre, width))
    return sums


def _bell(minute: float, centre: float, width: float) -> float:
    return math.exp(-(((minute - centre) / width) ** 2) / 2)


def _sum_until(sums: list[float], minute: int) -> float:
    days, rest = divmod(minute, _MINUTES_PER_DAY)
    return days * sums[-1] + sums[rest]
