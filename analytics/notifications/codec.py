"""Preferences, notifications and deliveries as messages of the contract."""

from __future__ import annotations

from energy.analytics.v1 import alert_pb2, notification_pb2
from energy.analytics.v1.notification_pb2 import (
    NotificationAttemptOutcome,
    NotificationChannel,
    NotificationDeliveryState,
    NotificationKind,
)
from yarl import URL

from analytics.alerts.alert_codec import alert_message, type_number
from analytics.notifications.notification import Delivery, Notification
from analytics.notifications.preferences import Channel, Preferences
from common.instants import from_ms, optional_from_ms

_DIGITS_SHOWN = 3


def preferences_message(preferences: Preferences) -> notification_pb2.NotificationPreferences:
    """Preferences, without secrets."""
    return notification_pb2.NotificationPreferences(
        recipient_id=preferences.recipient_id,
        all=preferences.is_concerned_by_all,
        regions=preferences.regions,
        account_ids=preferences.account_ids,
        muted_types=sorted(map(type_number, preferences.muted_types)),
        routes=[
            notification_pb2.NotificationRoute(
                channel=_channel(route.channel),
                address=route.address,
                minimum_severity=alert_pb2.AlertSeverity.Value(f"ALERT_SEVERITY_{route.minimum_severity.name}"),
                disabled=not route.is_enabled,
            )
            for route in preferences.routes
        ],
        tell_when_over=preferences.is_told_when_over,
        time_zone=preferences.time_zone,
        actor=preferences.actor,
        update_time=from_ms(preferences.update_ms),
        escalation_level=preferences.escalation_level,
        # A field that is given None stays absent.
        quiet_hours=None
        if preferences.quiet_hours is None
        else notification_pb2.QuietHours(
            start_minute=preferences.quiet_hours.start_minute, end_minute=preferences.quiet_hours.end_minute
        ),
    )


def notification_message(notification: Notification) -> notification_pb2.Notification:
    """A notification."""
    wording = notification.wording
    return notification_pb2.Notification(
        notification_id=notification.notification_id,
        recipient_id=notification.recipient_id,
        kind=NotificationKind.Value(f"NOTIFICATION_KIND_{wording.kind.value}"),
        alert=None if wording.alert is None else alert_message(wording.alert),
        title=wording.title,
        text=wording.text,
        create_time=from_ms(notification.create_ms),
        read_time=optional_from_ms(notification.read_ms),
    )


def delivery_message(delivery: Delivery) -> notification_pb2.NotificationDelivery:
    """A delivery, most of its address hidden."""
    return notification_pb2.NotificationDelivery(
        delivery_id=delivery.delivery_id,
        notification_id=delivery.notification_id,
        recipient_id=delivery.recipient_id,
        alert_id=delivery.alert_id,
        channel=_channel(delivery.channel),
        address=hidden_address(delivery.channel, delivery.address),
        state=NotificationDeliveryState.Value(f"NOTIFICATION_DELIVERY_STATE_{delivery.state.value}"),
        attempts=[
            notification_pb2.NotificationAttempt(
                time=from_ms(attempt.time_ms),
                outcome=NotificationAttemptOutcome.Value(f"NOTIFICATION_ATTEMPT_OUTCOME_{attempt.outcome.value}"),
                status_code=attempt.status_code,
            )
            for attempt in delivery.attempts
        ],
        create_time=from_ms(delivery.create_ms),
        due_time=optional_from_ms(delivery.due_ms),
    )


def hidden_address(channel: Channel, address: str) -> str:
    """Enough of an address to know one's own: `j***@example.org`, `https://example.org/***`, `+49***678`."""
    if channel is Channel.EMAIL:
        name, _, domain = address.rpartition("@")
        return f"{name[:1]}***@{domain}"
    if channel is Channel.WEBHOOK:
        return f"https://{URL(address).host}/***"
    return f"{address[:_DIGITS_SHOWN]}***{address[-_DIGITS_SHOWN:]}"


def _channel(channel: Channel) -> NotificationChannel.ValueType:
    return NotificationChannel.Value(f"NOTIFICATION_CHANNEL_{channel.value}")
