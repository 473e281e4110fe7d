"""Alerts, rules and silences as messages of the contract."""

from __future__ import annotations

from collections.abc import Mapping

from energy.analytics.v1 import alert_pb2, alert_rule_pb2
from energy.analytics.v1 import alert_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from analytics.alerts.alert import Alert, AlertAction, AlertState, AlertType, Severity, Transition
from analytics.alerts.alert_catalogue import THRESHOLDS
from analytics.alerts.alert_document import alert_from_document
from analytics.alerts.alert_query_store import AlertStats
from analytics.alerts.alert_rule import AlertRule
from analytics.alerts.alert_silence import AlertSilence
from analytics.alerts.alert_store import COLLECTION
from analytics.alerts.newer_release import known
from common.event_outbox import Event
from common.instants import duration_from_ms, from_ms

_CHANGED = alert_pb2.AlertChanged.DESCRIPTOR.full_name

# What is said of each type: of what was measured and what it was held against.
_SENTENCES: Mapping[AlertType, str] = {
    AlertType.DEVICE_SILENT: "{scope} has sent nothing for {measured} s (limit {expected} s)",
    AlertType.REGION_SILENT: "{scope} is silent: {measured} of {expected} devices send nothing",
    AlertType.REGION_OVERLOAD: "{scope} is loaded to {measured} % of its capacity (limit {expected} %)",
    AlertType.POWER_OUTAGE: "{scope} takes {measured} kW where {expected} kW are usual",
    AlertType.POWER_SPIKE: "{scope} takes {measured} kW where {expected} kW are usual",
    AlertType.POWER_DROP: "{scope} takes {measured} kW where {expected} kW are usual",
    AlertType.FROZEN_VALUE: "{scope} says {measured} kW again and again",
    AlertType.POWER_OUT_OF_RANGE: "{scope} says {measured} kW, over the {expected} kW its connection carries",
    AlertType.OVER_TEMPERATURE: "the battery of {scope} has {measured} °C (limit {expected} °C)",
    AlertType.VOLTAGE_OUT_OF_BAND: "{scope} has {measured} V (limit {expected} V)",
    AlertType.STORAGE_FAULT: "{scope} reports a fault",
    AlertType.EFFICIENCY_LOW: "{scope} keeps {measured} % of what its charger takes (limit {expected} %)",
    AlertType.VOLTAGE_WEEK_OUT_OF_BAND: "{scope} had {measured} % of a week's voltage out of band (limit {expected} %)",
    AlertType.CHARGE_STALLED: "{scope} is plugged in and stays at {measured} % of charge (limit {expected} %)",
    AlertType.CHARGE_OUT_OF_BAND: "the battery of {scope} is charged to {measured} % (limit {expected} %)",
    AlertType.CONSUMPTION_HIGH: "{scope} used {measured} kWh where {expected} kWh are usual or its limit",
    AlertType.CONSUMPTION_ZERO: "{scope} has used nothing for {measured} hours",
    AlertType.EFFICIENCY_IMPOSSIBLE: "{scope} got {measured} % of what its charger took, which cannot be",
}


def type_number(alert_type: AlertType) -> alert_pb2.AlertType.ValueType:
    """The number of a type in the contract."""
    return alert_pb2.AlertType.Value(f"ALERT_TYPE_{alert_type.value}")


def alert_message(alert: Alert) -> alert_pb2.Alert:
    """An alert as people and services see it."""
    return alert_pb2.Alert(
        alert_id=alert.alert_id,
        type=type_number(alert.cause.type),
        severity=_severity(alert.severity),
        state=_state(alert.state),
        device_id=alert.cause.device_id,
        region=alert.cause.region,
        account_id=alert.account_id,
        start_time=from_ms(alert.start_ms),
        last_seen_time=from_ms(alert.last_seen_ms),
        occurrence_count=alert.occurrence_count,
        # A field that is given None stays absent.
        measured=alert.measured,
        expected=alert.expected,
        summary=summary_of(alert),
        transitions=map(_transition_message, alert.transitions),
        version=alert.version,
        update_time=from_ms(alert.update_ms),
        silence_id=alert.silence_id,
    )


