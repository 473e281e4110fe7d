"""Questions for revenue and their answers between the contract and the sums of the store."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal

from energy.billing.v1 import revenue_pb2
from energy.billing.v1.invoice_service_pb2 import GetRevenueAnalyticsRequest
from energy.billing.v1.tariff_service_pb2 import GetTariffAnalyticsRequest
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from billing.invoices.invoice_codec import YEAR_MAXIMUM, YEAR_MINIMUM
from billing.invoices.revenue_store import Grouping, RevenuePlace, RevenueSpan, RevenueSums
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_holders import Holders
from billing.tariffs.tariff_reader import decimal_message
from common.errors import FieldViolation, InvalidArgument
from common.money import coins_decimal, from_coins, from_decimal

SPAN_DAYS_MAXIMUM = 1096
_MILLIWATT_HOURS_PER_KWH = Decimal(1_000_000)
_ROUNDING = Context(prec=40, rounding=ROUND_HALF_UP)
_PRICE_STEP = Decimal("0.00000001")
_PERCENT_STEP = Decimal("0.01")
_GROUPINGS = {
    revenue_pb2.REVENUE_GROUPING_UNSPECIFIED: Grouping.NONE,
    revenue_pb2.REVENUE_GROUPING_ACCOUNT: Grouping.ACCOUNT,
    revenue_pb2.REVENUE_GROUPING_REGION: Grouping.REGION,
    revenue_pb2.REVENUE_GROUPING_TARIFF: Grouping.TARIFF,
}


@dataclass(frozen=True, slots=True)
class SpanOfDays:
    """The days [start_date, end_date)."""

    start_date: date
    end_date: date


def revenue_question(request: GetRevenueAnalyticsRequest, now_ms: int) -> tuple[RevenueSpan, Grouping]:
    """What is to be summed, and how it is told apart.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations: list[FieldViolation] = []
    grouping = _GROUPINGS.get(request.group_by)
    if grouping is None:
        violations.append(FieldViolation("group_by", "INVALID_FORMAT", "must be one of the values of the contract"))
    days = span_of_days(request, violations)
    # Without a grouping there are violations.
    assert grouping is not None  # noqa: S101
    return RevenueSpan(before(days), days.start_date, days.end_date, now_ms), grouping


def span_of_days(
    request: GetRevenueAnalyticsRequest | GetTariffAnalyticsRequest, violations: list[FieldViolation]
) -> SpanOfDays:
    """The days that are asked for.

    Raises:
        InvalidArgument: with `violations` and every rule that the days break.
    """
    found: dict[str, date] = {}
    for field, message in (("start_date", request.start_date), ("end_date", request.end_date)):
        if not message.year:
            violations.append(FieldViolation(field, "FIELD_REQUIRED", "is required"))
            continue
        try:
            day = date(message.year, message.month, message.day)
        except (ValueError, OverflowError):
            violations.append(FieldViolation(field, "INVALID_FORMAT", "must be a day of the calendar"))
            continue
        if not YEAR_MINIMUM <= day.year <= YEAR_MAXIMUM:
            allowed = f"must lie in the years {YEAR_MINIMUM} to {YEAR_MAXIMUM}"
            violations.append(FieldViolation(field, "OUT_OF_RANGE", allowed))
            continue
        found[field] = day
    if len(found) == len(("start_date", "end_date")):
        days = SpanOfDays(found["start_date"], found["end_date"])
        if not 0 < (days.end_date - days.start_date).days <= SPAN_DAYS_MAXIMUM:
            allowed = f"must be after start_date, at most {SPAN_DAYS_MAXIMUM} days later"
            violations.append(FieldViolation("end_date", "OUT_OF_RANGE", allowed))
        refuse(violations)
        return days
    raise InvalidArgument(violations)


