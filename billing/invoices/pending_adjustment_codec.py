"""Days that wait to be looked at for adjustments, between the contract and the store."""

from energy.billing.v1 import invoice_service_pb2 as pb
from energy.common.v1.error_reason_pb2 import ErrorReason

from billing.invoices.adjustment_due_store import DueAdjustment
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_validation import id_violations
from common.instants import from_ms, optional_from_ms


def require_pending_question(request: pb.ListPendingAdjustmentsRequest) -> None:
    """Checks which days are asked for.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    refuse([*id_violations("device_id", request.device_id)] if request.device_id else [])


def pending_adjustment_message(due: DueAdjustment) -> pb.PendingAdjustment:
    """The message of a day that waits."""
    message = pb.PendingAdjustment(
        device_id=due.day.device_id,
        day_start_time=from_ms(due.day.start_ms),
        change_time=from_ms(due.told_ms),
        failure_count=due.failure_count,
        next_try_time=optional_from_ms(due.try_ms),
    )
    if due.failure is not None:
        message.invoice_id, message.failed_device_id = due.failure.invoice_id, due.failure.device_id
        message.reason = ErrorReason.Value(f"ERROR_REASON_{due.failure.reason}")
        message.description = due.failure.description
    return message
