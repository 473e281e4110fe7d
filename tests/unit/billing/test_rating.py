"""What the readings of a period cost: worked examples, each boundary, and what is refused."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from billing.local_time import local_midnight_ms
from billing.rating import LineKind, Quarter, RatedLine, rate
from billing.tariff import (
    FlatPricing,
    Tariff,
    TariffAssignment,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from common.errors import IntervalCrossesPrice, NoReadings, TariffNotAssigned

KWH = 1_000_000
MINUTE_MS = 60_000
QUARTER_MS = 900_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

FLAT = Tariff("flat-5", "", "INR", FlatPricing(Decimal("5.00")), Decimal(10), Decimal(18))
DEAR = Tariff("flat-9", "", "INR", FlatPricing(Decimal("9.00")), Decimal(20), Decimal(18))
FREE_OF_CHARGE = Tariff("plain", "", "INR", FlatPricing(Decimal(1)), None, Decimal(18))
EVENING = Tariff(
    "tou",
    "",
    "INR",
    TimeOfUsePricing(
        (TimeOfUsePeriod("peak", Decimal("8.00"), (TimeOfUseWindow(frozenset(), 18 * 60, 22 * 60),)),),
        "off-peak",
        Decimal("4.00"),
    ),
    None,
    Decimal(18),
)
TARIFFS = {tariff.tariff_id: tariff for tariff in (FLAT, DEAR, FREE_OF_CHARGE, EVENING)}


def utc_ms(text: str) -> int:
    """Milliseconds since 1970 of an instant such as `2026-03-29T01:00`, UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def quarter(start: str, energy_kwh: str | None, *, minutes: int = 15, reading_count: int = 1) -> Quarter:
    """Readings that start in a quarter-hour and reach `minutes` from its start."""
    start_ms = utc_ms(start)
    milliwatt_hours = None if energy_kwh is None else int(Decimal(energy_kwh) * KWH)
    return Quarter(start_ms, start_ms + minutes * MINUTE_MS, milliwatt_hours, reading_count)


def rated(
    quarters: Iterable[Quarter],
    *assigned: tuple[str, str],
    zone: str = "UTC",
    days: tuple[date, date] = (date(2026, 1, 1), date(2026, 1, 2)),
) -> list[RatedLine]:
    """The lines of meter `m-1` with tariffs assigned from instants on (default: `flat-5` since 2000)."""
    return rate(
        device_id="m-1",
        zone=ZoneInfo(zone),
        start_date=days[0],
        end_date=days[1],
        assignments=[
            TariffAssignment("m-1", tariff_id, utc_ms(start))
            for tariff_id, start in assigned or [("flat-5", "2000-01-01")]
        ],
        tariffs=TARIFFS,
        quarters=quarters,
    )


def shown(lines: Iterable[RatedLine]) -> list[tuple[str, str, Decimal, Decimal, int]]:
    """Tariff, price name, quantity, unit price and reading count of each line."""
    return [
        (line.tariff.tariff_id, line.price_name, line.quantity, line.unit_price, line.reading_count) for line in lines
    ]


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


@pytest.mark.parametrize("quarters", [[], [quarter("2026-01-01T00:00", None)]])
def test_a_period_without_a_reading_to_bill_is_refused(quarters: list[Quarter]) -> None:
    """Nothing measured is not the same as nothing used."""
    with pytest.raises(NoReadings):
        rated(quarters)


def test_a_reading_may_end_at_the_instant_of_a_price_change() -> None:
    """17:00 to 18:00 ends where the peak begins, and is off-peak."""
    (line,) = rated([quarter("2026-01-01T17:00", "1", minutes=60)], ("tou", "2026-01-01"))

    assert line.price_name == "off-peak"


def test_a_reading_that_reaches_over_a_price_change_is_refused_by_its_start() -> None:
    """One minute over 18:00 cannot be priced."""
    late = quarter("2026-01-01T17:45", "1", minutes=16)

    with pytest.raises(IntervalCrossesPrice) as refused:
        rated([quarter("2026-01-01T12:00", "1"), late], ("tou", "2026-01-01"))

    assert refused.value.metadata == {"device_id": "m-1", "start_time": "2026-01-01T17:45:00.000Z"}


def test_a_reading_that_reaches_over_the_period_into_another_price_is_refused() -> None:
    """The last reading may cross the end of the period, but not the change that lies there."""
    last = quarter("2026-01-01T23:45", "1", minutes=30)

    assert rated([last], ("flat-5", "2026-01-01"))[0].quantity == Decimal(1)
    with pytest.raises(IntervalCrossesPrice):
        rated([last], ("flat-5", "2026-01-01"), ("flat-9", "2026-01-02"))


def test_a_reading_that_reaches_over_a_change_of_tariff_is_refused() -> None:
    """Also where the change lies within the quarter-hour, for its readings are not told apart."""
    with pytest.raises(IntervalCrossesPrice):
        rated([quarter("2026-01-01T10:00", "1")], ("flat-5", "2026-01-01"), ("flat-9", "2026-01-01T10:07"))


def test_readings_that_end_before_a_change_of_tariff_in_their_quarter_hour_are_billed() -> None:
    """What ends at 10:07 was used before 10:07."""
    lines = rated(
        [quarter("2026-01-01T10:00", "1", minutes=7)], ("flat-5", "2026-01-01"), ("flat-9", "2026-01-01T10:07")
    )

    assert lines[0].tariff == FLAT


def test_assigning_the_same_tariff_again_is_no_change() -> None:
    """A reading may reach over it."""
    lines = rated([quarter("2026-01-01T10:00", "1")], ("flat-5", "2026-01-01"), ("flat-5", "2026-01-01T10:07"))

    assert lines[0].quantity == Decimal(1)


def test_a_daily_reading_is_billed_flat_and_refused_by_the_clock() -> None:
    """24 hours cross no flat price and both changes of a day."""
    daily = quarter("2026-01-01T00:00", "12.5", minutes=1440)

    assert rated([daily])[0].quantity == Decimal("12.5")
    with pytest.raises(IntervalCrossesPrice):
        rated([daily], ("tou", "2026-01-01"))


@pytest.mark.parametrize("assigned", [("flat-5", "2026-01-01T00:15"), ("flat-5", "2027-01-01")])
def test_a_period_that_begins_without_a_tariff_is_refused(assigned: tuple[str, str]) -> None:
    """Also when its readings all come later."""
    with pytest.raises(TariffNotAssigned) as refused:
        rated([quarter("2026-01-01T12:00", "1")], assigned)

    assert refused.value.metadata["start_time"] == "2026-01-01T00:00:00.000Z"


def test_a_device_without_any_tariff_is_refused() -> None:
    """There is no default tariff."""
    with pytest.raises(TariffNotAssigned):
        rate(
            device_id="m-1",
            zone=ZoneInfo("UTC"),
            start_date=date(2026, 1, 1),
            end_date=date(2026, 1, 2),
            assignments=[],
            tariffs={},
            quarters=[quarter("2026-01-01T00:00", "1")],
        )


def test_energies_far_beyond_28_digits_of_milliwatt_hours_lose_none() -> None:
    """The default precision of decimals would round this sum."""
    huge = 10**29 + 1

    lines = rated([Quarter(utc_ms("2026-01-01T00:00"), utc_ms("2026-01-01T00:15"), huge, 1)])

    assert str(lines[0].quantity) == "100000000000000000000000.000001"
