"""Who is told what of an alert: derived from it and from what was told before, so that planning twice is once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analytics.alerts.alert import Alert
from analytics.notifications.notification import (
    Delivery,
    DeliveryState,
    Notification,
    NotificationKind,
    Wording,
    delivery_id,
    notification_id,
)
from analytics.notifications.preferences import Preferences, Route
from analytics.notifications.wording import wording_of, wording_of_test

RouteOf = tuple[str, str]
"""A recipient and the key of one of their routes."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was sent before: by which routes this alert was told, and by which its cause lately, as no less grave."""

    of_alert: frozenset[RouteOf] = frozenset()
    lately_of_cause: frozenset[RouteOf] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be there; whatever is there already stays as it is."""

    notifications: list[Notification] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)


def plan(alert: Alert, preferences: Preferences, told: Told, *, is_first: bool, now_ms: int, level: int = 0) -> Plan:
    """What a recipient is to be told of an alert as it is now; `is_first`: nothing was planned of it before.

    An alert that is silenced is not told, nor one that has not gone up to their level. One that escalates is told by
    those routes whose severity it reaches only now. That it is over is told where it was told.
    """
    planned = Plan()
    if alert.silence_id or preferences.escalation_level > level or not preferences.concerns(alert):
        return planned
    due_ms = preferences.due_ms(alert.severity, now_ms)
    reached = {key for recipient_id, key in told.of_alert if recipient_id == preferences.recipient_id}
    if is_first or alert.is_open:
        wording = wording_of(alert, NotificationKind.ALERT_RAISED, preferences.time_zone)
        notification = _notification(alert.alert_id, preferences.recipient_id, wording, now_ms)
        planned.notifications.append(notification)
        for route in preferences.routes_for(alert.severity):
            is_lately = (preferences.recipient_id, route.key) in told.lately_of_cause
            planned.deliveries.append(_delivery(notification, route, due_ms, is_suppressed=is_lately))
            if not is_lately:
                reached.add(route.key)
    if not alert.is_open and preferences.is_told_when_over:
        wording = wording_of(alert, NotificationKind.ALERT_OVER, preferences.time_zone)
        notification = _notification(alert.alert_id, preferences.recipient_id, wording, now_ms)
        planned.notifications.append(notification)
        planned.deliveries.extend(
            _delivery(notification, route, due_ms)
            for route in preferences.routes_for(alert.severity)
            if route.key in reached
        )
    return planned


def plan_test(test_id: str, preferences: Preferences, routes: Sequence[Route], now_ms: int) -> Plan:
    """A test by some routes of a recipient."""
    notification = _notification(
        f"test/{test_id}", preferences.recipient_id, wording_of_test(preferences.recipient_id), now_ms
    )
    return Plan([notification], [_delivery(notification, route, now_ms) for route in routes])


def _notification(subject: str, recipient_id: str, wording: Wording, now_ms: int) -> Notification:
    return Notification(notification_id(subject, recipient_id, wording.kind), recipient_id, wording, now_ms)


def _delivery(notification: Notification, route: Route, due_ms: int, *, is_suppressed: bool = False) -> Delivery:
    return Delivery(
        # One that is suppressed leaves room for one that is sent after all, for the alert became graver.
        delivery_id=delivery_id(
            notification.notification_id, f"{route.key}/suppressed" if is_suppressed else route.key
        ),
        notification_id=notification.notification_id,
        recipient_id=notification.recipient_id,
        channel=route.channel,
        address=route.address,
        route_key=route.key,
        wording=notification.wording,
        state=DeliveryState.SUPPRESSED if is_suppressed else DeliveryState.PENDING,
        attempts=(),
        create_ms=notification.create_ms,
        due_ms=None if is_suppressed else due_ms,
    )
