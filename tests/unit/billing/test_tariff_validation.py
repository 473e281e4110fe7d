"""Tariffs that cannot price anything: each rule, and all of them told at once."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from billing.tariffs.tariff import (
    DemandCharge,
    ExportMode,
    ExportTerms,
    FlatPricing,
    PriceStep,
    Tariff,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariffs.tariff_validation import tariff_violations

FLAT = Tariff("residential-1", "Residential", "INR", FlatPricing(Decimal("5.00")), Decimal(10), Decimal(18))
WINDOW = TimeOfUseWindow(frozenset({0}), 0, 1440)
PEAK = TimeOfUsePeriod("peak", Decimal(8), (WINDOW,))


def violated(tariff: Tariff) -> list[tuple[str, str]]:
    """Path and reason of each violation."""
    return [(violation.field, violation.reason) for violation in tariff_violations(tariff)]


def by_clock(*periods: TimeOfUsePeriod, default_name: str = "rest", default_price: str = "4") -> Tariff:
    """A valid tariff but for what is given."""
    return replace(FLAT, pricing=TimeOfUsePricing(periods, default_name, Decimal(default_price)))


@pytest.mark.parametrize(
    "tariff",
    [
        FLAT,
        replace(FLAT, tariff_id="a"),
        replace(FLAT, tariff_id="A-z_0.9:" + "x" * 120),
        replace(FLAT, display_name="x" * 200),
        replace(FLAT, daily_charge=None),
        replace(FLAT, daily_charge=Decimal(0)),
        replace(FLAT, pricing=FlatPricing(Decimal(0))),
        replace(FLAT, pricing=FlatPricing(Decimal("0.00000001"))),
        replace(FLAT, pricing=FlatPricing(Decimal("5.000000000"))),
        replace(FLAT, pricing=FlatPricing(Decimal(1_000_000))),
        replace(FLAT, pricing=FlatPricing(Decimal(-1_000_000))),
        replace(FLAT, tax_percent=Decimal(0)),
        replace(FLAT, tax_percent=Decimal(100)),
        replace(FLAT, tax_percent=Decimal("7.7125")),
        by_clock(PEAK),
        by_clock(replace(PEAK, windows=(TimeOfUseWindow(frozenset(), 1425, 1440),) * 32)),
        by_clock(*(replace(PEAK, name=f"p{index}") for index in range(24))),
        by_clock(replace(PEAK, name="x" * 64)),
    ],
)
def test_a_tariff_at_the_edge_of_every_limit_breaks_no_rule(tariff: Tariff) -> None:
    """Limits are inclusive."""
    assert violated(tariff) == []


@pytest.mark.parametrize(
    ("tariff", "field", "reason"),
    [
        (replace(FLAT, tariff_id=""), "tariff_id", "FIELD_REQUIRED"),
        (replace(FLAT, tariff_id="x" * 129), "tariff_id", "INVALID_FORMAT"),
        (replace(FLAT, tariff_id="with space"), "tariff_id", "INVALID_FORMAT"),
        (replace(FLAT, tariff_id="line\n"), "tariff_id", "INVALID_FORMAT"),
        (replace(FLAT, display_name="x" * 201), "display_name", "OUT_OF_RANGE"),
        (replace(FLAT, currency_code=""), "currency_code", "FIELD_REQUIRED"),
        (replace(FLAT, currency_code="inr"), "currency_code", "INVALID_FORMAT"),
        (replace(FLAT, currency_code="RUPEE"), "currency_code", "INVALID_FORMAT"),
        (replace(FLAT, pricing=FlatPricing(Decimal("-1000000.01"))), "flat.price_per_kwh", "OUT_OF_RANGE"),
        (replace(FLAT, pricing=FlatPricing(Decimal("0.000000001"))), "flat.price_per_kwh", "OUT_OF_RANGE"),
        (replace(FLAT, pricing=FlatPricing(Decimal("1000000.01"))), "flat.price_per_kwh", "OUT_OF_RANGE"),
        (replace(FLAT, daily_charge=Decimal(-1)), "daily_charge", "OUT_OF_RANGE"),
        (replace(FLAT, tax_percent=Decimal("-0.0001")), "tax_percent", "OUT_OF_RANGE"),
        (replace(FLAT, tax_percent=Decimal("100.0001")), "tax_percent", "OUT_OF_RANGE"),
        (replace(FLAT, tax_percent=Decimal("18.00001")), "tax_percent", "OUT_OF_RANGE"),
        (replace(FLAT, tax_percent=Decimal("1e-99")), "tax_percent", "OUT_OF_RANGE"),
        (replace(FLAT, tax_percent=Decimal("1e99")), "tax_percent", "OUT_OF_RANGE"),
        (by_clock(), "time_of_use.periods", "FIELD_REQUIRED"),
        (
            by_clock(*(replace(PEAK, name=f"p{index}") for index in range(25))),
            "time_of_use.periods",
            "OUT_OF_RANGE",
        ),
        (by_clock(replace(PEAK, name="")), "time_of_use.periods[0].name", "FIELD_REQUIRED"),
        (by_clock(replace(PEAK, name="x" * 65)), "time_of_use.periods[0].name", "OUT_OF_RANGE"),
        (by_clock(PEAK, PEAK), "time_of_use.periods[1].name", "INVALID_FORMAT"),
        (
            by_clock(replace(PEAK, price_per_kwh=Decimal(-1_000_001))),
            "time_of_use.periods[0].price_per_kwh",
            "OUT_OF_RANGE",
        ),
        (by_clock(replace(PEAK, windows=())), "time_of_use.periods[0].windows", "FIELD_REQUIRED"),
        (by_clock(replace(PEAK, windows=(WINDOW,) * 33)), "time_of_use.periods[0].windows", "OUT_OF_RANGE"),
        (by_clock(PEAK, default_name=""), "time_of_use.default_name", "FIELD_REQUIRED"),
        (by_clock(PEAK, default_name="peak"), "time_of_use.default_name", "INVALID_FORMAT"),
        (by_clock(PEAK, default_price="-1000001"), "time_of_use.default_price_per_kwh", "OUT_OF_RANGE"),
    ],
)
def test_a_broken_rule_names_its_field_and_reason(tariff: Tariff, field: str, reason: str) -> None:
    """One rule broken, one violation."""
    assert violated(tariff) == [(f"tariff.{field}", reason)]


@pytest.mark.parametrize(
    ("days", "start_minute", "end_minute", "field"),
    [
        ({0}, -15, 60, "start_minute"),
        ({0}, 7, 60, "start_minute"),
        ({0}, 0, 0, "end_minute"),
        ({0}, 0, 1455, "end_minute"),
        ({0}, 0, 61, "end_minute"),
        ({0}, 60, 60, "end_minute"),
        ({0}, 120, 60, "end_minute"),
        ({-1}, 0, 60, "days_of_week"),
        ({7}, 0, 60, "days_of_week"),
    ],
)
def test_a_window_keeps_to_quarter_hours_of_one_day(
    days: set[int], start_minute: int, end_minute: int, field: str
) -> None:
    """It begins before it ends, on days that exist."""
    window = TimeOfUseWindow(frozenset(days), start_minute, end_minute)

    assert violated(by_clock(replace(PEAK, windows=(WINDOW, window)))) == [
        (f"tariff.time_of_use.periods[0].windows[1].{field}", "OUT_OF_RANGE")
    ]


@pytest.mark.parametrize("month", [0, 13, -1])
def test_a_season_is_of_months_that_exist(month: int) -> None:
    """January is 1, December 12."""
    window = replace(WINDOW, months=frozenset({6, month}))

    assert violated(by_clock(replace(PEAK, windows=(window,)))) == [
        ("tariff.time_of_use.periods[0].windows[0].months", "OUT_OF_RANGE")
    ]


def test_all_broken_rules_are_told_at_once_in_the_order_of_the_fields() -> None:
    """Nobody has to send a tariff five times to learn of five mistakes."""
    broken = Tariff(
        tariff_id="",
        display_name="x" * 201,
        currency_code="rupees",
        pricing=TimeOfUsePricing((replace(PEAK, windows=()),), "peak", Decimal(-1_000_001)),
        daily_charge=Decimal(-1),
        tax_percent=Decimal(101),
    )

    assert [field for field, _ in violated(broken)] == [
        "tariff.tariff_id",
        "tariff.display_name",
        "tariff.currency_code",
        "tariff.time_of_use.periods[0].windows",
        "tariff.time_of_use.default_name",
        "tariff.time_of_use.default_price_per_kwh",
        "tariff.daily_charge",
        "tariff.tax_percent",
    ]


STEP = PriceStep(Decimal(100), Decimal(9))
BANKED = ExportTerms(ExportMode.PERIOD_NETTING, FlatPricing(Decimal(1)), 4)
DEMAND = DemandCharge("all", Decimal(12))


def stepped(*above_kwh: str) -> FlatPricing:
    """A price with steps at some amounts."""
    return FlatPricing(Decimal(5), tuple(STEP._replace(above_kwh=Decimal(amount)) for amount in above_kwh))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"monthly_charge": Decimal(-1)}, "monthly_charge"),
        ({"minimum_monthly_charge": Decimal(1_000_001)}, "minimum_monthly_charge"),
        ({"fixed_charge_tax_percent": Decimal(101)}, "fixed_charge_tax_percent"),
        ({"export_tax_percent": Decimal(-1)}, "export_tax_percent"),
        ({"pricing": stepped("100", "100")}, "flat.steps[1].above_kwh"),
        ({"pricing": stepped("0")}, "flat.steps[0].above_kwh"),
        ({"pricing": stepped("0.0000001")}, "flat.steps[0].above_kwh"),
        ({"pricing": stepped(*(str(amount) for amount in range(1, 26)))}, "flat.steps"),
        ({"demand_charges": (replace(DEMAND, window_minutes=20),)}, "demand_charges[0].window_minutes"),
        ({"demand_charges": (replace(DEMAND, price_per_kw=Decimal(-1)),)}, "demand_charges[0].price_per_kw"),
        ({"demand_charges": (replace(DEMAND, ratchet_percent=Decimal(80)),)}, "demand_charges[0].lookback_months"),
        ({"demand_charges": (replace(DEMAND, lookback_months=13),)}, "demand_charges[0].lookback_months"),
        ({"demand_charges": tuple(replace(DEMAND, name=str(number)) for number in range(9))}, "demand_charges"),
        ({"export": replace(BANKED, true_up_month=0)}, "export.true_up_month"),
        ({"export": ExportTerms(ExportMode.NET_BILLING, stepped("1"))}, "export"),
        ({"export": BANKED, "pricing": stepped("1")}, "tier_rules"),
    ],
)
def test_terms_that_cannot_be_rated_name_their_field(changes: dict[str, Any], field: str) -> None:
    """Steps rise, windows fit into hours, a bank has a month in which it is settled."""
    assert violated(replace(FLAT, **changes)) == [(f"tariff.{field}", "OUT_OF_RANGE")]


def test_demand_charges_have_names_of_their_own() -> None:
    """The bill tells them apart by it."""
    assert violated(replace(FLAT, demand_charges=(DEMAND, DEMAND))) == [
        ("tariff.demand_charges[1].name", "INVALID_FORMAT")
    ]
