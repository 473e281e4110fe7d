"""Demand, charges and export of the US Utility Rate Database as terms of a tariff."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from energy.billing.v1 import tariff_pb2 as pb

from common.money import to_decimal
from loadgen.files.urdb_tariff import UrdbChoices
from tests.unit.loadgen.urdb_cases import DEMAND, NIGHT, WEEKDAY, taken


def test_demand_by_the_clock_and_by_months_stand_side_by_side(tmp_path: Path) -> None:
    """A charge of 0 is none; the window that is not given is 15 minutes, and said so."""
    found = taken(
        tmp_path,
        flatdemandstructure=[[{"rate": 3}], [{"rate": 5, "adj": 0.5}]],
        flatdemandmonths=[0] * 5 + [1] * 4 + [0] * 3,
        demandratestructure=[[{"rate": 0}], [{"rate": 12}]],
        demandweekdayschedule=[WEEKDAY] * 12,
        demandweekendschedule=[[NIGHT] * 24] * 12,
        lookbackpercent=0.8,
        lookbackrange=6,
    )

    told = [
        (
            charge.name,
            to_decimal(charge.price_per_kw),
            [list(one.months) for one in charge.windows],
            charge.window_minutes,
        )
        for charge in found.tariff.demand_charges
    ]
    assert told == [
        ("demand 0", Decimal(3), [[1, 2, 3, 4, 5, 10, 11, 12]], 15),
        ("demand 1", Decimal("5.5"), [[6, 7, 8, 9]], 15),
        ("demand by the clock 1", Decimal(12), [[]], 15),
    ]
    assert {(Decimal(one.ratchet_percent.value), one.lookback_months) for one in found.tariff.demand_charges} == {
        (Decimal(80), 6)
    }
    assert any("demandwindow" in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("fields", "months"),
    [
        ({"lookbackrange": 6}, 6),
        ({"lookbackmonths": [1] * 12}, 11),
        ({"lookbackmonths": [True] * 12, "lookbackrange": 3}, 3),
        ({"lookbackmonths": [0] * 12, "lookbackrange": 3}, 3),
    ],
)
def test_a_lookback_is_over_the_months_that_the_rate_says(tmp_path: Path, fields: dict[str, Any], months: int) -> None:
    """Of a range, or of the year where all months are named."""
    (charge,) = taken(tmp_path, **DEMAND, **fields).tariff.demand_charges

    assert (Decimal(charge.ratchet_percent.value), charge.lookback_months) == (Decimal(75), months)


def test_a_charge_of_a_year_is_billed_by_the_month_and_a_minimum_of_a_year_is_not(tmp_path: Path) -> None:
    """Both are told."""
    found = taken(
        tmp_path, fixedchargefirstmeter=100, fixedchargeunits="$/year", mincharge=240, minchargeunits="$/year"
    )

    assert to_decimal(found.tariff.monthly_charge) == Decimal("8.33333333")
    assert not found.tariff.HasField("minimum_monthly_charge")
    for told in (
        "a twelfth of it, 8.33333333, is billed a month",
        "mincharge is not billed: it is the minimum of a year",
    ):
        assert any(told in remark for remark in found.remarks)


SOLD: list[list[dict[str, Any]]] = [[{"rate": 0.1, "sell": 0.05}], [{"rate": 0.4, "sell": 0.2}]]


@pytest.mark.parametrize(
    ("rules", "mode"),
    [
        ("", pb.EXPORT_MODE_NET_BILLING),
        ("Net Billing Instantaneous", pb.EXPORT_MODE_NET_BILLING),
        ("Net Billing Hourly", pb.EXPORT_MODE_INTERVAL_NETTING),
        ("Buy All Sell All", pb.EXPORT_MODE_NET_BILLING),
    ],
)
def test_the_rule_of_a_rate_says_what_its_sell_prices_are_for(tmp_path: Path, rules: str, mode: int) -> None:
    """Beside net metering, which needs a true-up."""
    assert taken(tmp_path, energyratestructure=SOLD, dgrules=rules).tariff.export.mode == mode


def test_a_period_without_a_sell_price_is_told(tmp_path: Path) -> None:
    """What is given in it earns nothing."""
    found = taken(tmp_path, energyratestructure=[SOLD[0], [{"rate": 0.4}]])

    assert to_decimal(found.tariff.export.time_of_use.default_price_per_kwh) == Decimal("0.05")
    assert "energyratestructure[1] has no sell price: export in it earns nothing" in found.remarks


def test_usage_outside_of_the_time_of_a_rate_is_told(tmp_path: Path) -> None:
    """The rate holds from 2025-01-01 up to 2026-01-01; the one that it supersedes is named."""
    found = taken(tmp_path, enddate=1767254400, supersedes="rate-0")
    start_ms, end_ms, hour_ms = 1735718400_000, 1767254400_000, 3_600_000

    assert found.remarks_on(start_ms, end_ms) == []
    (before,) = found.remarks_on(start_ms - hour_ms, end_ms)
    (after,) = found.remarks_on(start_ms, end_ms + hour_ms)
    assert "holds from 2025-01-01 on, and there is usage before" in before
    assert "ended on 2026-01-01, and there is usage after" in after
    assert any("takes the place of rate-0" in remark for remark in found.remarks)


def test_charges_have_the_unit_that_the_rate_says(tmp_path: Path) -> None:
    """By day, by month, a minimum, and the older fields."""
    by_day = taken(tmp_path, fixedchargefirstmeter=0.5, fixedchargeunits="$/day", mincharge=10).tariff
    older = taken(tmp_path, fixedmonthlycharge=7.5, minmonthlycharge=12).tariff

    assert (to_decimal(by_day.daily_charge), to_decimal(by_day.minimum_monthly_charge)) == (Decimal("0.5"), Decimal(10))
    assert (to_decimal(older.monthly_charge), to_decimal(older.minimum_monthly_charge)) == (Decimal("7.5"), Decimal(12))


def test_export_is_paid_by_its_sell_price_or_set_off_where_that_is_asked_for(tmp_path: Path) -> None:
    """Without either the bill is without it, and that is said."""
    structure = [[{"rate": 0.1, "sell": 0.05}], [{"rate": 0.4, "sell": 0.2}]]
    sold = taken(tmp_path, energyratestructure=structure).tariff.export
    choices = UrdbChoices("t", net_metering_sell=Decimal("0.03"), true_up_month=4)
    netted = taken(tmp_path, dgrules="Net Metering", choices=choices).tariff.export
    unsaid = taken(tmp_path, dgrules="Net Metering")

    assert (sold.mode, len(sold.time_of_use.periods)) == (pb.EXPORT_MODE_NET_BILLING, 1)
    assert (netted.mode, netted.true_up_month) == (pb.EXPORT_MODE_PERIOD_NETTING, 4)
    assert not unsaid.tariff.HasField("export")
    assert any("Net Metering" in remark for remark in unsaid.remarks)
