"""Alerts, preferences and deliveries for tests of notifications."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from analytics.alerts.alert import Alert, AlertAction, AlertState, AlertType, Cause, Severity, Transition
from analytics.notifications.notification import Delivery, NotificationKind
from analytics.notifications.planning import Told, plan
from analytics.notifications.preferences import Channel, Preferences, Route

START_MS = 1_750_000_000_000
SECRET = "whsec_" + "c2VjcmV0" * 6
MAIL = Route(Channel.EMAIL, "jo@example.org")
PHONE = Route(Channel.SMS, "+4915112345678", Severity.CRITICAL)
HOOK = Route(Channel.WEBHOOK, "https://example.org/hook", signing_secret=SECRET)


def an_alert(severity: Severity = Severity.MEDIUM, **changes: Any) -> Alert:
    """A battery that is too hot."""
    raised = Transition(START_MS, AlertAction.RAISED, "system", "", severity)
    alert = Alert(
        alert_id="a-1",
        cause=Cause(AlertType.OVER_TEMPERATURE, "North", "pack-1"),
        account_id="acc-1",
        severity=severity,
        state=AlertState.RAISED,
        start_ms=START_MS,
        last_seen_ms=START_MS,
        occurrence_count=1,
        measured=46.5,
        expected=45.0,
        transitions=(raised,),
        update_ms=START_MS,
    )
    return replace(alert, **changes)


def over(alert: Alert, note: str = "") -> Alert:
    """The alert when its cause has gone."""
    ended = Transition(START_MS + 60_000, AlertAction.RESOLVED, "jo", note, alert.severity)
    return replace(alert, state=AlertState.RESOLVED, transitions=(*alert.transitions, ended))


def preferences(*routes: Route, **changes: Any) -> Preferences:
    """Those of Jo, whom all concerns."""
    jo = Preferences(
        recipient_id="jo",
        is_concerned_by_all=True,
        regions=(),
        account_ids=(),
        muted_types=frozenset(),
        routes=routes or (MAIL,),
        is_told_when_over=False,
        time_zone="",
        actor="jo",
        update_ms=START_MS,
    )
    return replace(jo, **changes)


def a_delivery(route: Route = MAIL, alert: Alert | None = None) -> Delivery:
    """What Jo is sent by a route."""
    planned = plan(alert or an_alert(Severity.CRITICAL), preferences(route), Told(), is_first=True, now_ms=START_MS)
    (delivery,) = planned.deliveries
    assert delivery.wording.kind is NotificationKind.ALERT_RAISED
    return delivery
