"""The plain recomputation that the demonstration holds against its bill."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from loadgen.demo_bill import LocalDays
from loadgen.demo_checks import differences, recompute

# 2026-03-01T00:00 in India is 18:30 UTC of the day before.
DAY = LocalDays.around(1_772_303_400_000, 1_772_303_400_000 + 1, "Asia/Kolkata")
HOUR_MS = 3_600_000


def test_energy_is_priced_by_the_local_hour() -> None:
    """From 17 to 22 o'clock in India is peak, whatever the hour in UTC."""
    hours = [0, 16, 17, 21, 22, 23]
    readings = [(DAY.start_ms + hour * HOUR_MS, 1.0) for hour in hours]

    bill = recompute(readings, time_zone="Asia/Kolkata", days=1)

    assert bill.energy_kwh == {"off-peak": Decimal("4.0"), "peak": Decimal("2.0")}
    assert bill.energy_amounts == {"off-peak": Decimal("20.00"), "peak": Decimal("17.00")}


def test_each_line_is_rounded_half_up_and_tax_once_on_their_sum() -> None:
    """By hand: 0.001 kWh at 5.00 is 0.005, so 0.01; with the daily charge 3.01; 18 % is 0.5418, so 0.54."""
    readings = [(DAY.start_ms, 0.001)]

    bill = recompute(readings, time_zone="Asia/Kolkata", days=1)

    assert bill.energy_amounts == {"off-peak": Decimal("0.01")}
    assert bill.daily_charges == Decimal("3.00")
    assert (bill.tax, bill.total) == (Decimal("0.54"), Decimal("3.55"))


def test_many_small_energies_add_up_without_the_error_of_floats() -> None:
    """1440 times 0.1 kWh is 144 kWh exactly, which a float sum is not."""
    readings = [(DAY.start_ms, 0.1)] * 1440

    bill = recompute(readings, time_zone="Asia/Kolkata", days=1)

    assert bill.energy_kwh == {"off-peak": Decimal(144)}


def test_equal_bills_have_no_differences_whatever_their_trailing_zeros() -> None:
    """Decimals are compared as numbers."""
    plain = recompute([(DAY.start_ms, 1.5)], time_zone="Asia/Kolkata", days=1)
    shown = replace(plain, energy_kwh={"off-peak": Decimal("1.500000")})

    assert differences(plain, shown) == []


def test_a_single_paisa_is_found() -> None:
    """A total that is off by 0.01 is named with both figures."""
    plain = recompute([(DAY.start_ms, 1.5)], time_zone="Asia/Kolkata", days=1)
    shown = replace(plain, total=plain.total + Decimal("0.01"))

    found = differences(plain, shown)

    assert found == ["the bill's total is 12.4, plain arithmetic gives 12.39"]


def test_a_missing_line_is_found() -> None:
    """Energy at a price that the bill does not show."""
    plain = recompute([(DAY.start_ms + 18 * HOUR_MS, 1.0)], time_zone="Asia/Kolkata", days=1)
    shown = replace(plain, energy_kwh={}, energy_amounts={})

    found = differences(plain, shown)

    assert len(found) == 2
    assert "peak" in found[0]


def test_days_around_an_instant_are_whole_local_days() -> None:
    """One millisecond of the first of March in India is that whole day, 24 hours from 18:30 UTC."""
    assert (DAY.first.isoformat(), DAY.end.isoformat(), DAY.count) == ("2026-03-01", "2026-03-02", 1)
    assert DAY.start_ms == 1_772_303_400_000
    assert DAY.end_ms - DAY.start_ms == 24 * HOUR_MS


def test_days_are_cut_to_the_longest_bill() -> None:
    """A file of two years is billed over its first 366 days."""
    days = LocalDays.around(DAY.start_ms, DAY.start_ms + 730 * 24 * HOUR_MS, "Asia/Kolkata")

    assert days.count == 366
