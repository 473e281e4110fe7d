"""A meter in Berlin, a tariff that changes from test to test, and bills of its quarter-hours."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing.invoices.invoice import Invoice, make_invoice
from billing.tariffs.rated_line import LineKind, Quarter, RatedLine
from billing.tariffs.rating import rate
from billing.tariffs.tariff import (
    FlatPricing,
    PriceStep,
    Pricing,
    Tariff,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariffs.tariff_assignment import TariffAssignment
from tests.unit.billing.rating_cases import KWH, MINUTE_MS, utc_ms

UTC = ZoneInfo("UTC")
JANUARY = (date(2026, 1, 1), date(2026, 2, 1))

STEPPED = FlatPricing(
    Decimal("0.10"), (PriceStep(Decimal(100), Decimal("0.20")), PriceStep(Decimal(300), Decimal("0.40")))
)


def tariff(pricing: Pricing, tariff_id: str = "t") -> Tariff:
    """A tariff of some prices, without tax and charges."""
    return Tariff(tariff_id, "", "EUR", pricing, None, Decimal(0))


def evening(peak: str, rest: str, *, peak_steps: Iterable[tuple[str, str]] = ()) -> TimeOfUsePricing:
    """Peak from 18:00 to 22:00."""
    steps = tuple(PriceStep(Decimal(above), Decimal(price)) for above, price in peak_steps)
    window = TimeOfUseWindow(frozenset(), 18 * 60, 22 * 60)
    period = TimeOfUsePeriod("peak", Decimal(peak), (window,), steps)
    return TimeOfUsePricing((period,), "rest", Decimal(rest), frozenset(), steps)


def used(
    start: str, import_kwh: str | None, export_kwh: str | None = None, *, minutes: int = 15, estimated: int = 0
) -> Quarter:
    """What was used in a quarter-hour."""
    start_ms = utc_ms(start)

    def milliwatt_hours(kwh: str | None) -> int | None:
        return None if kwh is None else int(Decimal(kwh) * KWH)

    return Quarter(
        start_ms,
        start_ms + minutes * MINUTE_MS,
        milliwatt_hours(import_kwh),
        1,
        estimated,
        milliwatt_hours(export_kwh),
    )


def rated(
    quarters: Iterable[Quarter],
    *tariffs: Tariff,
    days: tuple[date, date] = JANUARY,
    changes: Iterable[str] = (),
    zone: ZoneInfo = UTC,
    history_months: int = 0,
) -> list[RatedLine]:
    """The lines of some days, by the first tariff and, from each of `changes` on, the next one."""
    starts_ms = [0, *(utc_ms(change) for change in changes)]
    return rate(
        device_id="m-1",
        zone=zone,
        start_date=days[0],
        end_date=days[1],
        assignments=[
            TariffAssignment("m-1", one.tariff_id, start_ms) for one, start_ms in zip(tariffs, starts_ms, strict=True)
        ],
        tariffs={one.tariff_id: one for one in tariffs},
        quarters=quarters,
        history_months=history_months,
    )


def billed(quarters: Iterable[Quarter], one: Tariff, days: tuple[date, date] = JANUARY) -> Invoice:
    """The bill of some days by one tariff."""
    return make_invoice(rated(quarters, one, days=days))


def shown(lines: Iterable[RatedLine]) -> list[tuple[LineKind, str, int, str, str]]:
    """Kind, price name, tier, quantity and unit price of each line."""
    return [
        (line.kind, line.price_name, line.tier, f"{line.quantity.normalize():f}", f"{line.unit_price.normalize():f}")
        for line in lines
    ]
