"""The schedules of a rate, hour by hour and month by month, as windows of a tariff."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from energy.billing.v1 import tariff_pb2 as pb
from google.type.dayofweek_pb2 import DayOfWeek

from loadgen.files.urdb_file import Schedule

ALL_MONTHS = frozenset(range(1, 13))

_WEEKDAYS = [DayOfWeek.Value(day) for day in ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY")]
_WEEKEND = [DayOfWeek.Value(day) for day in ("SATURDAY", "SUNDAY")]
_HOUR_MINUTES = 60


@dataclass(frozen=True, slots=True)
class _Hours:
    """The same hours [start, end) of a day on weekdays, weekends or both, in some months."""

    days: tuple[int, ...]
    start: int
    end: int
    months: frozenset[int]


def all_day(months: frozenset[int]) -> pb.TimeOfUseWindow:
    """Every hour of every day of some months."""
    return _window(_Hours((), 0, 24, months))


def windows_of(schedule: Schedule, period: int) -> Iterator[pb.TimeOfUseWindow]:
    """The hours of a period, in as few windows as say the same."""
    months: dict[tuple[bool, int, int], set[int]] = {}
    for is_weekend, rows in ((False, schedule.weekday), (True, schedule.weekend)):
        for month, row in enumerate(rows, 1):
            for start, end in _runs(row, period):
                months.setdefault((is_weekend, start, end), set()).add(month)
    done: set[tuple[bool, int, int]] = set()
    for key, of_key in months.items():
        if key in done:
            continue
        is_weekend, start, end = key
        twin = (not is_weekend, start, end)
        days: Iterable[int] = _WEEKEND if is_weekend else _WEEKDAYS
        if months.get(twin) == of_key:
            done.add(twin)
            days = ()
        yield _window(_Hours(tuple(days), start, end, frozenset(of_key)))


def _runs(row: Sequence[int], period: int) -> Iterator[tuple[int, int]]:
    start = None
    for hour, value in enumerate([*row, -1]):
        if value == period and start is None:
            start = hour
        elif value != period and start is not None:
            yield start, hour
            start = None


def _window(hours: _Hours) -> pb.TimeOfUseWindow:
    return pb.TimeOfUseWindow(
        days_of_week=list(hours.days),
        start_minute=hours.start * _HOUR_MINUTES,
        end_minute=hours.end * _HOUR_MINUTES,
        months=[] if hours.months == ALL_MONTHS else sorted(hours.months),
    )