def summary_of(alert: Alert) -> str:
    """A sentence for people."""
    scope = f"device {alert.cause.device_id}" if alert.cause.device_id else f"region {alert.cause.region}"
    measured, expected = (_plain(value) for value in (alert.measured, alert.expected))
    return _SENTENCES[alert.cause.type].format(scope=scope, measured=measured, expected=expected)


def changed_event(document: Mapping[str, object]) -> Event | None:
    """The event of a stored alert: its newest transition is the news; None where only a newer release can read it."""
    alert = known(alert_from_document, document, COLLECTION)
    if alert is None:
        return None
    body = alert_pb2.AlertChanged(alert=alert_message(alert)).SerializeToString()
    return Event(_CHANGED, f"{alert.alert_id}@{alert.version}", body)


def rule_message(rule: AlertRule) -> alert_rule_pb2.AlertRule:
    """A rule."""
    return alert_rule_pb2.AlertRule(
        rule_id=rule.rule_id,
        type=type_number(rule.type),
        # A field that is given None stays absent.
        disabled=None if rule.is_enabled is None else not rule.is_enabled,
        region=rule.region,
        account_id=rule.account_id,
        group_id=rule.group_id,
        device_id=rule.device_id,
        thresholds=[
            alert_rule_pb2.AlertThreshold(name=name, value=value) for name, value in sorted(rule.thresholds.items())
        ],
        actor=rule.actor,
        update_time=from_ms(rule.update_ms),
    )


def threshold_kind_messages() -> list[alert_rule_pb2.AlertThresholdKind]:
    """Every threshold there is."""
    return [
        alert_rule_pb2.AlertThresholdKind(
            type=type_number(one.type),
            name=one.name,
            default_value=one.default,
            minimum=one.minimum,
            maximum=one.maximum,
        )
        for one in THRESHOLDS
    ]


def silence_message(silence: AlertSilence) -> alert_rule_pb2.AlertSilence:
    """A silence."""
    return alert_rule_pb2.AlertSilence(
        silence_id=silence.silence_id,
        start_time=from_ms(silence.start_ms),
        end_time=from_ms(silence.end_ms),
        type=alert_pb2.ALERT_TYPE_UNSPECIFIED if silence.type is None else type_number(silence.type),
        region=silence.region,
        account_id=silence.account_id,
        device_id=silence.device_id,
        group_id=silence.group_id,
        actor=silence.actor,
        reason=silence.reason,
    )


def stats_message(stats: AlertStats) -> pb.GetAlertStatsResponse:
    """Counts, by group."""
    counts = [
        pb.AlertCount(
            state=_state(state),
            type=type_number(alert_type),
            severity=_severity(severity),
            region=region,
            alert_count=count,
        )
        for (state, alert_type, severity, region), count in sorted(stats.counts.items())
    ]
    return pb.GetAlertStatsResponse(
        alert_count=sum(stats.counts.values()),
        counts=counts,
        mean_time_to_acknowledge=_duration(stats.mean_acknowledged_after_ms),
        mean_time_to_resolve=_duration(stats.mean_resolved_after_ms),
        top_devices=[pb.DeviceAlertCount(device_id=one, alert_count=count) for one, count in stats.top_devices],
    )


def _transition_message(transition: Transition) -> alert_pb2.AlertTransition:
    return alert_pb2.AlertTransition(
        time=from_ms(transition.time_ms),
        action=_action(transition.action),
        actor=transition.actor,
        note=transition.note,
        severity=_severity(transition.severity),
    )


def _severity(severity: Severity) -> alert_pb2.AlertSeverity.ValueType:
    return alert_pb2.AlertSeverity.Value(f"ALERT_SEVERITY_{severity.name}")


def _state(state: AlertState) -> alert_pb2.AlertState.ValueType:
    return alert_pb2.AlertState.Value(f"ALERT_STATE_{state.value}")


def _action(action: AlertAction) -> alert_pb2.AlertAction.ValueType:
    return alert_pb2.AlertAction.Value(f"ALERT_ACTION_{action.value}")


def _duration(milliseconds: float | None) -> Duration | None:
    return None if milliseconds is None else duration_from_ms(round(milliseconds))


def _plain(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")
