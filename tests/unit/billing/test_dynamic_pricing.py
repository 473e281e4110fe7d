"""Bills by the price of a region: worked examples, and what is refused."""

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from billing.invoices.invoice import make_invoice
from billing.tariffs.dynamic_pricing import RegionPrices, RegionPriceSpan
from billing.tariffs.rated_line import Quarter, RatedLine
from billing.tariffs.rating import rate
from billing.tariffs.tariff import QUARTER_MS, DynamicPricing, Tariff
from billing.tariffs.tariff_assignment import TariffAssignment
from common.errors import CurrencyMixed, PriceNotFixed

MIDNIGHT_MS = 1_767_225_600_000  # 2026-01-01T00:00Z
DAY_MS = 96 * QUARTER_MS
TARIFF = Tariff("dynamic", "", "EUR", DynamicPricing(Decimal("0.05")), None, Decimal(20))


def span(first: int, last: int, price: str, name: str = "normal load", currency_code: str = "EUR") -> RegionPriceSpan:
    """A price from the start of one quarter of the day to that of another."""
    start_ms, end_ms = MIDNIGHT_MS + first * QUARTER_MS, MIDNIGHT_MS + last * QUARTER_MS
    return RegionPriceSpan(start_ms, end_ms, currency_code, Decimal(price), name)


def used(quarter: int, kwh: int) -> Quarter:
    """Energy of a quarter of the day."""
    start_ms = MIDNIGHT_MS + quarter * QUARTER_MS
    return Quarter(start_ms, start_ms + QUARTER_MS, kwh * 1_000_000, 1)


def lines(quarters: list[Quarter], *spans: RegionPriceSpan) -> list[RatedLine]:
    """The lines of New Year's Day 2026."""
    return rate(
        device_id="meter-1",
        zone=ZoneInfo("UTC"),
        start_date=date(2026, 1, 1),
        end_date=date(2026, 1, 2),
        assignments=[TariffAssignment("meter-1", "dynamic", 0)],
        tariffs={"dynamic": TARIFF},
        quarters=quarters,
        region_prices=RegionPrices("Pune-East", spans),
    )


def test_each_quarter_hour_has_the_price_its_region_had() -> None:
    """2 kWh at 0.30 + 0.05 are 0.70, 3 at -0.10 + 0.05 are -0.15, 4 at 0.30 + 0.05 are 1.40; 20 % tax on 1.95."""
    quarters = [used(0, 2), used(1, 3), used(50, 4)]
    found = lines(quarters, span(0, 1, "0.30"), span(1, 2, "-0.10", "very low load"), span(2, 96, "0.30"))

    shown = [(line.price_name, line.unit_price, line.quantity) for line in found]
    assert shown == [
        ("dynamic, normal load", Decimal("0.35"), Decimal(6)),
        ("dynamic, very low load", Decimal("-0.05"), Decimal(3)),
    ]
    assert (make_invoice(found).net, make_invoice(found).total) == (Decimal("1.95"), Decimal("2.34"))


def test_equal_prices_of_different_names_are_lines_of_their_own() -> None:
    """So that the bill says which of them a person has set."""
    found = lines([used(0, 1), used(1, 1)], span(0, 1, "0.30"), span(1, 96, "0.30", "override"))

    assert [line.price_name for line in found] == ["dynamic, normal load", "dynamic, override"]


def test_a_time_without_a_price_is_refused_by_name() -> None:
    """Never a silent zero."""
    with pytest.raises(PriceNotFixed, match=r"'Pune-East' has no price at 2026-01-01T00:15:00.000Z"):
        lines([used(0, 1)], span(0, 1, "0.30"), span(2, 96, "0.30"))


def test_a_price_in_another_currency_is_refused() -> None:
    """Euros are not rupees."""
    with pytest.raises(CurrencyMixed):
        lines([used(0, 1)], span(0, 96, "0.30", currency_code="INR"))
