"""What all devices of one site share while a reading is taken: local time, weather and the frequency of the grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_MINUTES_PER_DAY = 1440

# A round picture of northern India, chosen here and taken from no station: yearly mean, summer against winter,
# afternoon against night.
_MEAN_CELSIUS = 22.0
_YEARLY_SWING_CELSIUS = 8.0
_DAILY_SWING_CELSIUS = 5.0
_COLDEST_DAY_OF_YEAR = 15
_WARMEST_MINUTE = 15 * 60

# The sun of an equinox: up at 6, down at 18, local clock.
_SUNRISE_MINUTE = 6 * 60
_SUNSET_MINUTE = 18 * 60

# Well inside EN 50160's 50 Hz +-1 %; the grid swings by some tens of millihertz within minutes.
_NOMINAL_HZ = 50.0
_SWING_HZ = 0.03
_SWING_PERIOD_MS = 17 * 60_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The interval `[start_ms, start_ms + interval_ms)` as every device of the site sees it.

    `local_minute` is the local minute of the day at the start, 0..1440; `sunlight` the share of a clear noon, 0..1.
    """

    start_ms: int
    interval_ms: int
    local_minute: float
    ambient_celsius: float
    sunlight: float
    frequency_hz: float


def surroundings_at(start_ms: int, interval_ms: int, zone: ZoneInfo) -> Surroundings:
    """The surroundings of one interval: a pure function of time and zone. Weather is that of the interval's middle."""
    middle = local_time(start_ms + interval_ms // 2, zone)
    begin = local_time(start_ms, zone)
    return Surroundings(
        start_ms=start_ms,
        interval_ms=interval_ms,
        local_minute=_minute_of_day(begin),
        ambient_celsius=ambient_celsius(middle),
        sunlight=_sunlight(_minute_of_day(middle)),
        frequency_hz=_frequency_hz(start_ms),
    )


def ambient_celsius(local: datetime) -> float:
    """The temperature outside: a yearly and a daily cosine."""
    year_angle = 2 * math.pi * (local.timetuple().tm_yday - _COLDEST_DAY_OF_YEAR) / 365
    day_angle = 2 * math.pi * (_minute_of_day(local) - _WARMEST_MINUTE) / _MINUTES_PER_DAY
    return _MEAN_CELSIUS - _YEARLY_SWING_CELSIUS * math.cos(year_angle) + _DAILY_SWING_CELSIUS * math.cos(day_angle)


def local_time(instant_ms: int, zone: ZoneInfo) -> datetime:
    """The local time of an instant."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant_ms)).astimezone(zone)


def instant_ms_of(day: date, minute_of_day: float, zone: ZoneInfo) -> int:
    """The instant of a local clock time, rounded to whole seconds; `minute_of_day` may run past midnight."""
    days, minute = divmod(minute_of_day, _MINUTES_PER_DAY)
    seconds = min(round(minute * 60), _MINUTES_PER_DAY * 60 - 1)
    clock = time(seconds // 3600, seconds // 60 % 60, seconds % 60)
    local = datetime.combine(day + timedelta(days=int(days)), clock, zone)
    return int(local.timestamp()) * 1000


def _minute_of_day(local: datetime) -> float:
    return local.hour * 60 + local.minute + local.second / 60


def _sunlight(minute: float) -> float:
    if not _SUNRISE_MINUTE < minute < _SUNSET_MINUTE:
        return 0.0
    return math.sin(math.pi * (minute - _SUNRISE_MINUTE) / (_SUNSET_MINUTE - _SUNRISE_MINUTE))


def _frequency_hz(start_ms: int) -> float:
    angle = 2 * math.pi * start_ms / _SWING_PERIOD_MS
    return round(_NOMINAL_HZ + _SWING_HZ * (math.sin(angle) + 0.4 * math.sin(angle * 7.3)), 3)
