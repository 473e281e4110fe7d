"""Questions for revenue: the span before, what is refused, and how sums are told."""

from datetime import date

import pytest
from energy.billing.v1.invoice_service_pb2 import GetRevenueAnalyticsRequest
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from billing.invoices.revenue_codec import SpanOfDays, average_price, before, group_message, revenue_question
from billing.invoices.revenue_store import Grouping, RevenuePlace, RevenueSums
from common.errors import InvalidArgument


@pytest.mark.parametrize(
    ("start", "end", "earlier"),
    [
        (date(2026, 3, 1), date(2026, 4, 1), date(2026, 2, 1)),
        (date(2026, 1, 1), date(2026, 4, 1), date(2025, 10, 1)),
        (date(2026, 1, 1), date(2027, 1, 1), date(2025, 1, 1)),
        (date(2026, 3, 5), date(2026, 3, 15), date(2026, 2, 23)),
        (date(1970, 1, 1), date(1970, 2, 1), date(1969, 12, 1)),
    ],
)
def test_whole_months_are_compared_with_months_and_days_with_days(start: date, end: date, earlier: date) -> None:
    """However long the months are."""
    assert before(SpanOfDays(start, end)) == earlier


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (GetRevenueAnalyticsRequest(), ["start_date", "end_date"]),
        (
            GetRevenueAnalyticsRequest(group_by=9, start_date=Date(year=2026, month=2, day=30)),  # type: ignore[arg-type]
            ["group_by", "start_date", "end_date"],
        ),
        (
            GetRevenueAnalyticsRequest(
                start_date=Date(year=1969, month=1, day=1), end_date=Date(year=1970, month=1, day=1)
            ),
            ["start_date"],
        ),
        (
            GetRevenueAnalyticsRequest(
                start_date=Date(year=2026, month=1, day=1), end_date=Date(year=2029, month=1, day=2)
            ),
            ["end_date"],
        ),
    ],
)
def test_a_broken_question_is_refused_field_by_field(request_: GetRevenueAnalyticsRequest, fields: list[str]) -> None:
    """Three years and a day are too long."""
    with pytest.raises(InvalidArgument) as refused:
        revenue_question(request_, 0)

    assert [one.field for one in refused.value.violations] == fields


def test_a_group_tells_its_months_their_sum_and_the_change() -> None:
    """30.00 where 20.00 were: half as much again; 25.00 of it before tax for 100 kWh."""
    months = {
        "2026-01": RevenueSums(billed=1000, tax=200, milliwatt_hours=40_000_000, invoice_count=1),
        "2026-02": RevenueSums(billed=2000, tax=300, milliwatt_hours=60_000_000, invoice_count=2),
        "": RevenueSums(billed=2000),
    }

    found = group_message(RevenuePlace("EUR", "north"), months)

    assert (found.total.billed, found.billed_change) == (
        Money(currency_code="EUR", units=30),
        Money(currency_code="EUR", units=10),
    )
    assert found.billed_change_percent.value == "50"
    assert [(one.month.month, one.revenue.invoice_count) for one in found.months] == [(1, 1), (2, 2)]
    assert found.total.energy_kwh.value == "100"
    assert found.total.average_price_per_kwh == Money(currency_code="EUR", nanos=250_000_000)
    alone = group_message(RevenuePlace("EUR", ""), {"2026-01": months["2026-01"]})
    assert not alone.HasField("billed_change_percent")


def test_an_average_price_is_rounded_to_eight_decimals_and_absent_without_energy() -> None:
    """10.00 for 3 kWh."""
    assert average_price(RevenueSums(billed=1000, milliwatt_hours=3_000_000), "EUR") == Money(
        currency_code="EUR", units=3, nanos=333_333_330
    )
    assert average_price(RevenueSums(billed=1000), "EUR") is None


def test_groupings_are_those_of_the_contract() -> None:
    """By default only currencies are told apart."""
    days = {"start_date": Date(year=2026, month=1, day=1), "end_date": Date(year=2026, month=2, day=1)}

    found = [revenue_question(GetRevenueAnalyticsRequest(group_by=one, **days), 0)[1] for one in range(4)]  # type: ignore[arg-type]

    assert found == [Grouping.NONE, Grouping.ACCOUNT, Grouping.REGION, Grouping.TARIFF]
