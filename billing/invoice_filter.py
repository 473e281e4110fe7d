"""Which invoices are asked for, and how they are to be written: every broken rule is named with its field."""

from datetime import date
from typing import Literal

from energy.billing.v1 import account_invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from google.type.date_pb2 import Date

from billing.account_invoice import State
from billing.account_invoice_codec import STATES
from billing.account_invoice_store import PeriodFilter
from billing.invoice_export import ExportFormat
from billing.tariff_codec import refuse
from common.errors import FieldViolation, InvalidArgument

_FORMATS: dict[int, ExportFormat] = {
    pb.InvoiceExportFormat.Value(f"INVOICE_EXPORT_FORMAT_{written.name}"): written for written in ExportFormat
}


def export_question(request: pb.ExportInvoicesRequest) -> tuple[PeriodFilter, ExportFormat]:
    """Which invoices are to be written, and how.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations: list[FieldViolation] = []
    written = _FORMATS.get(request.format)
    if written is None:
        reason = "INVALID_FORMAT" if request.format else "FIELD_REQUIRED"
        violations.append(FieldViolation("format", reason, "is required: one of the values of the contract"))
    start_date = _optional_day(request, "start_date", violations)
    end_date = _optional_day(request, "end_date", violations)
    if start_date is not None and end_date is not None and end_date <= start_date:
        violations.append(FieldViolation("end_date", "OUT_OF_RANGE", "must be after start_date"))
    refuse(violations)
    # Without a format there are violations.
    assert written is not None  # noqa: S101
    return PeriodFilter(request.account_id, state_of(request.state), start_date, end_date), written


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


def _optional_day(
    request: pb.ExportInvoicesRequest, field: Literal["start_date", "end_date"], violations: list[FieldViolation]
) -> date | None:
    if not request.HasField(field):
        return None
    message: Date = getattr(request, field)
    try:
        return date(message.year, message.month, message.day)
    except (ValueError, OverflowError):
        violations.append(FieldViolation(field, "INVALID_FORMAT", "must be a day of the calendar: year, month and day"))
        return None
