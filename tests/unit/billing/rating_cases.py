"""Meter `m-1`, its tariffs and its quarter-hours, for tests of the rating."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing.tariffs.rated_line import Quarter, RatedLine
from billing.tariffs.rating import rate
from billing.tariffs.tariff import (
    FlatPricing,
    Tariff,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariffs.tariff_assignment import TariffAssignment

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
