"""Export on a bill: paid for, set off within the quarter-hour, and set off within the month with a bank of kWh."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest

from billing.invoices.invoice import make_invoice
from billing.tariffs.rated_line import LineKind, Quarter
from billing.tariffs.tariff import (
    ExportMode,
    ExportTerms,
    FlatPricing,
    PriceStep,
    Pricing,
    Tariff,
    TierCounter,
    TierRules,
)
from tests.unit.billing.month_cases import evening, rated, shown, tariff, used
from tests.unit.billing.rating_cases import utc_ms

PAID = FlatPricing(Decimal("0.05"))


def exporting(mode: ExportMode, pricing: Pricing | None = None, true_up_month: int = 12) -> Tariff:
    """A tariff of 0.30 a kWh, or other prices, that pays 0.05 for export."""
    return replace(tariff(pricing or FlatPricing(Decimal("0.30"))), export=ExportTerms(mode, PAID, true_up_month))


def before(quarters: Iterable[Quarter], day: date) -> list[Quarter]:
    """Those that start before a day."""
    return [quarter for quarter in quarters if quarter.start_ms < utc_ms(day.isoformat())]


def test_by_net_billing_all_import_is_billed_and_all_export_paid_for() -> None:
    """10 kWh at 0.30 less 4 kWh at 0.05: 3.00 - 0.20."""
    lines = rated([used("2026-01-05T10:00", "10", "4")], exporting(ExportMode.NET_BILLING))

    assert shown(lines) == [(LineKind.ENERGY, "flat", 0, "10", "0.3"), (LineKind.EXPORT, "flat", 0, "4", "-0.05")]
    assert make_invoice(lines).net == Decimal("2.80")


def test_without_terms_export_is_not_on_the_bill() -> None:
    """Nobody said what becomes of it."""
    lines = rated([used("2026-01-05T10:00", "10", "4")], tariff(PAID))

    assert [line.kind for line in lines] == [LineKind.ENERGY]


def test_a_site_that_only_exports_has_a_bill() -> None:
    """No import was measured; the readings count with the export."""
    lines = rated([used("2026-01-05T10:00", None, "4")], exporting(ExportMode.NET_BILLING))

    assert shown(lines) == [(LineKind.EXPORT, "flat", 0, "4", "-0.05")]
    assert make_invoice(lines).reading_count == 1


def test_within_a_quarter_hour_import_and_export_are_set_off() -> None:
    """10 - 4 are billed; 1 - 3 are paid for; what was set off is shown without a price."""
    quarters = [used("2026-01-05T10:00", "10", "4"), used("2026-01-05T10:15", "1", "3")]

    assert shown(rated(quarters, exporting(ExportMode.INTERVAL_NETTING))) == [
        (LineKind.ENERGY, "flat", 0, "6", "0.3"),
        (LineKind.EXPORT_NETTED, "", 0, "5", "0"),
        (LineKind.EXPORT, "flat", 0, "2", "-0.05"),
    ]


def test_export_is_paid_for_by_the_clock_where_its_price_goes_by_it() -> None:
    """1 kWh at noon, 2 in the evening."""
    by_clock = replace(
        exporting(ExportMode.NET_BILLING), export=ExportTerms(ExportMode.NET_BILLING, evening("0.2", "0.1"))
    )
    quarters = [used("2026-01-05T12:00", "0", "1"), used("2026-01-05T18:00", "0", "2")]

    assert shown(rated(quarters, by_clock))[1:] == [
        (LineKind.EXPORT, "rest", 0, "1", "-0.1"),
        (LineKind.EXPORT, "peak", 0, "2", "-0.2"),
    ]


def test_within_a_month_export_is_set_off_at_the_price_of_its_time_and_the_rest_kept() -> None:
    """At rest 10 of import and 4 of export; at the peak 1 and 3, so that 2 are kept."""
    banked = exporting(ExportMode.PERIOD_NETTING, evening("0.40", "0.10"))
    quarters = [
        used("2026-01-05T10:00", "10", "0"),
        used("2026-01-06T10:00", "0", "4"),
        used("2026-01-06T19:00", "1", "3"),
    ]

    lines = rated(quarters, banked)

    assert shown(lines) == [
        (LineKind.ENERGY, "rest", 0, "6", "0.1"),
        (LineKind.ENERGY, "peak", 0, "0", "0.4"),
        (LineKind.EXPORT_NETTED, "rest", 0, "4", "0"),
        (LineKind.EXPORT_NETTED, "peak", 0, "1", "0"),
        (LineKind.EXPORT_BANK_KEPT, "peak", 0, "2", "0"),
    ]
    assert make_invoice(lines).net == Decimal("0.60")


def test_what_months_before_left_over_is_set_off_now() -> None:
    """December kept 5 kWh of which January's 3 kWh need 3."""
    banked = exporting(ExportMode.PERIOD_NETTING, true_up_month=4)
    quarters = [used("2025-12-05T10:00", "1", "6"), used("2026-01-05T10:00", "3", "0")]

    lines = rated(quarters, banked, history_months=12)

    assert shown(lines) == [
        (LineKind.ENERGY, "flat", 0, "0", "0.3"),
        (LineKind.EXPORT_BANK_USED, "flat", 0, "3", "0"),
        (LineKind.EXPORT_BANK_KEPT, "flat", 0, "2", "0"),
    ]


