"""Checks what people ask of alerts: every broken rule is named with its field, before anything is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from energy.analytics.v1 import alert_rule_pb2
from energy.analytics.v1 import alert_service_pb2 as pb
from energy.analytics.v1.alert_pb2 import AlertState as StateNumber
from energy.analytics.v1.alert_pb2 import AlertType as TypeNumber
from google.protobuf.message import Message

from analytics.alert import AlertState, AlertType, Severity
from analytics.alert_catalogue import REGION_TYPES, threshold_of
from analytics.alert_query_store import AlertFilter
from analytics.alert_rule import AlertRule
from analytics.alert_silence import AlertSilence
from analytics.region_load_request import ACTOR_LENGTH_MAXIMUM, REGION_LENGTH_MAXIMUM, refuse, text_violations
from common.errors import FieldViolation
from common.instants import to_ms

NOTE_LENGTH_MAXIMUM = 500
ID_LENGTH_MAXIMUM = 128
BULK_MAXIMUM = 100
SILENCE_DAYS_MAXIMUM = 31

_DAY_MS = 86_400_000
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
        instants[field] = _instant(message, field, "filter.", violations)
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


def rule_of(message: alert_rule_pb2.AlertRule, now_ms: int) -> AlertRule:
    """The rule that is to be set.

    Raises:
        InvalidArgument: a field is absent or out of its range.
    """
    violations = text_violations("rule.rule_id", message.rule_id, ID_LENGTH_MAXIMUM)
    alert_type = TYPES_BY_NUMBER.get(message.type)
    if alert_type is None:
        violations.append(FieldViolation("rule.type", "FIELD_REQUIRED", "is required, and one of the listed ones"))
    violations += _scope_violations(message, "rule.")
    if len(message.group_id) > ID_LENGTH_MAXIMUM:
        violations += text_violations("rule.group_id", message.group_id, ID_LENGTH_MAXIMUM)
    if alert_type in REGION_TYPES:
        violations += [
            FieldViolation(f"rule.{field}", "OUT_OF_RANGE", "must be empty: alerts of the type are about regions")
            for field in ("account_id", "group_id", "device_id")
            if getattr(message, field)
        ]
    thresholds = {}
    for number, one in enumerate(message.thresholds):
        field = f"rule.thresholds[{number}]"
        known = None if alert_type is None else threshold_of(alert_type, one.name)
        if known is None:
            violations.append(FieldViolation(f"{field}.name", "OUT_OF_RANGE", "must be a threshold of the type"))
        elif not (math.isfinite(one.value) and known.minimum <= one.value <= known.maximum):
            must = f"must be {known.minimum:g} to {known.maximum:g}"
            violations.append(FieldViolation(f"{field}.value", "OUT_OF_RANGE", must))
        thresholds[one.name] = one.value
    violations += text_violations("rule.actor", message.actor, ACTOR_LENGTH_MAXIMUM)
    refuse(violations)
    return AlertRule(
        rule_id=message.rule_id,
        type=TYPES_BY_NUMBER[message.type],
        thresholds=thresholds,
        is_enabled=not message.disabled,
        region=message.region,
        account_id=message.account_id,
        group_id=message.group_id,
        device_id=message.device_id,
        actor=message.actor,
        update_ms=now_ms,
    )


def silence_of_request(message: alert_rule_pb2.AlertSilence, now_ms: int) -> AlertSilence:
    """The silence that is to be made, from now on where no start is named.

    Raises:
        InvalidArgument: a field is absent or out of its range.
    """
    violations = text_violations("silence.silence_id", message.silence_id, ID_LENGTH_MAXIMUM)
    if message.type and message.type not in TYPES_BY_NUMBER:
        violations.append(FieldViolation("silence.type", "OUT_OF_RANGE", "must be one of the listed ones"))
    violations += _scope_violations(message, "silence.")
    start_ms = _instant(message, "start_time", "silence.", violations)
    end_ms = _instant(message, "end_time", "silence.", violations)
    if end_ms is None and not message.HasField("end_time"):
        violations.append(FieldViolation("silence.end_time", "FIELD_REQUIRED", "is required"))
    start_ms = now_ms if start_ms is None else start_ms
    if end_ms is not None and not start_ms < end_ms <= start_ms + SILENCE_DAYS_MAXIMUM * _DAY_MS:
        must = f"must be after start_time, at most {SILENCE_DAYS_MAXIMUM} days"
        violations.append(FieldViolation("silence.end_time", "OUT_OF_RANGE", must))
    violations += text_violations("silence.actor", message.actor, ACTOR_LENGTH_MAXIMUM)
    violations += text_violations("silence.reason", message.reason, NOTE_LENGTH_MAXIMUM)
    refuse(violations)
    return AlertSilence(
        silence_id=message.silence_id,
        start_ms=start_ms,
        end_ms=end_ms or 0,
        actor=message.actor,
        reason=message.reason,
        type=TYPES_BY_NUMBER.get(message.type),
        region=message.region,
        account_id=message.account_id,
        device_id=message.device_id,
    )


def ended(silence: AlertSilence, now_ms: int) -> AlertSilence:
    """The silence once it is over; one that is over stays as it is."""
    return replace(silence, end_ms=min(silence.end_ms, max(now_ms, silence.start_ms)))


def _scope_violations(
    message: alert_rule_pb2.AlertRule | alert_rule_pb2.AlertSilence, prefix: str
) -> list[FieldViolation]:
    violations = []
    for field, length in (
        ("region", REGION_LENGTH_MAXIMUM),
        ("account_id", ID_LENGTH_MAXIMUM),
        ("device_id", ID_LENGTH_MAXIMUM),
    ):
        if value := getattr(message, field):
            violations += text_violations(f"{prefix}{field}", value, length)
    return violations


def _instant(message: Message, field: str, prefix: str, violations: list[FieldViolation]) -> int | None:
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
