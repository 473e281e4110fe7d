"""The days of a site: how long they are, where they begin, and what its clock shows."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.local_time import local_day, local_day_of, local_days, local_midnight_ms, wall_clock

HOUR_MS = 3_600_000

ZONES = (
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
    "UTC",
)


def utc_ms(text: str) -> int:
    """Milliseconds since 1970 of an instant such as `2026-03-29T01:00`, UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("America/New_York", date(2026, 6, 1), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2025, 10, 5), 23.5),
        ("Australia/Lord_Howe", date(2025, 4, 6), 24.5),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),
        ("America/Sao_Paulo", date(2018, 2, 17), 25),
        ("Africa/Cairo", date(2023, 4, 28), 23),
        ("America/Havana", date(2023, 11, 5), 25),
        ("Asia/Kolkata", date(2026, 3, 29), 24),
        ("Asia/Kathmandu", date(2026, 3, 29), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),
        ("America/Toronto", date(1919, 3, 30), 23.5),
    ],
)
def test_a_day_lasts_as_long_as_the_clock_changes_make_it(zone: str, day: date, hours: float) -> None:
    """Days with a clock change have 23, 25, 23.5 or 24.5 hours, a skipped one none."""
    _, start_ms, end_ms = local_day(day, ZoneInfo(zone))

    assert (end_ms - start_ms) / HOUR_MS == hours


@pytest.mark.parametrize(
    ("zone", "day", "midnight"),
    [
        # Eastern Standard Time is UTC-5.
        ("America/New_York", date(2026, 1, 15), "2026-01-15T05:00"),
        ("America/New_York", date(2026, 7, 15), "2026-07-15T04:00"),
        # Offsets of half and three quarters of an hour.
        ("Asia/Kolkata", date(2026, 1, 1), "2025-12-31T18:30"),
        ("Asia/Kathmandu", date(2026, 1, 1), "2025-12-31T18:15"),
        # The clock goes from 00:00 (UTC-3) to 01:00 (UTC-2): the day begins at 01:00.
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00"),
        ("Africa/Cairo", date(2023, 4, 28), "2023-04-27T22:00"),
        # The clock goes from 01:00 (UTC-4) back to 00:00 (UTC-5): the first 00:00 begins the day.
        ("America/Havana", date(2023, 11, 5), "2023-11-05T04:00"),
        # The clock goes from 23:30 (UTC-5) to 00:30 (UTC-4): the jump, not 00:00 of either offset.
        ("America/Toronto", date(1919, 3, 31), "1919-03-31T04:30"),
        # The zone crosses the date line and has no 30 December: the day begins and ends where the 31st begins.
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00"),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00"),
    ],
)
def test_midnight_is_the_first_instant_of_the_local_day(zone: str, day: date, midnight: str) -> None:
    """Midnights that come twice or not at all have one definite instant."""
    assert local_midnight_ms(day, ZoneInfo(zone)) == utc_ms(midnight)


@pytest.mark.parametrize("zone", ["Africa/Cairo", "America/Sao_Paulo", "America/Toronto", "Asia/Kathmandu"])
@pytest.mark.parametrize("day", [date(1919, 3, 31), date(2018, 11, 4), date(2023, 4, 28)])
def test_a_millisecond_before_midnight_is_the_day_before(zone: str, day: date) -> None:
    """Midnight is the first instant of its date: the instant before shows an earlier one."""
    midnight_ms = local_midnight_ms(day, ZoneInfo(zone))

    assert wall_clock(midnight_ms, ZoneInfo(zone)).day == day
    assert wall_clock(midnight_ms - 1, ZoneInfo(zone)).day < day


@pytest.mark.parametrize(
    ("zone", "instant", "weekday", "minute"),
    [
        ("Asia/Kolkata", "2026-01-05T00:00", 0, 330),
        ("Asia/Kathmandu", "2026-01-04T18:15", 0, 0),
        # 01:30 comes twice in New York on 1 November 2026, at 05:30 and 06:30 UTC.
        ("America/New_York", "2026-11-01T05:30", 6, 90),
        ("America/New_York", "2026-11-01T06:30", 6, 90),
        # 02:00 to 03:00 does not come on 8 March 2026.
        ("America/New_York", "2026-03-08T06:59", 6, 119),
        ("America/New_York", "2026-03-08T07:00", 6, 180),
        ("Australia/Lord_Howe", "2025-04-05T14:59", 6, 119),
        ("Australia/Lord_Howe", "2025-04-05T15:00", 6, 90),
    ],
)
def test_the_wall_clock_shows_the_local_weekday_and_minute(zone: str, instant: str, weekday: int, minute: int) -> None:
    """Weekday and minute are those that a person at the site reads off."""
    shown = wall_clock(utc_ms(instant), ZoneInfo(zone))

    assert (shown.weekday, shown.minute) == (weekday, minute)


def test_the_milliseconds_of_a_minute_belong_to_it() -> None:
    """The last millisecond of a day is in its last minute."""
    shown = wall_clock(utc_ms("2026-01-02T00:00") - 1, ZoneInfo("UTC"))

    assert (shown.day, shown.minute) == (date(2026, 1, 1), 1439)


@pytest.mark.parametrize("zone", ZONES)
def test_the_days_of_a_year_leave_no_gap_and_do_not_overlap(zone: str) -> None:
    """Each day ends where the next begins, from the first midnight to the last."""
    start, end = date(2010, 12, 1), date(2012, 2, 1)

    days = list(local_days(start, end, ZoneInfo(zone)))

    assert days[0].start_ms == local_midnight_ms(start, ZoneInfo(zone))
    assert days[-1].end_ms == local_midnight_ms(end, ZoneInfo(zone))
    assert all(day.end_ms == following.start_ms for day, following in itertools.pairwise(days))


def test_a_leap_year_has_its_leap_day() -> None:
    """29 February is a day like others."""
    days = [day.day for day in local_days(date(2024, 2, 28), date(2024, 3, 2), ZoneInfo("Europe/Berlin"))]

    assert days == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]


def test_a_day_that_the_zone_skips_is_not_among_its_days() -> None:
    """Samoa had no 30 December 2011."""
    days = [day.day for day in local_days(date(2011, 12, 29), date(2012, 1, 1), ZoneInfo("Pacific/Apia"))]

    assert days == [date(2011, 12, 29), date(2011, 12, 31)]


@settings(deadline=None, derandomize=True)
@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    instant=st.datetimes(datetime(1972, 2, 1), datetime(2037, 12, 1)),  # noqa: DTZ001 - hypothesis wants naive bounds
)
def test_every_instant_lies_in_its_day(zone: ZoneInfo, instant: datetime) -> None:
    """The bounds of the day of an instant surround it."""
    instant_ms = (instant - datetime(1970, 1, 1)) // timedelta(milliseconds=1)  # noqa: DTZ001 - both are naive UTC

    day = local_day_of(instant_ms, zone)

    assert day.start_ms <= instant_ms < day.end_ms


def test_a_date_that_comes_back_after_midnight_belongs_to_the_day_that_has_begun() -> None:
    """Newfoundland set its clock back at 00:01, so that 23:30 of the day before came again."""
    zone, again = ZoneInfo("America/St_Johns"), utc_ms("2010-11-07T03:00")

    shown, day = wall_clock(again, zone), local_day_of(again, zone)

    assert (shown.day, shown.minute) == (date(2010, 11, 6), 23 * 60 + 30)
    assert day.day == date(2010, 11, 7)
