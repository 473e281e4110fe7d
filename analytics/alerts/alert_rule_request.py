"""Checks the rules and silences that people ask for: every broken rule is named with its field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

from energy.analytics.v1 import alert_rule_pb2
from energy.analytics.v1 import alert_service_pb2 as pb

from analytics.alerts.alert import AlertType
from analytics.alerts.alert_catalogue import ASCENDING_THRESHOLDS, REGION_TYPES, threshold_of
from analytics.alerts.alert_request import ID_LENGTH_MAXIMUM, NOTE_LENGTH_MAXIMUM, TYPES_BY_NUMBER, instant_of_field
from analytics.alerts.alert_rule import AlertRule
from analytics.alerts.alert_silence import AlertSilence
from analytics.fleet.request_checks import ACTOR_LENGTH_MAXIMUM, REGION_LENGTH_MAXIMUM, refuse, text_violations
from common.errors import FieldViolation

SILENCE_DAYS_MAXIMUM = 31

_DAY_MS = 86_400_000


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
    if alert_type in REGION_TYPES:
        violations += [
            FieldViolation(f"rule.{field}", "OUT_OF_RANGE", "must be empty: alerts of the type are about regions")
            for field in ("account_id", "group_id", "device_id")
            if getattr(message, field)
        ]
    thresholds: dict[str, float] = {}
    for number, one in enumerate(message.thresholds):
        field = f"rule.thresholds[{number}]"
        known = None if alert_type is None else threshold_of(alert_type, one.name)
        if known is None:
            violations.append(FieldViolation(f"{field}.name", "OUT_OF_RANGE", "must be a threshold of the type"))
        elif not (math.isfinite(one.value) and known.minimum <= one.value <= known.maximum):
            must = f"must be {known.minimum:g} to {known.maximum:g}"
            violations.append(FieldViolation(f"{field}.value", "OUT_OF_RANGE", must))
        thresholds[one.name] = one.value
    if alert_type is not None:
        violations += _order_violations(message, alert_type, thresholds)
    violations += text_violations("rule.actor", message.actor, ACTOR_LENGTH_MAXIMUM)
    refuse(violations)
    return AlertRule(
        rule_id=message.rule_id,
        type=TYPES_BY_NUMBER[message.type],
        thresholds=thresholds,
        is_enabled=said_of(message),
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
    start_ms = instant_of_field(message, "start_time", "silence.", violations)
    end_ms = instant_of_field(message, "end_time", "silence.", violations)
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
        group_id=message.group_id,
    )


def ended(silence: AlertSilence, now_ms: int) -> AlertSilence:
    """The silence once it is over; one that is over stays as it is."""
    return replace(silence, end_ms=min(silence.end_ms, max(now_ms, silence.start_ms)))


def rule_id_of(request: pb.DeleteAlertRuleRequest) -> str:
    """The rule that a request is about.

    Raises:
        InvalidArgument: it is absent or too long.
    """
    refuse(text_violations("rule_id", request.rule_id, ID_LENGTH_MAXIMUM))
    return request.rule_id


def said_of(message: alert_rule_pb2.AlertRule) -> bool | None:
    """Whether a rule has its type raised; None where it says nothing of it.

    One that says nothing at all says that it is, as it did before the field could be absent.
    """
    if message.HasField("disabled") or not message.thresholds:
        return not message.disabled
    return None


def _order_violations(
    message: alert_rule_pb2.AlertRule, alert_type: AlertType, thresholds: Mapping[str, float]
) -> list[FieldViolation]:
    places = {one.name: number for number, one in enumerate(message.thresholds)}
    named = [name for name in ASCENDING_THRESHOLDS.get(alert_type, ()) if name in thresholds]
    return [
        FieldViolation(
            f"rule.thresholds[{places[higher]}].value",
            "OUT_OF_RANGE",
            f"must not be less than {lower}, which is {thresholds[lower]:g}",
        )
        for lower, higher in combinations(named, 2)
        if thresholds[lower] > thresholds[higher]
    ]


def _scope_violations(
    message: alert_rule_pb2.AlertRule | alert_rule_pb2.AlertSilence, prefix: str
) -> list[FieldViolation]:
    violations = []
    for field, length in (
        ("region", REGION_LENGTH_MAXIMUM),
        ("account_id", ID_LENGTH_MAXIMUM),
        ("group_id", ID_LENGTH_MAXIMUM),
        ("device_id", ID_LENGTH_MAXIMUM),
    ):
        if value := getattr(message, field):
            violations += text_violations(f"{prefix}{field}", value, length)
    return violations
