"""Preferences, notifications and deliveries at rest: names as in the contract, and instants as dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analytics.alerts.alert import AlertType, Severity
from analytics.alerts.alert_document import alert_from_document, alert_to_document
from analytics.notifications.notification import (
    Attempt,
    Delivery,
    DeliveryState,
    Notification,
    NotificationKind,
    Outcome,
    Wording,
)
from analytics.notifications.preferences import Channel, Preferences, Route
from analytics.notifications.quiet_hours import QuietHours
from common.instants import datetime_from_ms, datetime_to_ms


def preferences_to_document(preferences: Preferences) -> dict[str, Any]:
    """The document of preferences."""
    return {
        "_id": preferences.recipient_id,
        "all": preferences.is_concerned_by_all,
        "regions": list(preferences.regions),
        "account_ids": list(preferences.account_ids),
        "muted_types": sorted(preferences.muted_types),
        "routes": [
            {
                "channel": route.channel.value,
                "address": route.address,
                "minimum_severity": int(route.minimum_severity),
                "is_enabled": route.is_enabled,
                "signing_secret": route.signing_secret,
            }
            for route in preferences.routes
        ],
        "tell_when_over": preferences.is_told_when_over,
        "time_zone": preferences.time_zone,
        "actor": preferences.actor,
        "update_time": datetime_from_ms(preferences.update_ms),
        "escalation_level": preferences.escalation_level,
        "quiet_hours": None
        if preferences.quiet_hours is None
        else [preferences.quiet_hours.start_minute, preferences.quiet_hours.end_minute],
    }


def preferences_from_document(document: Mapping[str, Any]) -> Preferences:
    """The preferences of a document; the inverse of `preferences_to_document`."""
    return Preferences(
        recipient_id=document["_id"],
        is_concerned_by_all=document["all"],
        regions=tuple(document["regions"]),
        account_ids=tuple(document["account_ids"]),
        muted_types=frozenset(map(AlertType, document["muted_types"])),
        routes=tuple(
            Route(
                Channel(route["channel"]),
                route["address"],
                Severity(route["minimum_severity"]),
                route["is_enabled"],
                route["signing_secret"],
            )
            for route in document["routes"]
        ),
        is_told_when_over=document["tell_when_over"],
        time_zone=document["time_zone"],
        actor=document["actor"],
        update_ms=datetime_to_ms(document["update_time"]),
        # Releases before this one did not write them.
        escalation_level=document.get("escalation_level", 0),
        quiet_hours=QuietHours(*document["quiet_hours"]) if document.get("quiet_hours") else None,
    )


def notification_to_document(notification: Notification) -> dict[str, Any]:
    """The document of a notification."""
    return {
        "_id": notification.notification_id,
        "recipient_id": notification.recipient_id,
        **wording_to_document(notification.wording),
        "create_time": datetime_from_ms(notification.create_ms),
        "read_time": None if notification.read_ms is None else datetime_from_ms(notification.read_ms),
        "is_unread": notification.read_ms is None,
    }


def notification_from_document(document: Mapping[str, Any]) -> Notification:
    """The notification of a document; the inverse of `notification_to_document`."""
    return Notification(
        notification_id=document["_id"],
        recipient_id=document["recipient_id"],
        wording=_wording_from_document(document),
        create_ms=datetime_to_ms(document["create_time"]),
        read_ms=None if document["read_time"] is None else datetime_to_ms(document["read_time"]),
    )


def delivery_to_document(delivery: Delivery) -> dict[str, Any]:
    """The document of a delivery, with what it is looked for by."""
    return {
        "_id": delivery.delivery_id,
        "notification_id": delivery.notification_id,
        "recipient_id": delivery.recipient_id,
        "alert_id": delivery.alert_id,
        "cause_key": delivery.cause_key,
        "channel": delivery.channel.value,
        "address": delivery.address,
        "route_key": delivery.route_key,
        **wording_to_document(delivery.wording),
        "state": delivery.state.value,
        "attempts": [attempt_to_document(attempt) for attempt in delivery.attempts],
        "create_time": datetime_from_ms(delivery.create_ms),
        "due": None if delivery.due_ms is None else datetime_from_ms(delivery.due_ms),
    }


def delivery_from_document(document: Mapping[str, Any]) -> Delivery:
    """The delivery of a document; the inverse of `delivery_to_document`."""
    return Delivery(
        delivery_id=document["_id"],
        notification_id=document["notification_id"],
        recipient_id=document["recipient_id"],
        channel=Channel(document["channel"]),
        address=document["address"],
        route_key=document["route_key"],
        wording=_wording_from_document(document),
        state=DeliveryState(document["state"]),
        attempts=tuple(map(_attempt_from_document, document["attempts"])),
        create_ms=datetime_to_ms(document["create_time"]),
        due_ms=None if document["due"] is None else datetime_to_ms(document["due"]),
    )


def attempt_to_document(attempt: Attempt) -> dict[str, Any]:
    """One try."""
    return {
        "time": datetime_from_ms(attempt.time_ms),
        "outcome": attempt.outcome.value,
        "status_code": attempt.status_code,
    }


def _attempt_from_document(document: Mapping[str, Any]) -> Attempt:
    return Attempt(datetime_to_ms(document["time"]), Outcome(document["outcome"]), document["status_code"])


def wording_to_document(wording: Wording) -> dict[str, Any]:
    """What is told, as fields of what tells it."""
    alert = None if wording.alert is None else alert_to_document(wording.alert)
    return {"kind": wording.kind.value, "title": wording.title, "text": wording.text, "alert": alert}


def _wording_from_document(document: Mapping[str, Any]) -> Wording:
    alert = None if document["alert"] is None else alert_from_document(document["alert"])
    return Wording(NotificationKind(document["kind"]), document["title"], document["text"], alert)
