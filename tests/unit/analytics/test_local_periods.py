"""The local days and months of a period: cut at its ends, of 23 or 25 hours where the clock changes, none twice."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from analytics.usage.local_periods import day_count, local_periods
from analytics.usage.measured_energy import Window

HOUR_MS = 3_600_000
NEW_YORK, KOLKATA, APIA = ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Pacific/Apia")


def at(*moment: int, zone: ZoneInfo | None = None) -> int:
    """Milliseconds of an instant."""
    return int(datetime(*moment, tzinfo=zone or UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


def test_days_are_cut_at_the_ends_of_the_period() -> None:
    """From noon to six in the morning of the third day."""
    window = Window(at(2026, 1, 5, 12, zone=KOLKATA), at(2026, 1, 7, 6, zone=KOLKATA))

    days = list(local_periods(window, KOLKATA, "day"))

    assert [(one.day, (one.part.end_ms - one.part.start_ms) // HOUR_MS, one.share) for one in days] == [
        (date(2026, 1, 5), 12, 0.5),
        (date(2026, 1, 6), 24, 1.0),
        (date(2026, 1, 7), 6, 0.25),
    ]
    assert (days[0].part.start_ms, days[-1].part.end_ms) == (window.start_ms, window.end_ms)


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 8, 23), (11, 1, 25)])
def test_a_day_is_as_long_as_its_clock_says(month: int, day: int, hours: int) -> None:
    """When the clock changes."""
    window = Window(at(2026, month, day, zone=NEW_YORK), at(2026, month, day + 1, zone=NEW_YORK))

    [only] = local_periods(window, NEW_YORK, "day")

    assert (only.day, only.part, only.share) == (date(2026, month, day), window, 1.0)
    assert window.end_ms - window.start_ms == hours * HOUR_MS
    assert day_count(window, NEW_YORK) == 1.0


def test_months_lie_beside_each_other_whatever_their_length() -> None:
    """Over the end of a year and a February."""
    window = Window(at(2025, 12, 31, 23, zone=NEW_YORK), at(2026, 3, 1, 1, zone=NEW_YORK))

    months = list(local_periods(window, NEW_YORK, "month"))

    assert [one.day for one in months] == [date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)]
    assert [one.part.start_ms for one in months[1:]] == [one.part.end_ms for one in months[:-1]]
    assert [round(one.share, 9) for one in months[1:3]] == [1.0, 1.0]


def test_a_day_that_a_zone_skips_is_no_day() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    window = Window(at(2011, 12, 29, zone=APIA), at(2012, 1, 1, zone=APIA))

    assert [one.day.day for one in local_periods(window, APIA, "day")] == [29, 31]
    assert day_count(window, APIA) == 2.0


@pytest.mark.parametrize("zone", [NEW_YORK, KOLKATA, APIA], ids=str)
@pytest.mark.parametrize("calendar", ["day", "month"])
def test_the_parts_make_up_the_period(zone: ZoneInfo, calendar: str) -> None:
    """Without a gap and without an overlap, over two years."""
    window = Window(at(2011, 6, 3, 7), at(2013, 6, 2, 19))

    parts = [one.part for one in local_periods(window, zone, calendar)]  # type: ignore[arg-type]

    assert [part.start_ms for part in parts[1:]] == [part.end_ms for part in parts[:-1]]
    assert (parts[0].start_ms, parts[-1].end_ms) == (window.start_ms, window.end_ms)
