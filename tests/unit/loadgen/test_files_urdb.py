"""Prices of the US Utility Rate Database as tariffs: both spellings, what is left open, and what is told."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from energy.billing.v1 import tariff_pb2 as pb

from common.money import to_decimal
from loadgen.files.file_readings import FileError
from loadgen.files.urdb_file import read_urdb
from loadgen.files.urdb_tariff import UrdbChoices, urdb_tariff
from tests.unit.loadgen.urdb_cases import FLAT, NIGHT, RATE, TIERS, WEEKDAY, steps, taken


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
