"""The demonstration's report: what programs read, and what a person reads."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from energy.analytics.v1.fleet_pb2 import FleetCount, FleetSummary
from energy.analytics.v1.performance_pb2 import Performance
from energy.billing.v1.invoice_pb2 import (
    INVOICE_LINE_KIND_DAILY_CHARGE,
    INVOICE_LINE_KIND_ENERGY,
    Invoice,
    InvoiceLine,
    InvoiceTax,
)
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money

from common.money import from_decimal
from loadgen.connection import Addresses
from loadgen.demo_page import render
from loadgen.demo_report import DemoReport, as_json, price_text, write_json

ADDRESSES = Addresses("127.0.0.1:1001", "127.0.0.1:1003", "127.0.0.1:1004")


def rupees(amount: str) -> Money:
    """An amount in INR."""
    return from_decimal(Decimal(amount), "INR")


def invoice() -> Invoice:
    """A bill of 10 kWh at 8.50 and a daily charge."""
    return Invoice(
        account_id="acc-1",
        device_id="meter-1",
        start_date=Date(year=2026, month=3, day=1),
        end_date=Date(year=2026, month=3, day=2),
        time_zone="Asia/Kolkata",
        currency_code="INR",
        lines=[
            InvoiceLine(
                kind=INVOICE_LINE_KIND_ENERGY,
                description="Energy, peak",
                price_name="peak",
                quantity=DecimalMessage(value="10.000001"),
                unit="kWh",
                unit_price=rupees("8.5"),
                amount=rupees("85"),
                reading_count=1440,
            ),
            InvoiceLine(
                kind=INVOICE_LINE_KIND_DAILY_CHARGE,
                description="Daily charge",
                quantity=DecimalMessage(value="1"),
                unit="day",
                unit_price=rupees("3"),
                amount=rupees("3"),
            ),
        ],
        net=rupees("88"),
        taxes=[InvoiceTax(percent=DecimalMessage(value="18"), base=rupees("88"), amount=rupees("15.84"))],
        tax=rupees("15.84"),
        total=rupees("103.84"),
        reading_count=1440,
    )


def full_report() -> DemoReport:
    """A report in which everything was found out and all is well."""
    report = DemoReport(
        setup_seconds=12.3456,
        run_seconds=100.0,
        readings_sent=112,
        readings_acked=110,
        readings_refused_by_reason={"OUT_OF_RANGE": 2},
        readings_duplicate=10,
        readings_stored=100,
        bill=invoice(),
        bill_checked_readings=1440,
        performance=Performance(
            device_id="vehicle-1", ac_kwh=10.0, dc_kwh=9.0, efficiency=0.9, meter_ids=["charger-1"]
        ),
        fleet=FleetSummary(
            device_count=2, counts=[FleetCount(kind=DEVICE_KIND_METER, state="REPORTING", device_count=2)]
        ),
    )
    report.log_latency.record(4.0)
    report.hot_latency.record(300.0)
    return report


def test_programs_find_every_agreed_key() -> None:
    """The keys of the file are a contract."""
    written = as_json(full_report())

    assert set(written) == {
        "setup_seconds",
        "run_seconds",
        "readings_sent",
        "readings_acked",
        "readings_refused",
        "readings_refused_by_reason",
        "readings_duplicate",
        "readings_stored",
        "bill",
        "performance",
        "fleet",
        "latency_ms",
    }
    assert set(written["latency_ms"]) == {"log_p50", "log_p99", "hot_p50", "hot_p99"}
    assert written["readings_refused"] == 2


def test_money_and_quantities_are_exact_decimal_strings() -> None:
    """No float stands between a bill and its reader."""
    bill = as_json(full_report())["bill"]

    assert bill["account_id"] == "acc-1"
    assert bill["currency"] == "INR"
    assert bill["lines"][0] == {
        "description": "Energy, peak",
        "quantity": "10.000001",
        "unit": "kWh",
        "unit_price": "8.50",
        "amount": "85.00",
    }
    assert (bill["tax"], bill["total"]) == ("15.84", "103.84")


def test_what_was_not_measured_is_null_and_never_zero() -> None:
    """A vehicle without a temperature, and a report without a bill."""
    report = full_report()
    report.bill = None
    report.hot_latency = DemoReport().hot_latency

    written = as_json(report)

    assert written["performance"]["battery_temperature_celsius"] is None
    assert written["performance"]["efficiency"] == 0.9
    assert written["bill"] is None
    assert written["latency_ms"]["hot_p50"] is None


def test_the_file_is_written_into_a_folder_that_is_made_for_it(tmp_path: Path) -> None:
    """The first run finds no folder."""
    path = tmp_path / "demo" / "report.json"

    write_json(full_report(), path)

    assert json.loads(path.read_text(encoding="utf-8"))["readings_acked"] == 110


def test_a_page_of_a_good_run_says_that_all_is_well() -> None:
    """The sum is shown as an equation and the bill as checked."""
    page = render(full_report(), ADDRESSES)

    assert "110 = acked" in page
    assert "bill checked against 1,440 readings" in page
    assert "OUT_OF_RANGE" in page
    assert "All is well" in page
    assert "Problem" not in page


def test_a_page_of_books_that_do_not_balance_says_so() -> None:
    """One reading lost is a problem that nobody overlooks."""
    report = full_report()
    report.readings_stored = 99
    report.problems.append("the store holds too little")

    page = render(report, ADDRESSES)

    assert "109 is not acked" in page
    assert "Problem: the store holds too little" in page
    assert "All is well" not in page


def test_a_page_of_a_run_that_found_nothing_out_still_renders() -> None:
    """Every answer may be missing."""
    page = render(DemoReport(problems=["nothing answered"]), ADDRESSES)

    assert "not known" in page
    assert "127.0.0.1:1003" in page


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [("8.5", "INR", "8.50"), ("0.12345", "INR", "0.12345"), ("7", "JPY", "7"), ("120", "INR", "120.00")],
)
def test_a_price_has_the_decimals_of_its_currency_or_as_many_more_as_it_needs(
    amount: str, currency: str, text: str
) -> None:
    """Prices per kWh may be finer than a coin."""
    assert price_text(from_decimal(Decimal(amount), currency)) == text
