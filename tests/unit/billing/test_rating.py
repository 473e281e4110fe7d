"""What the readings of a period cost: worked examples."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from billing.tariffs.rated_line import LineKind, Quarter
from billing.tariffs.tariff import IntervalCrossing, TariffClock
from billing.tariffs.time_of_use import clock_zone
from common.local_time import local_midnight_ms
from tests.unit.billing.month_cases import rated as month_rated
from tests.unit.billing.rating_cases import EVENING, FREE_OF_CHARGE, KWH, QUARTER_MS, quarter, rated, shown, utc_ms


def test_flat_energy_is_summed_exactly_and_charged_by_the_day() -> None:
    """0.1 + 0.2 kWh is 0.3 kWh, not 0.30000000000000004, and one day has one daily charge."""
    lines = rated([quarter("2026-01-01T00:00", "0.1", reading_count=15), quarter("2026-01-01T00:15", "0.2")])

    assert [line.kind for line in lines] == [LineKind.ENERGY, LineKind.DAILY_CHARGE]
    assert shown(lines) == [
        ("flat-5", "flat", Decimal("0.3"), Decimal("5.00"), 16),
        ("flat-5", "", Decimal(1), Decimal(10), 0),
    ]


def test_time_of_use_energy_has_a_line_for_each_price_in_order_of_first_use() -> None:
    """Off-peak before 18:00 comes first although its energy goes on after the peak."""
    lines = rated(
        [
            quarter("2026-01-01T17:45", "1"),
            quarter("2026-01-01T18:00", "2"),
            quarter("2026-01-01T21:45", "4"),
            quarter("2026-01-01T22:00", "8"),
        ],
        ("tou", "2026-01-01"),
    )

    assert shown(lines) == [
        ("tou", "off-peak", Decimal(1 + 8), Decimal("4.00"), 2),
        ("tou", "peak", Decimal(2 + 4), Decimal("8.00"), 2),
    ]


def test_energy_is_priced_by_the_local_clock() -> None:
    """18:00 in Kolkata is 12:30 UTC."""
    lines = rated(
        [quarter("2026-01-01T12:15", "1"), quarter("2026-01-01T12:30", "2")],
        ("tou", "2000-01-01"),
        zone="Asia/Kolkata",
    )

    assert [(line.price_name, line.quantity) for line in lines] == [("off-peak", Decimal(1)), ("peak", Decimal(2))]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), "23"),
        ("America/New_York", date(2026, 11, 1), "25"),
        ("Europe/Berlin", date(2026, 3, 29), "23"),
        ("Europe/Berlin", date(2026, 10, 25), "25"),
        ("Australia/Lord_Howe", date(2025, 10, 5), "23.5"),
        ("Australia/Lord_Howe", date(2025, 4, 6), "24.5"),
    ],
)
def test_a_day_with_a_clock_change_bills_every_quarter_hour_once_and_one_day(zone: str, day: date, hours: str) -> None:
    """At a steady 1 kW the energy of the day is its length in hours, four of them peak; the charge is for one day."""
    following = date.fromordinal(day.toordinal() + 1)
    bounds = (local_midnight_ms(day, ZoneInfo(zone)), local_midnight_ms(following, ZoneInfo(zone)))
    quarters = [Quarter(start, start + QUARTER_MS, KWH // 4, 1) for start in range(*bounds, QUARTER_MS)]

    by_clock = rated(quarters, ("tou", "2000-01-01"), zone=zone, days=(day, following))
    flat = rated(quarters, zone=zone, days=(day, following))

    assert {line.price_name: line.quantity for line in by_clock} == {
        "off-peak": Decimal(hours) - 4,
        "peak": Decimal(4),
    }
    assert [line.quantity for line in flat] == [Decimal(hours), Decimal(1)]


def test_a_leap_day_is_billed_like_any_day() -> None:
    """February 2024 has 29 daily charges."""
    lines = rated([quarter("2024-02-29T12:00", "1")], days=(date(2024, 2, 1), date(2024, 3, 1)))

    assert [line.quantity for line in lines] == [Decimal(1), Decimal(29)]


def test_a_day_that_the_zone_skips_is_not_charged() -> None:
    """Samoa went from 29 to 31 December 2011: two days, two charges."""
    lines = rated(
        [quarter("2011-12-30T12:00", "1")],
        zone="Pacific/Apia",
        days=(date(2011, 12, 29), date(2012, 1, 1)),
    )

    assert lines[-1].quantity == Decimal(2)


def test_another_tariff_from_a_midnight_on_takes_energy_and_days_from_there() -> None:
    """Two days at 5.00, then one at 9.00, each with its own daily charge."""
    lines = rated(
        [quarter("2026-01-01T12:00", "1"), quarter("2026-01-02T23:45", "2"), quarter("2026-01-03T00:00", "4")],
        ("flat-5", "2026-01-01"),
        ("flat-9", "2026-01-03"),
        days=(date(2026, 1, 1), date(2026, 1, 4)),
    )

    assert shown(lines) == [
        ("flat-5", "flat", Decimal(3), Decimal("5.00"), 2),
        ("flat-9", "flat", Decimal(4), Decimal("9.00"), 1),
        ("flat-5", "", Decimal(2), Decimal(10), 0),
        ("flat-9", "", Decimal(1), Decimal(20), 0),
    ]


def test_a_day_is_charged_by_the_tariff_it_began_under() -> None:
    """A change at noon moves the energy at noon, the daily charge at the next midnight."""
    lines = rated(
        [quarter("2026-01-01T11:45", "1"), quarter("2026-01-01T12:00", "2")],
        ("flat-5", "2026-01-01"),
        ("flat-9", "2026-01-01T12:00"),
    )

    assert [(line.tariff.tariff_id, line.quantity) for line in lines] == [
        ("flat-5", Decimal(1)),
        ("flat-9", Decimal(2)),
        ("flat-5", Decimal(1)),
    ]


def test_going_back_to_a_tariff_goes_on_with_its_lines() -> None:
    """5.00, 9.00 and 5.00 again make two energy lines."""
    lines = rated(
        [quarter("2026-01-01T00:00", "1"), quarter("2026-01-01T08:00", "2"), quarter("2026-01-01T16:00", "4")],
        ("flat-5", "2026-01-01"),
        ("flat-9", "2026-01-01T08:00"),
        ("flat-5", "2026-01-01T16:00"),
    )

    assert [line.quantity for line in lines if line.kind is LineKind.ENERGY] == [Decimal(5), Decimal(2)]


def test_a_tariff_without_a_daily_charge_has_no_line_for_it() -> None:
    """Absent is no charge."""
    lines = rated([quarter("2026-01-01T00:00", "1")], ("plain", "2026-01-01"))

    assert [line.kind for line in lines] == [LineKind.ENERGY]


def test_zero_energy_is_billed_as_zero() -> None:
    """A meter that measured nothing used was read, and the line says so."""
    (energy, _) = rated([quarter("2026-01-01T00:00", "0", reading_count=3)])

    assert (energy.quantity, energy.reading_count) == (Decimal(0), 3)


def test_a_reading_without_import_is_never_billed() -> None:
    """Power alone adds neither energy nor a reading to the bill, and may cross a price change."""
    lines = rated(
        [quarter("2026-01-01T00:00", "1"), quarter("2026-01-01T17:45", None, minutes=60)],
        ("tou", "2026-01-01"),
    )

    assert shown(lines) == [("tou", "off-peak", Decimal(1), Decimal("4.00"), 1)]


def test_energies_far_beyond_28_digits_of_milliwatt_hours_lose_none() -> None:
    """The default precision of decimals would round this sum."""
    huge = 10**29 + 1

    lines = rated([Quarter(utc_ms("2026-01-01T00:00"), utc_ms("2026-01-01T00:15"), huge, 1)])

    assert str(lines[0].quantity) == "100000000000000000000000.000001"


def test_a_reading_over_a_change_of_price_is_divided_by_time_where_the_tariff_says_so() -> None:
    """An hour from 17:45 with 3 kWh: a quarter of it before the peak begins at 18:00."""
    splitting = replace(EVENING, tariff_id="splitting", interval_crossing=IntervalCrossing.SPLIT)

    lines = month_rated([quarter("2026-01-01T17:45", "3", minutes=60)], splitting)

    assert [(line.price_name, line.quantity, line.reading_count) for line in lines] == [
        ("off-peak", Decimal("0.75"), 1),
        ("peak", Decimal("2.25"), 0),
    ]


def test_by_standard_time_the_peak_is_an_hour_later_on_the_wall_in_summer() -> None:
    """In Berlin 18:00 of standard time is 17:00 UTC all year; the clock on the wall then shows 19:00 in July."""
    standard = replace(EVENING, tariff_id="standard", clock=TariffClock.STANDARD)
    quarters = [quarter("2026-07-01T16:45", "1"), quarter("2026-07-01T17:00", "2")]
    days = (date(2026, 7, 1), date(2026, 7, 2))

    by_standard = month_rated(quarters, standard, days=days, zone=ZoneInfo("Europe/Berlin"))
    by_wall = month_rated(quarters, EVENING, days=days, zone=ZoneInfo("Europe/Berlin"))

    assert {line.price_name: line.quantity for line in by_standard} == {"off-peak": Decimal(1), "peak": Decimal(2)}
    assert {line.price_name: line.quantity for line in by_wall} == {"peak": Decimal(3)}


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        ("Europe/Berlin", 1),
        ("Europe/Dublin", 0),
        ("America/New_York", -5),
        ("Australia/Lord_Howe", 10.5),
        ("Asia/Kolkata", 5.5),
    ],
)
def test_standard_time_is_the_time_of_the_winter(zone: str, hours: float) -> None:
    """Also south of the equator, and where the law calls the summer's time the standard one."""
    clock = clock_zone(TariffClock.STANDARD, ZoneInfo(zone), utc_ms("2026-06-15"))

    assert clock.utcoffset(None) == timedelta(hours=hours)


def test_monthly_charges_are_due_by_the_days_that_begin_under_a_tariff() -> None:
    """Two whole months in one line, ten days of March in another."""
    charged = replace(FREE_OF_CHARGE, tariff_id="charged", monthly_charge=Decimal(20))
    days = (date(2026, 1, 1), date(2026, 3, 11))

    lines = month_rated([quarter("2026-01-01T17:45", "3")], charged, days=days)[1:]

    assert [(line.kind, line.quantity, line.share) for line in lines] == [
        (LineKind.MONTHLY_CHARGE, Decimal(2), Fraction(1)),
        (LineKind.MONTHLY_CHARGE, Decimal(1), Fraction(10, 31)),
    ]
