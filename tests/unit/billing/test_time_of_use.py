"""Prices by the clock: which one holds when, and when it changes."""

import itertools
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.tariffs.tariff import (
    QUARTER_MS,
    DynamicPricing,
    FlatPricing,
    Price,
    Pricing,
    Tariff,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariffs.time_of_use import price_at, price_segments
from common.local_time import local_midnight_ms, wall_clock

HOUR_MS = 3_600_000
EVERY_DAY: frozenset[int] = frozenset()
WEEKDAYS = frozenset(range(5))

OFF_PEAK = Price("off-peak", Decimal("0.10"))
PEAK = Price("peak", Decimal("0.30"))
NIGHT = Price("night", Decimal("0.05"))


def tariff(*periods: TimeOfUsePeriod, holidays: frozenset[date] = frozenset()) -> Tariff:
    """A tariff with these periods, off-peak in the rest of the time."""
    pricing = TimeOfUsePricing(periods, OFF_PEAK.name, OFF_PEAK.per_kwh, holidays)
    return Tariff("tou", "", "USD", pricing, None, Decimal(18))


def period(price: Price, *windows: TimeOfUseWindow) -> TimeOfUsePeriod:
    """A period of a price in some windows."""
    return TimeOfUsePeriod(price.name, price.per_kwh, windows)


EVENING_PEAK = tariff(period(PEAK, TimeOfUseWindow(WEEKDAYS, 17 * 60, 21 * 60)))
NIGHT_TARIFF = tariff(period(NIGHT, TimeOfUseWindow(EVERY_DAY, 60, 180)))


def by_clock(made: Tariff) -> Pricing:
    """The prices of a tariff that go by the clock or never change."""
    assert not isinstance(made.pricing, DynamicPricing)
    return made.pricing


def utc_ms(text: str) -> int:
    """Milliseconds since 1970 of an instant such as `2026-03-29T01:00`, UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("weekday", "minute", "price"),
    [
        (0, 17 * 60 - 1, OFF_PEAK),
        (0, 17 * 60, PEAK),
        (4, 21 * 60 - 1, PEAK),
        (4, 21 * 60, OFF_PEAK),
        (5, 18 * 60, OFF_PEAK),
        (6, 0, OFF_PEAK),
    ],
)
def test_a_window_begins_at_its_first_minute_and_ends_before_its_last(weekday: int, minute: int, price: Price) -> None:
    """Peak is Monday to Friday from 17:00 up to, and without, 21:00."""
    assert price_at(by_clock(EVENING_PEAK), 1, weekday, minute) == price


def test_a_window_without_days_applies_on_every_day() -> None:
    """No day named means all seven."""
    assert {price_at(by_clock(NIGHT_TARIFF), 1, weekday, 60) for weekday in range(7)} == {NIGHT}


def test_a_window_may_last_the_whole_day() -> None:
    """Minutes 0 to 1440 leave nothing to the default price."""
    weekend = tariff(period(NIGHT, TimeOfUseWindow(frozenset({5, 6}), 0, 1440)))

    assert {price_at(by_clock(weekend), 1, 6, minute) for minute in range(1440)} == {NIGHT}


def test_where_windows_overlap_the_earlier_period_counts() -> None:
    """The order of the periods decides, not that of the windows in time."""
    evening = TimeOfUseWindow(EVERY_DAY, 18 * 60, 20 * 60)
    all_day = TimeOfUseWindow(EVERY_DAY, 0, 1440)

    assert price_at(by_clock(tariff(period(PEAK, evening), period(NIGHT, all_day))), 1, 0, 19 * 60) == PEAK
    assert price_at(by_clock(tariff(period(NIGHT, all_day), period(PEAK, evening))), 1, 0, 19 * 60) == NIGHT


def test_a_season_begins_and_ends_at_local_midnight() -> None:
    """Peak on weekday evenings of June to September in New York: not on Friday, 29 May, but on Monday, 1 June 2026."""
    summer = frozenset({6, 7, 8, 9})
    seasonal = tariff(period(PEAK, TimeOfUseWindow(WEEKDAYS, 17 * 60, 21 * 60, summer)))

    segments = list(
        price_segments(
            by_clock(seasonal), ZoneInfo("America/New_York"), utc_ms("2026-05-29T04:00"), utc_ms("2026-06-02T04:00")
        )
    )

    # 17:00 to 21:00 of New York's summer time is 21:00 to 01:00 UTC.
    assert [segment[:2] for segment in segments if segment.price == PEAK] == [
        (utc_ms("2026-06-01T21:00"), utc_ms("2026-06-02T01:00"))
    ]


def test_a_season_that_begins_within_a_window_cuts_it() -> None:
    """A night price from 22:00 to 24:00 and 00:00 to 06:00 in winter begins with 1 November, at midnight of Berlin."""
    winter = frozenset({11, 12, 1, 2})
    late, early = TimeOfUseWindow(EVERY_DAY, 1320, 1440, winter), TimeOfUseWindow(EVERY_DAY, 0, 360, winter)
    seasonal = tariff(period(NIGHT, late, early))

    segments = list(
        price_segments(
            by_clock(seasonal), ZoneInfo("Europe/Berlin"), utc_ms("2026-10-31T11:00"), utc_ms("2026-11-01T11:00")
        )
    )

    assert [segment[:2] for segment in segments if segment.price == NIGHT] == [
        (utc_ms("2026-10-31T23:00"), utc_ms("2026-11-01T05:00"))
    ]


def test_a_holiday_counts_as_a_sunday() -> None:
    """Republic Day of India, Monday 26 January 2026: no peak, and the weekend's night price all day."""
    weekend_night = TimeOfUseWindow(frozenset({5, 6}), 0, 1440)
    peak = TimeOfUseWindow(WEEKDAYS, 17 * 60, 21 * 60)
    with_holiday = tariff(period(PEAK, peak), period(NIGHT, weekend_night), holidays=frozenset({date(2026, 1, 26)}))
    midnight_ms = utc_ms("2026-01-25T18:30")

    segments = list(
        price_segments(by_clock(with_holiday), ZoneInfo("Asia/Kolkata"), midnight_ms, midnight_ms + 48 * HOUR_MS)
    )

    assert [(segment.price, (segment.end_ms - segment.start_ms) / HOUR_MS) for segment in segments] == [
        (NIGHT, 24),
        (OFF_PEAK, 17),
        (PEAK, 4),
        (OFF_PEAK, 3),
    ]


def test_a_flat_tariff_has_one_price_without_a_change() -> None:
    """Whatever the zone does, the price stays."""
    flat = Tariff("flat", "", "INR", FlatPricing(Decimal("5.00")), None, Decimal(18))
    start_ms, end_ms = utc_ms("2026-01-01T00:00") + 1, utc_ms("2027-01-01T00:00") + 2

    (segment,) = price_segments(by_clock(flat), ZoneInfo("Europe/Berlin"), start_ms, end_ms)

    assert segment == (start_ms, end_ms, Price("flat", Decimal("5.00")))


def test_an_empty_span_has_no_segments() -> None:
    """Nothing lasts no time."""
    assert list(price_segments(by_clock(EVENING_PEAK), ZoneInfo("UTC"), 0, 0)) == []


def test_a_price_changes_when_the_local_clock_says_so() -> None:
    """17:00 in Kathmandu (UTC+5:45) is 11:15 UTC."""
    segments = list(
        price_segments(
            by_clock(EVENING_PEAK), ZoneInfo("Asia/Kathmandu"), utc_ms("2026-01-05T00:00"), utc_ms("2026-01-06T00:00")
        )
    )

    assert segments == [
        (utc_ms("2026-01-05T00:00"), utc_ms("2026-01-05T11:15"), OFF_PEAK),
        (utc_ms("2026-01-05T11:15"), utc_ms("2026-01-05T15:15"), PEAK),
        (utc_ms("2026-01-05T15:15"), utc_ms("2026-01-06T00:00"), OFF_PEAK),
    ]


def test_a_price_runs_on_over_days_without_a_change() -> None:
    """From Friday evening to Monday evening there is no peak."""
    friday, monday = utc_ms("2026-01-09T22:00"), utc_ms("2026-01-12T17:00")

    first, *_ = price_segments(by_clock(EVENING_PEAK), ZoneInfo("UTC"), friday, monday + HOUR_MS)

    assert first == (friday, monday, OFF_PEAK)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        # The window is 01:00 to 03:00. In spring New York skips 02:00-03:00, in autumn 01:00-02:00 comes twice.
        ("America/New_York", date(2026, 3, 8), 1),
        ("America/New_York", date(2026, 11, 1), 3),
        ("America/New_York", date(2026, 7, 1), 2),
        # Berlin skips 02:00-03:00 in spring and has it twice in autumn.
        ("Europe/Berlin", date(2026, 3, 29), 1),
        ("Europe/Berlin", date(2026, 10, 25), 3),
        # Lord Howe Island skips 02:00-02:30 in spring and has 01:30-02:00 twice in autumn.
        ("Australia/Lord_Howe", date(2025, 10, 5), 1.5),
        ("Australia/Lord_Howe", date(2025, 4, 6), 2.5),
        # Sao Paulo skipped 00:00-01:00, which is outside the window.
        ("America/Sao_Paulo", date(2018, 11, 4), 2),
    ],
)
def test_a_window_lasts_as_long_as_the_clock_shows_it(zone: str, day: date, hours: float) -> None:
    """A skipped hour of the window is not priced, a repeated one is priced twice."""
    start_ms = local_midnight_ms(day, ZoneInfo(zone))

    segments = list(price_segments(by_clock(NIGHT_TARIFF), ZoneInfo(zone), start_ms, start_ms + 20 * HOUR_MS))

    night_ms = sum(segment.end_ms - segment.start_ms for segment in segments if segment.price == NIGHT)
    assert night_ms / HOUR_MS == hours


