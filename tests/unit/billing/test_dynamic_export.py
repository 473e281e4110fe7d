"""Export that is paid for with the price of its region: worked examples by mode, below nothing, and what is refused."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.explanation import explain
from billing.invoices.invoice import make_invoice
from billing.tariffs.dynamic_pricing import RegionPrices, RegionPriceSpan
from billing.tariffs.price_timeline import price_timeline
from billing.tariffs.rated_line import LineKind, Quarter, RatedLine, kilowatt_hours
from billing.tariffs.rating import lines_of, rated_months
from billing.tariffs.tariff import QUARTER_MS, DynamicPricing, ExportMode, ExportTerms, FlatPricing, Tariff
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_codec import tariff_from_message, tariff_message
from billing.tariffs.tariff_month import TariffMonth
from billing.tariffs.tariff_validation import tariff_violations
from common.errors import PriceNotFixed
from tests.unit.billing.month_cases import tariff

MIDNIGHT_MS = 1_767_225_600_000  # 2026-01-01T00:00Z
NEW_YEAR = date(2026, 1, 1)
UTC = ZoneInfo("UTC")
KWH = 1_000_000
FLAT = FlatPricing(Decimal("0.30"))


def exporting(mode: ExportMode, pricing: FlatPricing | DynamicPricing = FLAT) -> Tariff:
    """A tariff that pays the price of the region less 0.02 for export."""
    return replace(tariff(FLAT), pricing=pricing, export=ExportTerms(mode, DynamicPricing(Decimal("-0.02"))))


def span(first: int, last: int, price: str, name: str = "normal load") -> RegionPriceSpan:
    """A price from the start of one quarter of the day to that of another."""
    start_ms, end_ms = MIDNIGHT_MS + first * QUARTER_MS, MIDNIGHT_MS + last * QUARTER_MS
    return RegionPriceSpan(start_ms, end_ms, "EUR", Decimal(price), name)


def metered(quarter: int, imported: str, exported: str) -> Quarter:
    """What was taken and given in a quarter of the day, kWh."""
    start_ms = MIDNIGHT_MS + quarter * QUARTER_MS
    taken, given_ = (int(Decimal(kwh) * KWH) for kwh in (imported, exported))
    return Quarter(start_ms, start_ms + QUARTER_MS, taken, 1, 0, given_)


def months(quarters: list[Quarter], by: Tariff, *spans: RegionPriceSpan) -> list[TariffMonth]:
    """New Year's Day 2026."""
    return rated_months(
        device_id="meter-1",
        zone=UTC,
        start_date=NEW_YEAR,
        end_date=date(2026, 1, 2),
        assignments=[TariffAssignment("meter-1", by.tariff_id, 0)],
        tariffs={by.tariff_id: by},
        quarters=quarters,
        region_prices=RegionPrices("Pune-East", spans),
    )


def lines(quarters: list[Quarter], by: Tariff, *spans: RegionPriceSpan) -> list[RatedLine]:
    """The lines of New Year's Day 2026."""
    return lines_of(months(quarters, by, *spans), NEW_YEAR, UTC)


def exported(found: list[RatedLine]) -> list[tuple[str, str, str]]:
    """Price name, quantity and unit price of each line of export that is paid for."""
    return [
        (line.price_name, f"{line.quantity.normalize():f}", f"{line.unit_price.normalize():f}")
        for line in found
        if line.kind is LineKind.EXPORT
    ]


def test_all_export_is_paid_for_at_the_price_of_its_quarter_hour() -> None:
    """10 kWh at 0.30 are 3.00; less 4 at 0.40 - 0.02 are 1.52 and 5 at 0.10 - 0.02 are 0.40: 1.08."""
    quarters = [metered(0, "10", "4"), metered(1, "0", "5")]
    found = lines(quarters, exporting(ExportMode.NET_BILLING), span(0, 1, "0.40"), span(1, 96, "0.10"))

    assert exported(found) == [("dynamic, normal load", "4", "-0.38"), ("dynamic, normal load", "5", "-0.08")]
    assert make_invoice(found).net == Decimal("1.08")


def test_what_is_left_after_netting_within_the_quarter_hour_is_paid_for_at_its_price() -> None:
    """Of 4 taken and 10 given 4 are set off and 6 paid with 0.38; of 3 and 1 are 2 billed at 0.30: 0.60 - 2.28."""
    quarters = [metered(0, "4", "10"), metered(1, "3", "1")]
    found = lines(quarters, exporting(ExportMode.INTERVAL_NETTING), span(0, 1, "0.40"), span(1, 96, "0.10"))

    assert exported(found) == [("dynamic, normal load", "6", "-0.38"), ("dynamic, normal load", "0", "-0.08")]
    assert [line.quantity for line in found if line.kind is LineKind.EXPORT_NETTED] == [Decimal(5)]
    assert make_invoice(found).net == Decimal("-1.68")


