"""Checks what people ask of alerts: every broken rule is named with its field, before anything is read."""

from __future__ import annotations

from collections.abc import Mapping

from energy.analytics.v1 import alert_service_pb2 as pb
from energy.analytics.v1.alert_pb2 import AlertState as StateNumber
from energy.analytics.v1.alert_pb2 import AlertType as TypeNumber
from google.protobuf.message import Message

from analytics.alerts.alert import AlertState, AlertType, Severity
from analytics.alerts.alert_query_store import AlertFilter
from analytics.fleet.request_checks import ACTOR_LENGTH_MAXIMUM, refuse, text_violations
from common.errors import FieldViolation
from common.instants import to_ms

NOTE_LENGTH_MAXIMUM = 500
ID_LENGTH_MAXIMUM = 128
BULK_MAXIMUM = 100

_LATEST_MS = 253_370_764_799_999

TYPES_BY_NUMBER: Mapping[int, AlertType] = {
    number: AlertType(name.removeprefix("ALERT_TYPE_")) for name, number in TypeNumber.items() if number
}
_STATES_BY_NUMBER: Mapping[int, AlertState] = {
    number: AlertState(name.removeprefix("ALERT_STATE_")) for name, number in StateNumber.items() if number
}


def alert_id_of(request: pb.GetAlertRequest) -> str:
    """The alert that a request is about.

    Raises:
        InvalidArgument: it is absent or too long.
    """
    refuse(text_violations("alert_id", request.alert_id, ID_LENGTH_MAXIMUM))
    return request.alert_id


def check_word(
    request: pb.AcknowledgeAlertRequest | pb.ResolveAlertRequest | pb.ReopenAlertRequest | pb.BulkResolveAlertsRequest,
) -> None:
    """Checks who says what about which alerts.

    Raises:
        InvalidArgument: a field is absent or out of its range.
    """
    violations = []
    if isinstance(request, pb.BulkResolveAlertsRequest):
        if not 1 <= len(request.alert_ids) <= BULK_MAXIMUM:
            violations.append(FieldViolation("alert_ids", "OUT_OF_RANGE", f"must be 1 to {BULK_MAXIMUM}"))
        for number, alert_id in enumerate(request.alert_ids[:BULK_MAXIMUM]):
            violations += text_violations(f"alert_ids[{number}]", alert_id, ID_LENGTH_MAXIMUM)
    else:
        violations += text_violations("alert_id", request.alert_id, ID_LENGTH_MAXIMUM)
    violations += text_violations("actor", request.actor, ACTOR_LENGTH_MAXIMUM)
    if request.note or not isinstance(request, pb.AcknowledgeAlertRequest):
        violations += text_violations("note", request.note, NOTE_LENGTH_MAXIMUM)
    refuse(violations)


def filter_of(message: pb.AlertFilter, *, is_timed: bool = True) -> AlertFilter:
    """Which alerts a request asks for; `is_timed`: it may say when they started.

    Raises:
        InvalidArgument: a field is out of its range.
    """
    violations = []
    for field, numbers, known in (
        ("states", message.states, _STATES_BY_NUMBER),
        ("types", message.types, TYPES_BY_NUMBER),
    ):
        violations += [
            FieldViolation(f"filter.{field}[{place}]", "OUT_OF_RANGE", "must be one of the listed ones")
            for place, number in enumerate(numbers)
            if number not in known
        ]
    if message.minimum_severity not in {0, *map(int, Severity)}:
        violations.append(FieldViolation("filter.minimum_severity", "OUT_OF_RANGE", "must be one of the listed ones"))
    instants = {}
    for field in ("start_time", "end_time"):
        instants[field] = instant_of_field(message, field, "filter.", violations)
        if instants[field] is not None and not is_timed:
            violations.append(FieldViolation(f"filter.{field}", "OUT_OF_RANGE", "must be absent here"))
    refuse(violations)
    return AlertFilter(
        states=frozenset(_STATES_BY_NUMBER[number] for number in message.states),
        types=frozenset(TYPES_BY_NUMBER[number] for number in message.types),
        minimum_severity=Severity(message.minimum_severity) if message.minimum_severity else None,
        region=message.region,
        device_id=message.device_id,
        account_id=message.account_id,
        start_ms=instants["start_time"],
        end_ms=instants["end_time"],
    )


def instant_of_field(message: Message, field: str, prefix: str, violations: list[FieldViolation]) -> int | None:
    """The instant in a field, UTC milliseconds; None where it is absent or, as `violations` say then, wrong."""
    if not message.HasField(field):
        return None
    try:
        instant_ms = to_ms(getattr(message, field))
    except ValueError as fault:
        violations.append(FieldViolation(f"{prefix}{field}", "INVALID_FORMAT", str(fault)))
        return None
    if not 0 <= instant_ms <= _LATEST_MS:
        violations.append(FieldViolation(f"{prefix}{field}", "OUT_OF_RANGE", "must lie in the years 1970 to 9998"))
        return None
    return instant_ms
