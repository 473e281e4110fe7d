"""Charges for the greatest power: windows, ties, estimates, clocks and ratchets."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.tariffs.rated_line import LineKind, Quarter, RatedLine
from billing.tariffs.tariff import DemandCharge, FlatPricing, Tariff, TimeOfUseWindow
from tests.unit.billing.month_cases import rated, tariff, used
from tests.unit.billing.rating_cases import utc_ms

PRICE = Decimal(12)
PLAIN = DemandCharge("all", PRICE)
WORKDAYS = TimeOfUseWindow(frozenset(range(5)), 9 * 60, 17 * 60)


def charging(*charges: DemandCharge) -> Tariff:
    """A tariff with demand charges."""
    return replace(tariff(FlatPricing(Decimal(0))), demand_charges=charges)


def demands(lines: list[RatedLine]) -> list[tuple[str, str, str | None]]:
    """Name, kW and the time of the peak of each demand line."""
    return [
        (line.price_name, f"{line.quantity:f}", iso(line.peak_start_ms))
        for line in lines
        if line.kind is LineKind.DEMAND
    ]


def iso(instant_ms: int | None) -> str | None:
    """An instant of January 2026 in short."""
    if instant_ms is None:
        return None
    minutes = (instant_ms - utc_ms("2026-01-01")) // 60_000
    return f"{minutes // 1440 + 1:02} {minutes // 60 % 24:02}:{minutes % 60:02}"


def test_the_greatest_quarter_hour_is_billed_and_the_earliest_of_equal_ones_named() -> None:
    """2 kWh within a quarter-hour are a mean of 8 kW: 8 * 12.00 = 96.00."""
    quarters = [used("2026-01-05T10:00", "1"), used("2026-01-06T10:00", "2"), used("2026-01-07T10:00", "2")]

    lines = rated(quarters, charging(PLAIN))

    assert demands(lines) == [("all", "8.000000", "06 10:00")]
    assert lines[-1].exact_amount == 96


def test_finer_data_is_brought_together_to_the_window() -> None:
    """8 kW for a quarter-hour and 0 for the next are 4 kW over the half-hour; windows begin at the midnight."""
    quarters = [used("2026-01-05T10:00", "2"), used("2026-01-05T10:15", "0"), used("2026-01-05T10:45", "1.5")]

    assert demands(rated(quarters, charging(replace(PLAIN, window_minutes=30)))) == [("all", "4.000000", "05 10:00")]
    assert demands(rated(quarters, charging(replace(PLAIN, window_minutes=60)))) == [("all", "3.500000", "05 10:00")]


def test_a_reading_longer_than_the_window_counts_with_its_mean() -> None:
    """6 kWh over an hour are 6 kW, not 24."""
    assert demands(rated([used("2026-01-05T10:00", "6", minutes=60)], charging(PLAIN))) == [
        ("all", "6.000000", "05 10:00")
    ]


def test_charges_for_some_hours_stand_beside_the_one_for_all() -> None:
    """Saturday's peak counts for the one only: the 10th is a Saturday."""
    quarters = [used("2026-01-05T10:00", "1"), used("2026-01-10T10:00", "3"), used("2026-01-05T17:00", "2")]

    lines = rated(quarters, charging(PLAIN, replace(PLAIN, name="workdays", windows=(WORKDAYS,))))

    assert demands(lines) == [("all", "12.000000", "10 10:00"), ("workdays", "4.000000", "05 10:00")]


def test_a_month_without_a_window_of_a_charge_has_no_line_of_it() -> None:
    """A summer's demand is not charged in January; one of January without a reading in its windows is 0."""
    summer = replace(PLAIN, windows=(replace(WORKDAYS, months=frozenset({6, 7, 8})),))
    sundays = replace(PLAIN, windows=(replace(WORKDAYS, days_of_week=frozenset({6})),))
    quarters = [used("2026-01-05T10:00", "1")]

    assert demands(rated(quarters, charging(summer))) == []
    assert demands(rated(quarters, charging(sundays))) == [("all", "0", None)]


@pytest.mark.parametrize(("estimates_count", "kilowatts"), [(False, "4.000000"), (True, "8.000000")])
def test_an_estimate_sets_the_peak_only_where_it_may(estimates_count: bool, kilowatts: str) -> None:
    """It is a setting of the charge."""
    quarters = [used("2026-01-05T10:00", "1"), used("2026-01-06T10:00", "2", estimated=1)]

    lines = rated(quarters, charging(replace(PLAIN, estimates_count=estimates_count)))

    assert [kilowatt for _, kilowatt, _ in demands(lines)] == [kilowatts]


