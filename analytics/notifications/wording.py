"""What people read: a line and a few sentences of an alert, times by the clock of whoever reads."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from analytics.alerts.alert import Alert, AlertAction
from analytics.alerts.alert_codec import summary_of
from analytics.notifications.notification import NotificationKind, Wording
from common.instants import datetime_from_ms

TITLE_LENGTH_MAXIMUM = 140
"""With the severity before it, a title is one text message."""


def wording_of(alert: Alert, kind: NotificationKind, time_zone: str) -> Wording:
    """What is told of an alert, by a clock in an IANA zone."""
    summary = summary_of(alert)
    mark = "over" if kind is NotificationKind.ALERT_OVER else alert.severity.name
    title = _shortened(f"[{mark}] {summary[:1].upper()}{summary[1:]}")
    zone = ZoneInfo(time_zone or "UTC")
    lines = [f"{summary[:1].upper()}{summary[1:]}.", ""]
    lines.append(f"Severity: {alert.severity.name.lower()}")
    lines.append(f"Region: {alert.cause.region or 'none'}")
    if alert.account_id:
        lines.append(f"Account: {alert.account_id}")
    lines.append(f"Since: {_clock(alert.start_ms, zone)}")
    resolved = None if alert.is_open else alert.transitions[-1]
    if resolved is not None and resolved.action is AlertAction.RESOLVED:
        lines.append(f"Over: {_clock(resolved.time_ms, zone)}, by {resolved.actor}")
        if resolved.note:
            lines.append(f"Note: {resolved.note}")
    lines.append(f"Alert: {alert.alert_id}")
    return Wording(kind, title, "\n".join(lines) + "\n", alert)


def wording_of_test(recipient_id: str) -> Wording:
    """What is told when somebody wants to see whether routes work."""
    text = f"This is a test for {recipient_id}. Nothing is wrong.\n"
    return Wording(NotificationKind.TEST, "[test] Nothing is wrong", text, None)


def _shortened(title: str) -> str:
    one_line = " ".join(title.split())
    return one_line if len(one_line) <= TITLE_LENGTH_MAXIMUM else one_line[: TITLE_LENGTH_MAXIMUM - 1] + "…"


def _clock(instant_ms: int, zone: ZoneInfo) -> str:
    return f"{datetime_from_ms(instant_ms).astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
