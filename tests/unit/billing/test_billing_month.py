"""The months that monthly amounts are for: of calendar periods, of anchor days, of parts."""

from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from billing.tariffs.billing_month import billing_months

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        # A calendar month, a leap February, a year of twelve.
        (date(2026, 1, 1), date(2026, 2, 1), [(date(2026, 1, 1), 31, 31)]),
        (date(2024, 2, 1), date(2024, 3, 1), [(date(2024, 2, 1), 29, 29)]),
        # From the 15th to the 15th is one month, of January's 31 days.
        (date(2026, 1, 15), date(2026, 2, 15), [(date(2026, 1, 15), 31, 31)]),
        # Ten days of January, and a month with ten days of the next.
        (date(2026, 1, 1), date(2026, 1, 11), [(date(2026, 1, 1), 10, 31)]),
        (date(2026, 1, 1), date(2026, 2, 11), [(date(2026, 1, 1), 31, 31), (date(2026, 2, 1), 10, 28)]),
        # From the 31st on: the last day of a month without one.
        (date(2026, 1, 31), date(2026, 3, 31), [(date(2026, 1, 31), 28, 28), (date(2026, 2, 28), 31, 31)]),
    ],
)
def test_a_period_has_a_month_for_each_calendar_month_after_its_start(
    start: date, end: date, months: list[tuple[date, int, int]]
) -> None:
    """Start, days billed, and days of the whole month."""
    found = billing_months(start, end, BERLIN)

    assert [(month.start_date, len(month.days), month.days_in_month) for month in found] == months


def test_months_before_a_period_end_where_it_begins() -> None:
    """Two months before the 31st of March begin at the 31st of January and the 28th of February."""
    found = billing_months(date(2026, 3, 31), date(2026, 4, 30), BERLIN, 2)

    assert [(month.start_date, month.end_date) for month in found] == [
        (date(2026, 1, 31), date(2026, 2, 28)),
        (date(2026, 2, 28), date(2026, 3, 31)),
        (date(2026, 3, 31), date(2026, 4, 30)),
    ]
    assert all(one.end_ms == other.start_ms for one, other in pairwise(found))


def test_a_day_that_the_zone_skips_is_no_day_of_a_month() -> None:
    """December 2011 had thirty days in Samoa."""
    (month,) = billing_months(date(2011, 12, 1), date(2012, 1, 1), ZoneInfo("Pacific/Apia"))

    assert (len(month.days), month.days_in_month) == (30, 30)
