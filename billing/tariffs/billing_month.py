"""The months of a billing period: what monthly amounts are for, however the period lies to the calendar."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from zoneinfo import ZoneInfo

from common.local_time import LocalDay, local_days, local_midnight_ms


@dataclass(frozen=True)
class BillingMonth:
    """A month from `start_date` on, of which the local days [start_date, end_date) are billed.

    `days` are these days; `days_in_month` counts those of the whole month, which ends a calendar month after its start.
    """

    start_date: date
    end_date: date
    days: tuple[LocalDay, ...]
    days_in_month: int
    start_ms: int
    end_ms: int

    @cached_property
    def day_starts_ms(self) -> list[int]:
        """The first instants of its days, UTC milliseconds."""
        return [day.start_ms for day in self.days]


def months_before(start_date: date, months: int) -> date:
    """The day from which on the months before a period are counted.

    The day of the month is that of the period's start, or the last one of a month that is too short for it.
    """
    return _months_after(start_date, -months)


def billing_months(start_date: date, end_date: date, zone: ZoneInfo, months_before_it: int = 0) -> list[BillingMonth]:
    """The months of the local days [start_date, end_date), after `months_before_it` whole ones before them.

    Each begins a calendar month after the one before it; the last may be billed in part.
    """
    bounds = list(_bounds(start_date, end_date, months_before_it))
    return [_month(begun, min(ended, end_date), ended, zone) for begun, ended in bounds]


def _month(start_date: date, end_date: date, whole_end_date: date, zone: ZoneInfo) -> BillingMonth:
    days = tuple(local_days(start_date, end_date, zone))
    rest = sum(1 for _ in local_days(end_date, whole_end_date, zone))
    bounds = (local_midnight_ms(start_date, zone), local_midnight_ms(end_date, zone))
    return BillingMonth(start_date, end_date, days, len(days) + rest, *bounds)


def _bounds(start_date: date, end_date: date, months_before_it: int) -> Iterator[tuple[date, date]]:
    number = -months_before_it
    while (begun := _months_after(start_date, number)) < end_date:
        number += 1
        yield begun, _months_after(start_date, number)


def _months_after(start_date: date, months: int) -> date:
    year, month = divmod(start_date.year * 12 + start_date.month - 1 + months, 12)
    return date(year, month + 1, min(start_date.day, monthrange(year, month + 1)[1]))