def test_a_window_at_the_repeated_hour_is_interrupted() -> None:
    """A window of 02:00 to 02:30 in Berlin holds twice on 25 October 2026, half an hour apart."""
    half_hour = tariff(period(NIGHT, TimeOfUseWindow(EVERY_DAY, 120, 150)))
    start_ms = utc_ms("2026-10-24T22:00")

    segments = list(price_segments(by_clock(half_hour), ZoneInfo("Europe/Berlin"), start_ms, start_ms + 10 * HOUR_MS))

    assert [segment[:2] for segment in segments if segment.price == NIGHT] == [
        (utc_ms("2026-10-25T00:00"), utc_ms("2026-10-25T00:30")),
        (utc_ms("2026-10-25T01:00"), utc_ms("2026-10-25T01:30")),
    ]


@settings(deadline=None, derandomize=True)
@given(
    zone=st.sampled_from(
        ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/Berlin", "America/Sao_Paulo"]
    ).map(ZoneInfo),
    start_quarter=st.integers(utc_ms("2018-01-01T00:00") // QUARTER_MS, utc_ms("2027-01-01T00:00") // QUARTER_MS),
    quarters=st.integers(1, 400),
    windows=st.lists(
        st.tuples(
            st.frozensets(st.integers(0, 6)),
            st.integers(0, 95),
            st.integers(1, 96),
            st.frozensets(st.integers(1, 12)),
        ).filter(lambda drawn: drawn[1] < drawn[2]),
        min_size=1,
        max_size=4,
    ),
    has_holidays=st.booleans(),
)
def test_the_segments_say_for_each_quarter_hour_what_the_clock_says(
    zone: ZoneInfo,
    start_quarter: int,
    quarters: int,
    windows: list[tuple[frozenset[int], int, int, frozenset[int]]],
    has_holidays: bool,
) -> None:
    """Segments touch, differ from their neighbours, and hold the price that the wall clock has at each quarter-hour."""
    start_ms = start_quarter * QUARTER_MS
    holidays = frozenset({wall_clock(start_ms + HOUR_MS * 30, zone).day} if has_holidays else ())
    drawn = tariff(
        period(PEAK, *(TimeOfUseWindow(days, 15 * first, 15 * last, months) for days, first, last, months in windows)),
        holidays=holidays,
    )
    start_ms, end_ms = start_quarter * QUARTER_MS, (start_quarter + quarters) * QUARTER_MS

    segments = list(price_segments(by_clock(drawn), zone, start_ms, end_ms))

    prices = [segment.price for segment in segments for _ in range((segment.end_ms - segment.start_ms) // QUARTER_MS)]
    shown = (wall_clock(start_ms + index * QUARTER_MS, zone) for index in range(quarters))
    assert prices == [
        price_at(by_clock(drawn), clock.day.month, 6 if clock.day in holidays else clock.weekday, clock.minute)
        for clock in shown
    ]
    assert (segments[0].start_ms, segments[-1].end_ms) == (start_ms, end_ms)
    assert all(one.price != other.price for one, other in itertools.pairwise(segments))
