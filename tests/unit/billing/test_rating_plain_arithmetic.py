"""Bills beside plain decimal arithmetic that shares no code with our rating: only calendar, clock and schoolbook."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import pytest

from billing.invoices.invoice import make_invoice
from billing.tariffs.rated_line import Quarter
from billing.tariffs.rating import rate
from billing.tariffs.tariff import (
    DemandCharge,
    FlatPricing,
    PriceStep,
    Tariff,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariffs.tariff_assignment import TariffAssignment

QUARTER_HOUR = timedelta(minutes=15)

PERIODS = [
    # Autumn in New York: 1 November 2026 has 25 hours.
    ("America/New_York", datetime(2026, 10, 1, 4, tzinfo=UTC), datetime(2026, 12, 1, 5, tzinfo=UTC)),
    # Spring in Berlin: 29 March 2026 has 23 hours.
    ("Europe/Berlin", datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)),
    # Spring on Lord Howe Island: 5 October 2025 has 23.5 hours.
    ("Australia/Lord_Howe", datetime(2025, 9, 30, 13, 30, tzinfo=UTC), datetime(2025, 10, 31, 13, tzinfo=UTC)),
    # February of a leap year in Kathmandu.
    ("Asia/Kathmandu", datetime(2024, 1, 31, 18, 15, tzinfo=UTC), datetime(2024, 2, 29, 18, 15, tzinfo=UTC)),
]


def cents(amount: Decimal) -> Decimal:
    """Rounded half up to cents."""
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def measured(start: datetime, end: datetime) -> dict[datetime, int]:
    """Milliwatt-hours of each quarter-hour, made up but always the same."""
    made_up = random.Random(20260101)
    count = (end - start) // QUARTER_HOUR
    return {start + place * QUARTER_HOUR: made_up.randrange(0, 1_500_000) for place in range(count)}


def epoch_ms(instant: datetime) -> int:
    """Milliseconds since 1970."""
    return round(instant.timestamp()) * 1000


def billed(zone: str, tariff: Tariff, energies: dict[datetime, int], end: datetime) -> tuple[list[Decimal], Decimal]:
    """The amounts of the lines of our bill, and its total."""
    start = min(energies)
    invoice = make_invoice(
        rate(
            device_id="m-1",
            zone=ZoneInfo(zone),
            start_date=start.astimezone(ZoneInfo(zone)).date(),
            end_date=end.astimezone(ZoneInfo(zone)).date(),
            assignments=[TariffAssignment("m-1", tariff.tariff_id, epoch_ms(start))],
            tariffs={tariff.tariff_id: tariff},
            quarters=[
                Quarter(epoch_ms(begin), epoch_ms(begin + QUARTER_HOUR), energy, 15)
                for begin, energy in energies.items()
            ],
        )
    )
    return [line.amount for line in invoice.lines], invoice.total


@pytest.mark.parametrize(("zone", "start", "end"), PERIODS)
def test_a_flat_bill_is_energy_times_price_plus_days_times_charge_plus_tax(
    zone: str, start: datetime, end: datetime
) -> None:
    """Energy * 0.14375, days * 0.35, 7.7 % tax on the sum of both."""
    energies = measured(start, end)
    tariff = Tariff("flat", "", "USD", FlatPricing(Decimal("0.14375")), Decimal("0.35"), Decimal("7.7"))

    amounts, total = billed(zone, tariff, energies, end)

    days: set[date] = {instant.astimezone(ZoneInfo(zone)).date() for instant in energies}
    energy = cents(Decimal(sum(energies.values())) / 1_000_000 * Decimal("0.14375"))
    charge = cents(len(days) * Decimal("0.35"))
    assert amounts == [energy, charge]
    assert total == energy + charge + cents((energy + charge) * Decimal("7.7") / 100)


@pytest.mark.parametrize(("zone", "start", "end"), PERIODS)
def test_a_time_of_use_bill_prices_each_quarter_hour_by_the_local_clock(
    zone: str, start: datetime, end: datetime
) -> None:
    """Peak on weekdays from 17:00 to 21:00, night from 01:30 to 05:00 and all Sunday, the rest by day."""
    energies = measured(start, end)
    peak = TimeOfUsePeriod("peak", Decimal("0.4"), (TimeOfUseWindow(frozenset(range(5)), 1020, 1260),))
    night = TimeOfUsePeriod(
        "night",
        Decimal("0.07654321"),
        (TimeOfUseWindow(frozenset(), 90, 300), TimeOfUseWindow(frozenset({6}), 0, 1440)),
    )
    pricing = TimeOfUsePricing((peak, night), "day", Decimal("0.2"))
    tariff = Tariff("tou", "", "USD", pricing, None, Decimal(18))

    amounts, total = billed(zone, tariff, energies, end)

    used = {"peak": Decimal(0), "night": Decimal(0), "day": Decimal(0)}
    for instant, energy in energies.items():
        local = instant.astimezone(ZoneInfo(zone))
        minutes = local.hour * 60 + local.minute
        if local.strftime("%a") not in ("Sat", "Sun") and 17 * 60 <= minutes < 21 * 60:
            name = "peak"
        elif local.strftime("%a") == "Sun" or 90 <= minutes < 300:
            name = "night"
        else:
            name = "day"
        used[name] += Decimal(energy) / 1_000_000
    expected = {
        cents(used["peak"] * Decimal("0.4")),
        cents(used["night"] * Decimal("0.07654321")),
        cents(used["day"] * Decimal("0.2")),
    }
    assert len(amounts) == 3
    assert set(amounts) == expected
    assert total == sum(expected) + cents(sum(expected) * Decimal(18) / 100)


@pytest.mark.parametrize(("zone", "start", "end"), PERIODS[1:])
def test_a_business_bill_is_tiers_by_the_clock_and_two_demands_and_a_monthly_charge(
    zone: str, start: datetime, end: datetime
) -> None:
    """Weekday peak from 17:00 to 21:00 at 0.40, above 700 kWh of all energy 0.45; the rest 0.20, then 0.25, then 0.30.

    Demand over half-hours: 12.00 a kW at any time and 9.00 within the peak; 20.00 a month.
    """
    energies = measured(start, end)
    window = TimeOfUseWindow(frozenset(range(5)), 1020, 1260)
    peak_steps = (PriceStep(Decimal(700), Decimal("0.45")),)
    rest_steps = (PriceStep(Decimal(400), Decimal("0.25")), PriceStep(Decimal("900.5"), Decimal("0.30")))
    pricing = TimeOfUsePricing(
        (TimeOfUsePeriod("peak", Decimal("0.4"), (window,), peak_steps),),
        "rest",
        Decimal("0.2"),
        default_steps=rest_steps,
    )
    demands = (DemandCharge("all", Decimal(12), 30), DemandCharge("peak", Decimal(9), 30, (window,)))
    tariff = Tariff("t", "", "USD", pricing, None, Decimal(8), monthly_charge=Decimal(20), demand_charges=demands)

    amounts, total = billed(zone, tariff, energies, end)

    ladders = {
        "peak": [(Decimal(700), Decimal("0.40")), (None, Decimal("0.45"))],
        "rest": [(Decimal(400), Decimal("0.20")), (Decimal("900.5"), Decimal("0.25")), (None, Decimal("0.30"))],
    }
    used, by_price, halves = Decimal(0), dict[tuple[str, Decimal], Decimal](), dict[tuple[date, int], Decimal]()
    peak_halves = set[tuple[date, int]]()
    for instant in sorted(energies):
        local = instant.astimezone(ZoneInfo(zone))
        kwh = Decimal(energies[instant]) / 1_000_000
        is_peak = local.weekday() < 5 and 17 <= local.hour < 21
        below = Decimal(0)
        for bound, price in ladders["peak" if is_peak else "rest"]:
            upper = used + kwh if bound is None else min(bound, used + kwh)
            part = max(Decimal(0), upper - max(used, below))
            key = ("peak" if is_peak else "rest", price)
            by_price[key] = by_price.get(key, Decimal(0)) + part
            below = bound or below
        used += kwh
        midnight = datetime.combine(local.date(), datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
        half = (local.date(), (instant - midnight) // timedelta(minutes=30))
        halves[half] = halves.get(half, Decimal(0)) + kwh
        if is_peak:
            peak_halves.add(half)
    expected = [cents(kwh * price) for (_, price), kwh in by_price.items() if kwh]
    expected.append(cents(max(halves.values()) * 2 * 12))
    expected.append(cents(max(halves[half] for half in peak_halves) * 2 * 9))
    expected.append(Decimal("20.00"))
    assert sorted(amounts) == sorted(expected)
    assert total == sum(expected) + cents(sum(expected) * Decimal(8) / 100)