def test_at_the_true_up_what_is_kept_is_paid_for_and_forgotten() -> None:
    """December's 5 kWh are paid with 0.05 each at the end of December; January begins with nothing."""
    banked = exporting(ExportMode.PERIOD_NETTING, true_up_month=12)
    december = [used("2025-12-05T10:00", "1", "6")]
    january = [*december, used("2026-01-05T10:00", "3", "0")]

    assert shown(rated(december, banked, days=(date(2025, 12, 1), date(2026, 1, 1))))[1:] == [
        (LineKind.EXPORT_NETTED, "flat", 0, "1", "0"),
        (LineKind.EXPORT, "true-up", 0, "5", "-0.05"),
    ]
    assert shown(rated(january, banked, history_months=12)) == [(LineKind.ENERGY, "flat", 0, "3", "0.3")]


@pytest.mark.parametrize("parts", [("2025-12-01", "2025-12-11", "2026-01-01"), ("2025-12-01", "2026-01-01")])
def test_the_true_up_comes_once_however_its_month_is_billed(parts: tuple[str, ...]) -> None:
    """6 kWh were given on the 5th; the part that reaches the end of December pays for 5, January has nothing left."""
    banked = exporting(ExportMode.PERIOD_NETTING, true_up_month=12)
    quarters = [
        used("2025-12-05T10:00", "1", "6"),
        used("2025-12-20T10:00", "0", "0"),
        used("2026-01-05T10:00", "3", "0"),
    ]

    bounds = [date.fromisoformat(day) for day in (*parts, "2026-02-01")]
    bills = [
        rated(before(quarters, after), banked, days=(first, after), history_months=12)
        for first, after in pairwise(bounds)
    ]

    paid = [line for lines in bills for line in lines if line.kind is LineKind.EXPORT]
    assert [(str(line.quantity.normalize()), line.price_name) for line in paid] == [("5", "true-up")]
    assert LineKind.EXPORT in [line.kind for line in bills[-2]]
    assert shown(bills[-1]) == [(LineKind.ENERGY, "flat", 0, "3", "0.3")]


def test_a_true_up_follows_a_month_that_begins_on_any_day() -> None:
    """The month that begins on 15 December ends on 15 January; before that the 5 kWh are kept."""
    banked = exporting(ExportMode.PERIOD_NETTING, true_up_month=12)
    quarters = [used("2025-11-20T10:00", "1", "6"), used("2025-12-20T10:00", "0", "0")]

    november = rated(before(quarters, date(2025, 12, 15)), banked, days=(date(2025, 11, 15), date(2025, 12, 15)))
    december = rated(quarters, banked, days=(date(2025, 12, 15), date(2026, 1, 15)), history_months=12)

    assert november[-1].kind is LineKind.EXPORT_BANK_KEPT
    assert shown(december)[-1] == (LineKind.EXPORT, "true-up", 0, "5", "-0.05")


@pytest.mark.parametrize("following", ["flat", ""], ids=["another tariff", "none"])
@pytest.mark.parametrize("end_date", [date(2026, 2, 1), date(2026, 1, 11)], ids=["a month", "a part of one"])
def test_what_is_kept_is_settled_when_the_tariff_ends_with_the_period(end_date: date, following: str) -> None:
    """The next bill knows nothing of the bank, so this one pays for it."""
    banked, flat = exporting(ExportMode.PERIOD_NETTING), tariff(FlatPricing(Decimal("0.20")), following)
    quarters = [used("2026-01-05T10:00", "1", "6")]

    lines = rated(quarters, banked, flat, days=(date(2026, 1, 1), end_date), changes=[f"{end_date}T00:00"])

    assert shown(lines)[-1] == (LineKind.EXPORT, "true-up", 0, "5", "-0.05")


def test_assigning_the_same_tariff_again_keeps_the_bank() -> None:
    """It goes on as before."""
    banked = exporting(ExportMode.PERIOD_NETTING)

    lines = rated([used("2026-01-05T10:00", "1", "6")], banked, banked, changes=["2026-02-01T00:00"])

    assert shown(lines)[-1] == (LineKind.EXPORT_BANK_KEPT, "flat", 0, "5", "0")


def test_another_tariff_settles_what_is_kept() -> None:
    """The bank belongs to the tariff it was filled under."""
    banked, flat = exporting(ExportMode.PERIOD_NETTING), tariff(FlatPricing(Decimal("0.20")), "flat")
    quarters = [used("2026-01-05T10:00", "1", "6"), used("2026-01-20T10:00", "2", "0")]

    lines = rated(quarters, banked, flat, changes=["2026-01-11T00:00"])

    assert [(line.kind, line.tariff.tariff_id, str(line.quantity.normalize())) for line in lines] == [
        (LineKind.ENERGY, "t", "0"),
        (LineKind.ENERGY, "flat", "2"),
        (LineKind.EXPORT_NETTED, "t", "1"),
        (LineKind.EXPORT, "t", "5"),
    ]


def test_tiers_count_what_is_left_after_netting() -> None:
    """150 kWh less 30 of export are 120: 100 at the first price, 20 at the second."""
    stepped = FlatPricing(Decimal("0.30"), (PriceStep(Decimal(100), Decimal("0.50")),))
    banked = replace(exporting(ExportMode.PERIOD_NETTING, stepped), tier_rules=TierRules(counter=TierCounter.PRICE))
    quarters = [used("2026-01-05T10:00", "150", "0"), used("2026-01-06T10:00", "0", "30")]

    assert shown(rated(quarters, banked))[:2] == [
        (LineKind.ENERGY, "flat", 1, "100", "0.3"),
        (LineKind.ENERGY, "flat", 2, "20", "0.5"),
    ]
