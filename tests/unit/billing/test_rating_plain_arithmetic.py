"""Bills beside plain decimal arithmetic that shares no code with our rating: only calendar, clock and schoolbook."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import pytest

from billing.invoice import make_invoice
from billing.rated_line import Quarter
from billing.rating import rate
from billing.tariff import (
    FlatPricing,
    Tariff,
    TariffAssignment,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)

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