def test_of_a_part_of_a_month_that_part_of_the_price_is_due() -> None:
    """Of 31 days ten: 8 kW * 12.00 * 10/31."""
    (line,) = [
        line
        for line in rated([used("2026-01-05T10:00", "2")], charging(PLAIN), days=(date(2026, 1, 1), date(2026, 1, 11)))
        if line.kind is LineKind.DEMAND
    ]

    assert (line.share, line.exact_amount) == (Fraction(10, 31), Fraction(960, 31))


def of_months(*kwh: str) -> list[Quarter]:
    """A quarter-hour on the 5th of November, December, January ..."""
    starts = ["2025-11-05T10:00", "2025-12-05T10:00", "2026-01-05T10:00"]
    return [used(start, energy) for start, energy in zip(starts, kwh, strict=True)]


@pytest.mark.parametrize(
    ("change", "lookback_months", "kilowatts"),
    [
        # The new price holds from January on: the peak of November under the old one still counts.
        ("2026-01-01T00:00", 2, "32.000000"),
        # From the middle of December on: that month is one, though two tariffs share it.
        ("2025-12-15T00:00", 2, "32.000000"),
        ("2025-12-15T00:00", 1, "16.000000"),
        # From the middle of January on: what January measured before is no month before, and is billed by the other.
        ("2026-01-10T00:00", 2, "32.000000"),
    ],
)
def test_a_new_price_does_not_undo_a_ratchet(change: str, lookback_months: int, kilowatts: str) -> None:
    """Another price is another tariff; the meter, and what it drew, are the same."""
    old = charging(replace(PLAIN, ratchet_percent=Decimal(80), lookback_months=lookback_months))
    new = replace(old, tariff_id="new", demand_charges=(replace(old.demand_charges[0], price_per_kw=Decimal(15)),))

    lines = rated(of_months("10", "5", "2"), old, new, changes=[change], history_months=2)

    (of_new,) = [line for line in lines if line.kind is LineKind.DEMAND and line.tariff == new]
    assert f"{of_new.quantity:f}" == kilowatts


def test_a_ratchet_goes_back_by_the_calendar_where_months_had_no_tariff() -> None:
    """November is two months before January, also when nothing was billed in December."""
    ratchet = charging(replace(PLAIN, ratchet_percent=Decimal(80), lookback_months=1))
    none = replace(ratchet, tariff_id="")
    quarters = [used("2025-11-05T10:00", "10"), used("2026-01-05T10:00", "2")]

    lines = rated(quarters, ratchet, none, ratchet, changes=["2025-12-01T00:00", "2026-01-01T00:00"], history_months=2)

    assert [kilowatt for _, kilowatt, _ in demands(lines)] == ["8.000000"]


def test_a_ratchet_looks_at_the_hours_of_its_own_charge_under_any_tariff_before() -> None:
    """November's peak was on a Saturday, when the new charge does not count; December's was on a workday."""
    old = charging(PLAIN)
    workdays = replace(PLAIN, windows=(WORKDAYS,), ratchet_percent=Decimal(80), lookback_months=2)
    new = replace(charging(workdays), tariff_id="new")
    quarters = [used("2025-11-08T10:00", "10"), used("2025-12-05T10:00", "5"), used("2026-01-05T10:00", "2")]

    lines = rated(quarters, old, new, changes=["2026-01-01T00:00"], history_months=2)

    assert [kilowatt for _, kilowatt, _ in demands(lines)] == ["16.000000"]


@pytest.mark.parametrize(
    ("kwh", "lookback_months", "kilowatts"),
    [
        # 80 % of November's 40 kW are 32 kW, more than January's 8.
        (("10", "5", "2"), 2, "32.000000"),
        # Of December's 20 kW 16, for November is too long ago.
        (("10", "5", "2"), 1, "16.000000"),
        # January's own 40 kW are more than 80 % of any.
        (("10", "5", "10"), 2, "40.000000"),
    ],
)
def test_a_ratchet_bills_a_part_of_the_greatest_demand_of_the_months_before(
    kwh: tuple[str, ...], lookback_months: int, kilowatts: str
) -> None:
    """At least 80 per cent of it."""
    ratchet = charging(replace(PLAIN, ratchet_percent=Decimal(80), lookback_months=lookback_months))

    lines = rated(of_months(*kwh), ratchet, history_months=2)

    assert [kilowatt for _, kilowatt, _ in demands(lines)] == [kilowatts]
    assert sum(line.reading_count for line in lines) == 1
