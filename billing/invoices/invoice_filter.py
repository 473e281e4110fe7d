"""Which invoices are asked for, and how they are to be written: every broken rule is named with its field."""

import re
from datetime import date
from typing import Literal

from energy.billing.v1 import account_invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from google.type.date_pb2 import Date

from billing.invoices.account_invoice import State
from billing.invoices.account_invoice_codec import STATES
from billing.invoices.invoice_export import ExportFormat
from billing.invoices.invoice_list_store import InvoiceFilter
from billing.invoices.payment_list_store import PaymentFilter
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_validation import id_violations
from common.errors import FieldViolation, InvalidArgument
from common.instants import to_ms

_DaysRequest = pb.ExportInvoicesRequest | pb.ListInvoicesRequest | pb.ListOverdueRequest
_CURRENCY = re.compile("[A-Z]{3}")
_FORMATS: dict[int, ExportFormat] = {
    pb.InvoiceExportFormat.Value(f"INVOICE_EXPORT_FORMAT_{written.name}"): written for written in ExportFormat
}


def export_question(request: pb.ExportInvoicesRequest) -> tuple[InvoiceFilter, ExportFormat]:
    """Which invoices are to be written, and how.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations: list[FieldViolation] = []
    written = _FORMATS.get(request.format)
    if written is None:
        reason = "INVALID_FORMAT" if request.format else "FIELD_REQUIRED"
        violations.append(FieldViolation("format", reason, "is required: one of the values of the contract"))
    start_date, end_date = _days(request, violations)
    refuse(violations)
    # Without a format there are violations.
    assert written is not None  # noqa: S101
    wanted = InvoiceFilter(
        account_id=request.account_id,
        state=state_of(request.state),
        start_date=start_date,
        end_date=end_date,
        starts_only=True,
    )
    return wanted, written


def list_question(request: pb.ListInvoicesRequest, now_ms: int) -> InvoiceFilter:
    """Which invoices are to be listed, overdue or not as of an instant, UTC milliseconds.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations = [*_optional_id("account_id", request.account_id), *_optional_id("device_id", request.device_id)]
    if request.currency_code and not _CURRENCY.fullmatch(request.currency_code):
        violations.append(FieldViolation("currency_code", "INVALID_FORMAT", "must be three letters A-Z (ISO 4217)"))
    start_date, end_date = _days(request, violations)
    refuse(violations)
    return InvoiceFilter(
        account_id=request.account_id,
        device_id=request.device_id,
        state=state_of(request.state),
        currency_code=request.currency_code,
        start_date=start_date,
        end_date=end_date,
        overdue_at_ms=now_ms if request.overdue else None,
        is_disputed=request.disputed,
        is_held=request.held,
    )


def overdue_question(request: pb.ListOverdueRequest, now_ms: int) -> InvoiceFilter:
    """Which of the invoices that are overdue at an instant, UTC milliseconds, are to be listed.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations = _optional_id("account_id", request.account_id)
    due_from, due_before = _days(request, violations)
    refuse(violations)
    return InvoiceFilter(account_id=request.account_id, due_from=due_from, due_before=due_before, overdue_at_ms=now_ms)


def payment_question(request: pb.ListPaymentsRequest) -> PaymentFilter:
    """Which payments are to be listed, of whatever invoice.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations = _optional_id("account_id", request.account_id)
    start_ms = _optional_instant(request, "start_time", violations)
    end_ms = _optional_instant(request, "end_time", violations)
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        violations.append(FieldViolation("end_time", "OUT_OF_RANGE", "must be after start_time"))
    refuse(violations)
    return PaymentFilter(request.account_id, start_ms, end_ms)


def payments_of_invoice_violations(request: pb.ListPaymentsRequest) -> list[FieldViolation]:
    """What is wrong with asking for the payments of an invoice: anything beside it."""
    beside = [name for name in ("page_token", "account_id", "start_time", "end_time") if _is_set(request, name)]
    return [FieldViolation(name, "OUT_OF_RANGE", "must be empty where an invoice is named") for name in beside]


def state_of(number: int) -> State | None:
    """The state that a number of the contract stands for; None is any.

    Raises:
        InvalidArgument: it stands for none.
    """
    if number == account_invoice_pb2.ACCOUNT_INVOICE_STATE_UNSPECIFIED:
        return None
    for state, value in STATES.items():
        if value == number:
            return state
    raise InvalidArgument([FieldViolation("state", "INVALID_FORMAT", "must be one of the values of the contract")])


def _days(request: _DaysRequest, violations: list[FieldViolation]) -> tuple[date | None, date | None]:
    start_date = _optional_day(request, "start_date", violations)
    end_date = _optional_day(request, "end_date", violations)
    if start_date is not None and end_date is not None and end_date <= start_date:
        violations.append(FieldViolation("end_date", "OUT_OF_RANGE", "must be after start_date"))
    return start_date, end_date


def _optional_id(field: str, value: str) -> list[FieldViolation]:
    return list(id_violations(field, value)) if value else []


def _is_set(request: pb.ListPaymentsRequest, field: str) -> bool:
    return any(descriptor.name == field for descriptor, _ in request.ListFields())


def _optional_instant(
    request: pb.ListPaymentsRequest, field: Literal["start_time", "end_time"], violations: list[FieldViolation]
) -> int | None:
    if not request.HasField(field):
        return None
    try:
        return to_ms(getattr(request, field))
    except ValueError as wrong:
        violations.append(FieldViolation(field, "INVALID_FORMAT", str(wrong)))
        return None


def _optional_day(
    request: _DaysRequest, field: Literal["start_date", "end_date"], violations: list[FieldViolation]
) -> date | None:
    if not request.HasField(field):
        return None
    message: Date = getattr(request, field)
    try:
        return date(message.year, message.month, message.day)
    except (ValueError, OverflowError):
        violations.append(FieldViolation(field, "INVALID_FORMAT", "must be a day of the calendar: year, month and day"))
        return None
