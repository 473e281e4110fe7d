"""When a reading was by the clock of its site: local days, weekdays and minutes of instants in an IANA zone."""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall clocks are compared without a zone on purpose
_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


class WallClock(NamedTuple):
    """What calendar and clock of a site show: weekday 0 (Monday) to 6 (Sunday), minute 0..1439 of the local day."""

    day: date
    weekday: int
    minute: int


class LocalDay(NamedTuple):
    """A local day and the instants [start_ms, end_ms) it lasts, UTC milliseconds: 23, 24 or 25 hours, or odder."""

    day: date
    start_ms: int
    end_ms: int


def is_zone(name: str) -> bool:
    """Whether a name is that of an IANA zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def wall_clock(instant_ms: int, zone: ZoneInfo) -> WallClock:
    """What calendar and clock of the zone show at an instant, UTC milliseconds."""
    local = (_EPOCH + instant_ms * _MILLISECOND).astimezone(zone)
    return WallClock(local.date(), local.weekday(), local.hour * 60 + local.minute)


def local_midnight_ms(day: date, zone: ZoneInfo) -> int:
    """The first instant of a local day, UTC milliseconds.

    Where 00:00 comes twice it is the first of both; where the clock jumps over 00:00 it is the instant of the jump, so
    that a day which a zone skips altogether begins and ends there.
    """
    wall = datetime.combine(day, time())
    instant_s, other_s = _instant_s(wall, zone, fold=0), _instant_s(wall, zone, fold=1)
    if other_s < instant_s:
        # A gap: by PEP 495 fold=1 takes the offset after it, so names the earlier instant. The jump lies between both.
        reached = range(other_s, instant_s + 1)
        instant_s = reached[bisect_left(reached, wall, key=lambda second: _wall(second, zone))]
    return instant_s * 1000


def local_day(day: date, zone: ZoneInfo) -> LocalDay:
    """A local day and its bounds."""
    return LocalDay(day, local_midnight_ms(day, zone), local_midnight_ms(day + _DAY, zone))


def local_days(start_date: date, end_date: date, zone: ZoneInfo) -> Iterator[LocalDay]:
    """The local days from `start_date` (inclusive) to `end_date` (exclusive), without those the zone skips."""
    start_ms = local_midnight_ms(start_date, zone)
    for ordinal in range(start_date.toordinal(), end_date.toordinal()):
        day = date.fromordinal(ordinal)
        end_ms = local_midnight_ms(day + _DAY, zone)
        if end_ms > start_ms:
            yield LocalDay(day, start_ms, end_ms)
        start_ms = end_ms


def local_day_of(instant_ms: int, zone: ZoneInfo) -> LocalDay:
    """The local day that an instant, UTC milliseconds, lies in."""
    found = local_day(wall_clock(instant_ms, zone).day, zone)
    # A clock set back over midnight shows the old date again; the day that has begun goes on.
    return found if instant_ms < found.end_ms else local_day(found.day + _DAY, zone)


def _instant_s(wall: datetime, zone: ZoneInfo, *, fold: int) -> int:
    offset = zone.utcoffset(wall.replace(fold=fold))
    if offset is None:  # pragma: no cover - a ZoneInfo knows its offset at every wall clock time
        raise ValueError("must be a zone with offsets")
    return (wall - offset - _NAIVE_EPOCH) // _SECOND


def _wall(instant_s: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH + instant_s * _SECOND).astimezone(zone).replace(tzinfo=None)