@pytest.mark.parametrize("mode", [ExportMode.NET_BILLING, ExportMode.INTERVAL_NETTING])
def test_who_gives_at_a_price_below_nothing_pays(mode: ExportMode) -> None:
    """6 kWh at -0.10 - 0.02 cost 0.72; at +0.02 - 0.02 they are given for nothing."""
    quarters = [metered(0, "0", "6"), metered(1, "0", "6")]
    found = lines(quarters, exporting(mode), span(0, 1, "-0.10", "too much wind"), span(1, 96, "0.02"))

    assert exported(found) == [("dynamic, too much wind", "6", "0.12"), ("dynamic, normal load", "6", "0")]
    assert make_invoice(found).net == Decimal("0.72")


def test_both_directions_may_follow_the_region() -> None:
    """2 taken at 0.40 + 0.05 are 0.90, 1 given at 0.40 - 0.02 is 0.38."""
    by = exporting(ExportMode.NET_BILLING, DynamicPricing(Decimal("0.05")))
    found = lines([metered(0, "2", "1")], by, span(0, 1, "0.40"), span(1, 96, "0.10"))

    assert make_invoice(found).net == Decimal("0.52")


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.integers(-50, 50)), min_size=1, max_size=96),
    st.sampled_from([ExportMode.NET_BILLING, ExportMode.INTERVAL_NETTING]),
)
def test_each_line_is_explained_to_the_quarter_hours_at_its_price(
    day: list[tuple[int, int, int]], mode: ExportMode
) -> None:
    """Though many prices have the same name; and money is what a plain sum over the quarter-hours gives."""
    quarters = [
        metered(place, str(Decimal(taken) / 1000), str(Decimal(given_) / 1000))
        for place, (taken, given_, _) in enumerate(day)
    ]
    spans = [span(place, place + 1, f"{cents / 100}") for place, (_, _, cents) in enumerate(day)]
    rated = months(quarters, exporting(mode), *spans, span(len(day), 97, "0.01"))

    found = lines_of(rated, NEW_YEAR, UTC)

    price_at = {one.start_ms: one.per_kwh - Decimal("0.02") for one in spans}
    for line in (one for one in found if one.kind is LineKind.EXPORT):
        behind = explain(rated, NEW_YEAR, line)
        assert kilowatt_hours(sum(one.milliwatt_hours for one in behind)) == line.quantity
        assert {price_at[one.start_ms] for one in behind} <= {-line.unit_price}
    plain = Decimal(0)
    for quarter, (taken, given_, cents) in zip(quarters, day, strict=True):
        netted = min(taken, given_) if mode is ExportMode.INTERVAL_NETTING else 0
        plain += Decimal("0.30") * (taken - netted) / 1000
        plain -= (Decimal(cents) / 100 - Decimal("0.02")) * (given_ - netted) / 1000
        assert quarter.start_ms in price_at
    exact = sum((line.quantity * line.unit_price for line in found), Decimal(0))
    assert exact == plain


def test_a_quarter_hour_without_a_price_is_refused_by_name() -> None:
    """Export is never given for nothing in silence."""
    with pytest.raises(PriceNotFixed, match=r"'Pune-East' has no price at 2026-01-01T00:15:00.000Z"):
        lines([metered(1, "0", "1")], exporting(ExportMode.NET_BILLING), span(0, 1, "0.30"), span(2, 96, "0.30"))


def test_prices_of_what_is_taken_are_shown_where_those_of_export_are_not_fixed_yet() -> None:
    """They are known for long; where both are, both are told."""
    by = exporting(ExportMode.NET_BILLING)
    prices = RegionPrices("Pune-East", [span(1, 2, "0.40"), span(3, 4, "0.50")], may_lack=True)
    assigned = [TariffAssignment("meter-1", by.tariff_id, 0)]

    found = price_timeline(
        assigned, {by.tariff_id: by}, UTC, MIDNIGHT_MS, MIDNIGHT_MS + 5 * QUARTER_MS, region_prices=prices
    )

    told = [
        ((one.start_ms - MIDNIGHT_MS) // QUARTER_MS, one.export_price and one.export_price.per_kwh) for one in found
    ]
    assert told == [(0, None), (1, Decimal("0.38")), (2, None), (3, Decimal("0.48")), (4, None)]
    assert found[-1].end_ms == MIDNIGHT_MS + 5 * QUARTER_MS
    assert {one.price.per_kwh for one in found} == {Decimal("0.30")}


def test_kwh_that_are_kept_for_later_have_no_price_of_a_quarter_hour() -> None:
    """Netting over a period pays a flat price at its true-up; the message of the others survives a round trip."""
    banked = replace(exporting(ExportMode.PERIOD_NETTING))
    netted = exporting(ExportMode.INTERVAL_NETTING)

    assert [one.field for one in tariff_violations(banked)] == ["tariff.export.dynamic"]
    assert tariff_violations(netted) == []
    assert tariff_from_message(tariff_message(netted, 1)) == netted
