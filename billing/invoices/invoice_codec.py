"""Bills between the contract and the rules that make them of readings."""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal

from energy.billing.v1 import invoice_pb2
from energy.billing.v1.invoice_service_pb2 import (
    BillReference,
    ExplainInvoiceRequest,
    GenerateInvoicesRequest,
    PreviewInvoiceRequest,
)
from energy.billing.v1.tariff_service_pb2 import EstimateCostRequest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.fraction_pb2 import Fraction as FractionMessage

from billing.invoices.bill_hold import BillHold, HoldReason
from billing.invoices.invoice import BilledPeriod, Invoice, InvoiceLine, InvoiceTax
from billing.tariffs.rated_line import LineKind
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_reader import decimal_message
from billing.tariffs.tariff_terms_codec import ROUNDING_LEVELS, ROUNDING_MODES
from billing.tariffs.tariff_validation import id_violations
from common.errors import FieldViolation, InvalidArgument
from common.instants import duration_from_ms, from_ms, optional_from_ms, to_ms
from common.money import from_decimal

DaysRequest = (
    PreviewInvoiceRequest | ExplainInvoiceRequest | BillReference | GenerateInvoicesRequest | EstimateCostRequest
)

PERIOD_DAYS_MAXIMUM = 366
# The years in which every period has its midnights in every zone, and zones keep to whole quarter-hours (nearly: 1972).
YEAR_MINIMUM = 1970
YEAR_MAXIMUM = 9998

_KINDS = {
    LineKind.ENERGY: invoice_pb2.INVOICE_LINE_KIND_ENERGY,
    LineKind.DAILY_CHARGE: invoice_pb2.INVOICE_LINE_KIND_DAILY_CHARGE,
    LineKind.DEMAND: invoice_pb2.INVOICE_LINE_KIND_DEMAND,
    LineKind.EXPORT: invoice_pb2.INVOICE_LINE_KIND_EXPORT,
    LineKind.EXPORT_NETTED: invoice_pb2.INVOICE_LINE_KIND_EXPORT_NETTED,
    LineKind.EXPORT_BANK_USED: invoice_pb2.INVOICE_LINE_KIND_EXPORT_BANK_USED,
    LineKind.EXPORT_BANK_KEPT: invoice_pb2.INVOICE_LINE_KIND_EXPORT_BANK_KEPT,
    LineKind.MONTHLY_CHARGE: invoice_pb2.INVOICE_LINE_KIND_MONTHLY_CHARGE,
    LineKind.MINIMUM_CHARGE: invoice_pb2.INVOICE_LINE_KIND_MINIMUM_CHARGE,
    LineKind.ROUNDING: invoice_pb2.INVOICE_LINE_KIND_ROUNDING,
}
_HOLD_REASONS = {
    HoldReason.PROLONGED_ESTIMATE: invoice_pb2.INVOICE_HOLD_REASON_PROLONGED_ESTIMATE,
    HoldReason.ESTIMATED_SHARE: invoice_pb2.INVOICE_HOLD_REASON_ESTIMATED_SHARE,
    HoldReason.MISSING_READINGS: invoice_pb2.INVOICE_HOLD_REASON_MISSING_READINGS,
    HoldReason.QUARANTINED_READINGS: invoice_pb2.INVOICE_HOLD_REASON_QUARANTINED_READINGS,
}


@dataclass(frozen=True, slots=True)
class PreviewQuestion:
    """Which bill is asked for: of a device, over the local days [start_date, end_date).

    `as_of_ms` is the instant, epoch milliseconds, as known at which; None is now. `tariffs_as_of_ms` is another one for
    the assignments of tariffs; None is the same.
    """

    device_id: str
    start_date: date
    end_date: date
    as_of_ms: int | None = None
    tariffs_as_of_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a bill knows of: every reading acked before `complete_through_ms`, and none recorded after `as_of_ms`.

    Both epoch milliseconds; None is not known yet, and as known now. `tariffs_as_of_ms` is set where by that instant
    other tariffs had been assigned than by `as_of_ms`: these are known, too.
    """

    complete_through_ms: int | None
    as_of_ms: int | None = None
    tariffs_as_of_ms: int | None = None


def preview_question(request: PreviewInvoiceRequest | ExplainInvoiceRequest | BillReference) -> PreviewQuestion:
    """The bill that is asked for.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations = [*id_violations("device_id", request.device_id)]
    start_date, end_date = days_of(request, violations)
    as_of_ms = _optional_instant("as_of", request.as_of if request.HasField("as_of") else None, violations)
    tariffs_as_of = None
    if isinstance(request, PreviewInvoiceRequest) and request.HasField("tariffs_as_of"):
        tariffs_as_of = request.tariffs_as_of
    tariffs_as_of_ms = _optional_instant("tariffs_as_of", tariffs_as_of, violations)
    refuse(violations)
    return PreviewQuestion(request.device_id, start_date, end_date, as_of_ms, tariffs_as_of_ms)


def question_of(bill: invoice_pb2.Invoice) -> PreviewQuestion:
    """The question that makes a bill again, as of the moment it was made."""
    first, after = bill.start_date, bill.end_date
    return PreviewQuestion(
        bill.device_id,
        date(first.year, first.month, first.day),
        date(after.year, after.month, after.day),
        to_ms(bill.as_of),
        to_ms(bill.tariffs_as_of) if bill.HasField("tariffs_as_of") else None,
    )