def before(days: SpanOfDays) -> date:
    """The first day of the span before: of whole months as many months, of another span as many days."""
    start, end = days.start_date, days.end_date
    if start.day == end.day == 1:
        month = 2 * (start.year * 12 + start.month) - (end.year * 12 + end.month) - 1
        return date(max(1, month // 12), month % 12 + 1, 1)
    return start - (end - start)


def group_message(place: RevenuePlace, by_month: Mapping[str, RevenueSums]) -> revenue_pb2.GroupRevenue:
    """The message of a group, from its sums by month and, by the empty text, those of the span before."""
    code = place.currency_code
    months = sorted(month for month in by_month if month)
    total, previous = added_up([by_month[month] for month in months]), by_month.get("", RevenueSums())
    change = total.billed - previous.billed
    percent = None
    if previous.billed:
        percent = _ROUNDING.divide(Decimal(change * 100), Decimal(abs(previous.billed)))
        percent = percent.quantize(_PERCENT_STEP, context=_ROUNDING)
    return revenue_pb2.GroupRevenue(
        currency_code=code,
        group=place.group,
        total=_revenue_message(total, code),
        previous=_revenue_message(previous, code),
        billed_change=from_coins(change, code),
        billed_change_percent=None if percent is None else decimal_message(percent),
        months=[
            revenue_pb2.MonthRevenue(month=_month_message(month), revenue=_revenue_message(by_month[month], code))
            for month in months
        ],
    )


def tariff_message(tariff_id: str, currency_code: str, sums: RevenueSums, held: Holders) -> revenue_pb2.TariffRevenue:
    """The message of a tariff."""
    return revenue_pb2.TariffRevenue(
        tariff_id=tariff_id,
        currency_code=currency_code,
        assigned_device_count=held.device_count,
        assigned_account_count=len(held.account_ids),
        invoice_count=sums.invoice_count,
        energy_kwh=decimal_message(kilowatt_hours(sums.milliwatt_hours)),
        export_kwh=decimal_message(kilowatt_hours(sums.export_milliwatt_hours)),
        energy=from_coins(sums.energy, currency_code),
        demand=from_coins(sums.demand, currency_code),
        fixed=from_coins(sums.fixed, currency_code),
        export=from_coins(sums.export, currency_code),
        rounding=from_coins(sums.other, currency_code),
        tax=from_coins(sums.tax, currency_code),
        billed=from_coins(sums.billed, currency_code),
        average_price_per_kwh=average_price(sums, currency_code),
    )


def added_up(some: list[RevenueSums]) -> RevenueSums:
    """The sums of several months."""
    return RevenueSums(*(sum(getattr(one, field.name) for one in some) for field in fields(RevenueSums)))


def kilowatt_hours(milliwatt_hours: int) -> Decimal:
    """Whole milliwatt-hours in kWh, exact."""
    return Decimal(milliwatt_hours) / _MILLIWATT_HOURS_PER_KWH


def average_price(sums: RevenueSums, currency_code: str) -> Money | None:
    """What was billed without tax for each kWh; None where no energy was."""
    if sums.milliwatt_hours <= 0:
        return None
    net = coins_decimal(sums.billed - sums.tax, currency_code)
    price = _ROUNDING.divide(net, kilowatt_hours(sums.milliwatt_hours))
    return from_decimal(price.quantize(_PRICE_STEP, context=_ROUNDING), currency_code)


def _revenue_message(sums: RevenueSums, currency_code: str) -> revenue_pb2.Revenue:
    return revenue_pb2.Revenue(
        billed=from_coins(sums.billed, currency_code),
        tax=from_coins(sums.tax, currency_code),
        adjustments=from_coins(sums.adjustments, currency_code),
        credited=from_coins(sums.credited, currency_code),
        paid=from_coins(sums.paid, currency_code),
        outstanding=from_coins(sums.outstanding, currency_code),
        overdue=from_coins(sums.overdue, currency_code),
        energy_kwh=decimal_message(kilowatt_hours(sums.milliwatt_hours)),
        export_kwh=decimal_message(kilowatt_hours(sums.export_milliwatt_hours)),
        invoice_count=sums.invoice_count,
        average_price_per_kwh=average_price(sums, currency_code),
    )


def _month_message(month: str) -> Date:
    year, number = month.split("-")
    return Date(year=int(year), month=int(number), day=1)
