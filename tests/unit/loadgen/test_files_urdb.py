"""Rates of the US Utility Rate Database as tariffs: both spellings, what is left open, and what is refused where."""

import json
from copy import deepcopy
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from energy.billing.v1 import tariff_pb2 as pb

from common.money import to_decimal
from loadgen.files.file_readings import FileError
from loadgen.files.urdb_file import read_urdb
from loadgen.files.urdb_tariff import UrdbChoices, UrdbTariff, urdb_tariff

NIGHT, PEAK = 0, 1
WEEKDAY = [NIGHT] * 17 + [PEAK] * 4 + [NIGHT] * 3
RATE: dict[str, Any] = {
    "label": "rate-1",
    "utility": "Utility",
    "name": "Evenings",
    "startdate": 1735718400,
    "energyratestructure": [[{"rate": 0.1, "adj": 0.01, "unit": "kWh"}], [{"rate": 0.4, "unit": "kWh"}]],
    "energyweekdayschedule": [WEEKDAY] * 12,
    "energyweekendschedule": [[NIGHT] * 24] * 12,
}
FLAT: dict[str, Any] = {
    "energyweekdayschedule": [[0] * 24] * 12,
    "energyweekendschedule": [[0] * 24] * 12,
}
TIERS: dict[str, Any] = {
    **FLAT,
    "energyratestructure": [
        [
            {"rate": 0.1, "max": 500, "unit": "kWh"},
            {"rate": 0.2, "max": 800.5, "unit": "kWh"},
            {"rate": 0.3, "max": 1e38, "unit": "kWh"},
        ]
    ],
}


def taken(folder: Path, *, choices: UrdbChoices | None = None, **changes: Any) -> UrdbTariff:
    """The tariff of the rate but for some fields."""
    path = folder / "rate.json"
    path.write_text(json.dumps({"items": [{**deepcopy(RATE), **changes}]}))
    return urdb_tariff(read_urdb(path), choices or UrdbChoices("t"))


def steps(pricing: pb.FlatPricing) -> list[tuple[str, Decimal]]:
    """Amount and price of each step."""
    return [(step.above_kwh.value, to_decimal(step.price_per_kwh)) for step in pricing.steps]


def test_prices_by_the_hour_become_windows_of_the_clock(tmp_path: Path) -> None:
    """Rate and adjustment are one price; the most common period is the rest of the time."""
    found = taken(tmp_path)
    pricing = found.tariff.time_of_use

    assert to_decimal(pricing.default_price_per_kwh) == Decimal("0.11")
    (peak,) = pricing.periods
    (window,) = peak.windows
    assert to_decimal(peak.price_per_kwh) == Decimal("0.4")
    assert (list(window.days_of_week), window.start_minute, window.end_minute) == ([1, 2, 3, 4, 5], 17 * 60, 21 * 60)
    assert (found.tariff.display_name, str(found.start)) == ("Utility: Evenings", "2025-01-01 08:00:00+00:00")


def test_the_same_hours_on_weekdays_and_weekends_and_in_some_months_are_one_window(tmp_path: Path) -> None:
    """Peak from 17 to 21 on every day from June to September."""
    summer = [WEEKDAY if 6 <= month <= 9 else [NIGHT] * 24 for month in range(1, 13)]
    (peak,) = taken(tmp_path, energyweekdayschedule=summer, energyweekendschedule=summer).tariff.time_of_use.periods

    (window,) = peak.windows
    assert (list(window.days_of_week), list(window.months)) == ([], [6, 7, 8, 9])


def test_one_price_at_any_time_is_flat_and_its_tiers_are_steps(tmp_path: Path) -> None:
    """A bound of 1e38 is none."""
    tariff = taken(tmp_path, **TIERS).tariff

    assert to_decimal(tariff.flat.price_per_kwh) == Decimal("0.1")
    assert steps(tariff.flat) == [("500", Decimal("0.2")), ("800.5", Decimal("0.3"))]
    assert tariff.tier_rules.allowance == pb.TIER_ALLOWANCE_MONTH


def test_an_allowance_by_the_day_is_that_of_all_days_of_the_month(tmp_path: Path) -> None:
    """So the database means it."""
    tiers = [[{"rate": 0.1, "max": 10, "unit": "kWh daily"}, {"rate": 0.2, "unit": "kWh daily"}]]

    assert taken(tmp_path, **FLAT, energyratestructure=tiers).tariff.tier_rules.allowance == (
        pb.TIER_ALLOWANCE_DAYS_OF_MONTH
    )


def test_what_tiers_count_is_asked_for_where_there_are_several_prices(tmp_path: Path) -> None:
    """A file does not say whether it is the energy of each period or all of it."""
    structure = [TIERS["energyratestructure"][0], [{"rate": 0.4, "unit": "kWh"}]]
    with pytest.raises(FileError, match="choose tariff or price"):
        taken(tmp_path, energyratestructure=structure)

    tariff = taken(tmp_path, energyratestructure=structure, choices=UrdbChoices("t", tier_counter="price")).tariff

    assert tariff.tier_rules.counter == pb.TIER_COUNTER_PRICE