def days_of(request: DaysRequest, violations: list[FieldViolation]) -> tuple[date, date]:
    """The local days [start_date, end_date) that are to be billed; what is wrong with them is added to `violations`.

    Raises:
        InvalidArgument: with all violations, when there are no such days.
    """
    start_date = _date(request, "start_date", violations)
    end_date = _date(request, "end_date", violations)
    if start_date is None or end_date is None:
        raise InvalidArgument(violations)
    if not 0 < (end_date - start_date).days <= PERIOD_DAYS_MAXIMUM:
        allowed = f"must be after start_date, at most {PERIOD_DAYS_MAXIMUM} days later"
        violations.append(FieldViolation("end_date", "OUT_OF_RANGE", allowed))
    return start_date, end_date


def invoice_message(period: BilledPeriod, invoice: Invoice, knowledge: Knowledge) -> invoice_pb2.Invoice:
    """The message of a bill."""
    return invoice_pb2.Invoice(
        account_id=period.account_id,
        device_id=period.device_id,
        start_date=_date_message(period.start_date),
        end_date=_date_message(period.end_date),
        start_time=from_ms(period.start_ms),
        end_time=from_ms(period.end_ms),
        time_zone=period.time_zone,
        currency_code=invoice.currency_code,
        lines=[_line_message(line, invoice.currency_code) for line in invoice.lines],
        net=from_decimal(invoice.net, invoice.currency_code),
        taxes=[_tax_message(tax, invoice.currency_code) for tax in invoice.taxes],
        tax=from_decimal(invoice.tax, invoice.currency_code),
        total=from_decimal(invoice.total, invoice.currency_code),
        reading_count=invoice.reading_count,
        estimated_reading_count=invoice.estimated_reading_count,
        edited_reading_count=invoice.edited_reading_count,
        substituted_reading_count=invoice.substituted_reading_count,
        readings_digest=invoice.readings_digest,
        complete_through=optional_from_ms(knowledge.complete_through_ms),
        as_of=optional_from_ms(knowledge.as_of_ms),
        holds=[_hold_message(hold) for hold in invoice.holds],
        roundings=_rounding_messages(invoice),
        history_start_date=None if invoice.history_start_date is None else _date_message(invoice.history_start_date),
        covered_duration=None if invoice.coverage is None else duration_from_ms(invoice.coverage.covered_ms),
        missing_duration=None if invoice.coverage is None else duration_from_ms(invoice.coverage.missing_ms),
        tariffs_as_of=optional_from_ms(knowledge.tariffs_as_of_ms),
    )


def _line_message(line: InvoiceLine, currency_code: str) -> invoice_pb2.InvoiceLine:
    return invoice_pb2.InvoiceLine(
        kind=_KINDS[line.rated.kind],
        description=line.description,
        tariff_id=line.rated.tariff.tariff_id,
        price_name=line.rated.price_name,
        quantity=decimal_message(line.rated.quantity),
        unit=line.unit,
        unit_price=from_decimal(line.rated.unit_price, currency_code),
        amount=from_decimal(line.amount, currency_code),
        reading_count=line.rated.reading_count,
        estimated_reading_count=line.rated.estimated_reading_count,
        edited_reading_count=line.rated.edited_reading_count,
        substituted_reading_count=line.rated.substituted_reading_count,
        tier=line.rated.tier,
        month_share=_share_message(line.rated.share),
        peak_time=optional_from_ms(line.rated.peak_start_ms),
        tax_percent=decimal_message(line.tax_percent),
    )


def _share_message(share: Fraction) -> FractionMessage | None:
    return None if share == 1 else FractionMessage(numerator=share.numerator, denominator=share.denominator)


def _rounding_messages(invoice: Invoice) -> list[invoice_pb2.InvoiceRounding]:
    tariffs = {line.rated.tariff.tariff_id: line.rated.tariff for line in invoice.lines}
    return [
        invoice_pb2.InvoiceRounding(
            tariff_id=tariff.tariff_id,
            mode=ROUNDING_MODES[tariff.rounding.mode],
            level=ROUNDING_LEVELS[tariff.rounding.level],
        )
        for tariff in tariffs.values()
    ]


def _hold_message(hold: BillHold) -> invoice_pb2.InvoiceHold:
    return invoice_pb2.InvoiceHold(
        reason=_HOLD_REASONS[hold.reason],
        start_time=from_ms(hold.start_ms),
        end_time=from_ms(hold.end_ms),
        estimated_percent=decimal_message(hold.estimated_percent),
        missing_percent=decimal_message(hold.missing_percent) if hold.missing_percent else None,
    )


def _tax_message(tax: InvoiceTax, currency_code: str) -> invoice_pb2.InvoiceTax:
    return invoice_pb2.InvoiceTax(
        percent=decimal_message(tax.percent),
        base=from_decimal(tax.base, currency_code),
        amount=from_decimal(tax.amount, currency_code),
    )


def _optional_instant(field: str, given: Timestamp | None, violations: list[FieldViolation]) -> int | None:
    try:
        return None if given is None else to_ms(given)
    except ValueError as wrong:
        violations.append(FieldViolation(field, "INVALID_FORMAT", str(wrong)))
        return None


def _date(
    request: DaysRequest,
    field: Literal["start_date", "end_date"],
    violations: list[FieldViolation],
) -> date | None:
    if not request.HasField(field):
        violations.append(FieldViolation(field, "FIELD_REQUIRED", "is required"))
        return None
    message: Date = getattr(request, field)
    try:
        day = date(message.year, message.month, message.day)
    except (ValueError, OverflowError):
        violations.append(FieldViolation(field, "INVALID_FORMAT", "must be a day of the calendar: year, month and day"))
        return None
    if not YEAR_MINIMUM <= day.year <= YEAR_MAXIMUM:
        allowed = f"must lie in the years {YEAR_MINIMUM} to {YEAR_MAXIMUM}"
        violations.append(FieldViolation(field, "OUT_OF_RANGE", allowed))
        return None
    return day


def _date_message(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)
