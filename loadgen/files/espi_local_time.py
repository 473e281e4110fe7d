"""How ESPI says a time zone: its standard offset, and the rules by which its clock changes, packed into 32 bits."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from loadgen.files.time_zone import LocalTimeParameters

_YEARS_COMPARED = 6  # enough to tell the fourth Sunday of a month from the last one
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_FIRST_OF_MONTH, _LAST_OF_MONTH = 2, 7  # operators of a rule: the first such weekday of the month is 2, the second 3


@dataclass(frozen=True, slots=True)
class _Change:
    """When the clock changes: what it showed just then, and by how much."""

    shown: datetime
    step: timedelta


def local_time_parameters(time_zone: str, year: int) -> LocalTimeParameters:
    """A zone as it is from a year on, with its name as the title.

    The rules are those that the next years follow, else those of the year. Where its changes follow no rule that ESPI
    can say, or there are none, it has no daylight saving here: a reader who knows the name knows better, and instants
    are in UTC anyway.
    """
    zone = ZoneInfo(time_zone)
    by_year = [list(_changes(zone, each)) for each in range(year, year + _YEARS_COMPARED)]
    return (
        _with_rules(zone, year, by_year)
        or _with_rules(zone, year, by_year[:1])
        or LocalTimeParameters(_january_offset(zone, year) // _SECOND, title=time_zone)
    )


def _with_rules(zone: ZoneInfo, year: int, by_year: list[list[_Change]]) -> LocalTimeParameters | None:
    to_summer = [change for changes in by_year for change in changes if change.step > timedelta()]
    to_winter = [change for changes in by_year for change in changes if change.step < timedelta()]
    if not len(to_summer) == len(to_winter) == len(by_year):
        return None
    start_rule, end_rule = _rule(to_summer), _rule(to_winter)
    if start_rule is None or end_rule is None:
        return None
    begins_in_summer = by_year[0][0].step < timedelta()
    standard = _january_offset(zone, year) - (to_summer[0].step if begins_in_summer else timedelta())
    return LocalTimeParameters(
        offset_seconds=standard // _SECOND,
        dst_offset_seconds=to_summer[0].step // _SECOND,
        dst_start_rule=start_rule,
        dst_end_rule=end_rule,
        title=zone.key,
    )


def _january_offset(zone: ZoneInfo, year: int) -> timedelta:
    return datetime(year, 1, 1, tzinfo=zone).utcoffset() or timedelta()


def _changes(zone: ZoneInfo, year: int) -> Iterator[_Change]:
    """The changes of a year's clock, to the minute."""
    day = datetime(year, 1, 1, tzinfo=UTC)
    while day.year == year:
        before, after = (each.astimezone(zone).utcoffset() or timedelta() for each in (day, day + _DAY))
        if before != after:
            minute = next(
                day + timedelta(minutes=number)
                for number in range(1, 1441)
                if (day + timedelta(minutes=number)).astimezone(zone).utcoffset() != before
            )
            yield _Change((minute + before).replace(tzinfo=None), after - before)
        day += _DAY


def _rule(changes: list[_Change]) -> int | None:
    """The packed rule that all changes follow, or None: which weekday of which month, and the hour."""
    shown = [change.shown for change in changes]
    if len({(each.month, each.isoweekday(), each.time()) for each in shown}) != 1:
        return None
    weeks = {(each.day - 1) // 7 for each in shown}
    is_last = all(each.day + 7 > calendar.monthrange(each.year, each.month)[1] for each in shown)
    if len(weeks) > 1 and not is_last:
        return None
    operator = _LAST_OF_MONTH if is_last else _FIRST_OF_MONTH + weeks.pop()
    first = shown[0]
    seconds = first.minute * 60
    return first.month << 28 | operator << 25 | first.isoweekday() << 17 | first.hour << 12 | seconds
