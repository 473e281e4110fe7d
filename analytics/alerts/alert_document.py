"""Alerts at rest: names as in the contract, and instants as dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analytics.alerts.alert import Alert, AlertAction, AlertState, AlertType, Cause, Severity, Transition
from common.instants import datetime_from_ms, datetime_to_ms


def open_key(alert: Alert) -> str:
    """What is unique in the collection: the cause while the alert is open, and nothing else's ever after."""
    return alert.cause.key if alert.is_open else f"over/{alert.alert_id}"


def alert_to_document(alert: Alert) -> dict[str, Any]:
    """The document of an alert, without the mark of its event."""
    return {
        "_id": alert.alert_id,
        "open_key": open_key(alert),
        "type": alert.cause.type.value,
        "region": alert.cause.region,
        "device_id": alert.cause.device_id,
        "account_id": alert.account_id,
        "severity": int(alert.severity),
        "state": alert.state.value,
        "start": datetime_from_ms(alert.start_ms),
        "last_seen": datetime_from_ms(alert.last_seen_ms),
        "occurrence_count": alert.occurrence_count,
        "measured": alert.measured,
        "expected": alert.expected,
        "transitions": [_transition_to_document(one) for one in alert.transitions],
        "version": alert.version,
        "update_time": datetime_from_ms(alert.update_ms),
        "silence_id": alert.silence_id,
        "called_over_key": alert.cause.key if alert.is_called_over else None,
        # Derived, for statistics that the database makes.
        "acknowledged_after_ms": _after_ms(alert, AlertAction.ACKNOWLEDGED),
        "resolved_after_ms": None if alert.is_open else _after_ms(alert, AlertAction.RESOLVED),
    }


def alert_from_document(document: Mapping[str, Any]) -> Alert:
    """The alert of a document; the inverse of `alert_to_document`."""
    return Alert(
        alert_id=document["_id"],
        cause=Cause(AlertType(document["type"]), document["region"], document["device_id"]),
        account_id=document["account_id"],
        severity=Severity(document["severity"]),
        state=AlertState(document["state"]),
        start_ms=datetime_to_ms(document["start"]),
        last_seen_ms=datetime_to_ms(document["last_seen"]),
        occurrence_count=document["occurrence_count"],
        measured=document["measured"],
        expected=document["expected"],
        transitions=tuple(map(_transition_from_document, document["transitions"])),
        update_ms=datetime_to_ms(document["update_time"]),
        silence_id=document["silence_id"],
        # Releases before this one did not write it.
        is_called_over=document.get("called_over_key") is not None,
    )


def _after_ms(alert: Alert, action: AlertAction) -> int | None:
    instant_ms = alert.instant_of(action)
    return None if instant_ms is None else instant_ms - alert.transitions[0].time_ms


def _transition_to_document(transition: Transition) -> dict[str, Any]:
    return {
        "time": datetime_from_ms(transition.time_ms),
        "action": transition.action.value,
        "actor": transition.actor,
        "note": transition.note,
        "severity": int(transition.severity),
    }


def _transition_from_document(document: Mapping[str, Any]) -> Transition:
    return Transition(
        datetime_to_ms(document["time"]),
        AlertAction(document["action"]),
        document["actor"],
        document["note"],
        Severity(document["severity"]),
    )