def test_the_other_spelling_with_nested_tiers_is_the_same_rate(tmp_path: Path) -> None:
    """As bulk dumps have it; a file may mix both."""
    nested = {key: value for key, value in RATE.items() if not key.startswith("energyrate")}
    nested["energyRateStrux"] = [{"energyRateTiers": tiers} for tiers in RATE["energyratestructure"]]
    nested["energyWeekdaySched"] = nested.pop("energyweekdayschedule")
    nested["fixedChargeFirstMeter"], nested["fixedChargeUnits"] = 9.62, "$/month"
    path = tmp_path / "dump.json"
    path.write_text(json.dumps([nested]))

    other = urdb_tariff(read_urdb(path), UrdbChoices("t")).tariff

    assert other.time_of_use == taken(tmp_path).tariff.time_of_use
    assert to_decimal(other.monthly_charge) == Decimal("9.62")


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


def test_holidays_tax_and_currency_are_said_by_who_imports(tmp_path: Path) -> None:
    """None of them is in a file."""
    choices = UrdbChoices("t", "CAD", Decimal("7.5"), [date(2026, 12, 25)])

    tariff = taken(tmp_path, choices=choices).tariff

    assert (tariff.currency_code, tariff.tax_percent.value) == ("CAD", "7.5")
    assert [(day.month, day.day) for day in tariff.time_of_use.holidays] == [(12, 25)]


def test_what_is_not_taken_is_told(tmp_path: Path) -> None:
    """Reactive power, a rate that has ended, a price of more than 8 decimals."""
    found = taken(
        tmp_path,
        demandreactivepowercharge=0.52,
        enddate=1462172400,
        energyratestructure=[[{"rate": 0.123456789}], [{"rate": 0.4}]],
    )

    assert to_decimal(found.tariff.time_of_use.default_price_per_kwh) == Decimal("0.12345679")
    for told in ("reactive power", "ended on 2016-05-02", "rounded to 8 decimals"):
        assert any(told in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"energyratestructure": []}, "energyratestructure is missing"),
        ({"energyratestructure": "x"}, "energyratestructure must be a list"),
        ({"energyratestructure": [[], [{"rate": 1}]]}, r"energyratestructure\[0\] must be a list of tiers"),
        ({"energyratestructure": [[{"unit": "kWh"}], [{"rate": 1}]]}, r"energyratestructure\[0\]\[0\] has no rate"),
        ({"energyratestructure": [[{"rate": "a"}], [{"rate": 1}]]}, r"\[0\]\[0\].rate is 'a', must be a number"),
        ({"energyratestructure": [[{"rate": 1}, {"rate": 2}]], **FLAT}, "has no max, so the tiers after it"),
        (
            {"energyratestructure": [[{"rate": 1, "max": 5, "unit": "kWh/kW"}, {"rate": 2, "unit": "kWh/kW"}]], **FLAT},
            "has tiers by kwh/kw",
        ),
        ({"energyweekdayschedule": [WEEKDAY] * 11}, "energyweekdayschedule has 11 months, must have 12"),
        ({"energyweekendschedule": None}, "energyweekendschedule is missing"),
        (
            {"energyweekdayschedule": [WEEKDAY] * 3 + [WEEKDAY[:-1]] + [WEEKDAY] * 8},
            r"energyweekdayschedule\[3\] has 23 entries, must have 24",
        ),
        (
            {"energyweekdayschedule": [[2] * 24] * 12},
            r"energyweekdayschedule\[0\]\[0\] is 2, must be a period from 0 to 1",
        ),
        ({"flatdemandstructure": [[{"rate": 1}]]}, "flatdemandmonths is missing"),
        (
            {"flatdemandstructure": [[{"rate": 1}]], "flatdemandmonths": [0] * 12, "demandunits": "kVA"},
            "demandunits is kva, taken is kW",
        ),
        (
            {"flatdemandstructure": [[{"rate": 1, "max": 5}, {"rate": 2}]], "flatdemandmonths": [0] * 12},
            "has tiers of demand",
        ),
        ({"fixedchargefirstmeter": 5, "fixedchargeunits": "$/year"}, "fixedchargeunits is \\$/year"),
        ({"startdate": 10**20}, "startdate must be seconds since 1970"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_place(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    """Never a silent zero."""
    with pytest.raises(FileError, match=told):
        taken(tmp_path, **changes)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ('{"items": [{"rate": NaN}]}', "NaN is no number"),
        ('{"error": {"code": "API_KEY_MISSING", "message": "No api_key was supplied."}}', "No api_key was supplied"),
        ('{"items": []}', "none"),
        ('{"items": [{"label": "a"}, {"label": "b"}]}', "name one of its rates by its label: a, b"),
        ("[1]", "holds no rate"),
        ('"x"', "holds no rate"),
    ],
)
def test_a_file_without_one_rate_is_refused(tmp_path: Path, content: str, told: str) -> None:
    """Error replies of the database among them."""
    path = tmp_path / "rate.json"
    path.write_text(content)

    with pytest.raises(FileError, match=told):
        read_urdb(path)
    with pytest.raises(FileError):
        read_urdb(tmp_path / "missing.json")
