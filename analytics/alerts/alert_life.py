"""What may happen to an alert, and what it is afterwards. Whatever happens twice changes nothing the second time."""

from __future__ import annotations

from dataclasses import replace

from analytics.alerts.alert import SYSTEM, Alert, AlertAction, AlertState, Severity, Sighting, Transition


class NotPossible(Exception):
    """Expected: this cannot happen to an alert in its state."""


def raised(sighting: Sighting, alert_id: str, now_ms: int, *, silence_id: str = "") -> Alert:
    """The alert of a cause of which none is open."""
    alert = Alert(
        alert_id=alert_id,
        cause=sighting.cause,
        account_id=sighting.account_id,
        severity=sighting.severity,
        state=AlertState.RAISED,
        start_ms=sighting.seen_ms,
        last_seen_ms=sighting.seen_ms,
        occurrence_count=1,
        measured=sighting.measured,
        expected=sighting.expected,
        transitions=(),
        update_ms=now_ms,
        silence_id=silence_id,
    )
    return _with(alert, AlertAction.RAISED, now_ms)


def seen_again(alert: Alert, sighting: Sighting, now_ms: int, *, is_new: bool) -> Alert:
    """The open alert after its cause was seen once more; the same alert where that is no news.

    `is_new`: the cause had been gone in between. Only what was seen after the last time counts, so that a sighting that
    comes again, or late, does not.
    """
    if sighting.severity > alert.severity:
        escalated = replace(alert, severity=sighting.severity)
        alert = _with(_counted(escalated, sighting, now_ms, is_new=is_new), AlertAction.ESCALATED, now_ms)
        return replace(alert, measured=sighting.measured, expected=sighting.expected)
    return _counted(alert, sighting, now_ms, is_new=is_new)


def acknowledged(alert: Alert, actor: str, note: str, now_ms: int) -> Alert:
    """The alert once somebody has taken it on; whoever did first stays on record, and a second call changes nothing.

    Raises:
        NotPossible: it is over.
    """
    if alert.state == AlertState.ACKNOWLEDGED:
        return alert
    if not alert.is_open:
        raise NotPossible
    return _with(replace(alert, state=AlertState.ACKNOWLEDGED), AlertAction.ACKNOWLEDGED, now_ms, actor, note)


def resolved(alert: Alert, actor: str, note: str, now_ms: int) -> Alert:
    """The alert once it is over; a second call changes nothing.

    Where a person says so its cause may be there still; the service says so only when it is gone.
    """
    if not alert.is_open:
        return alert
    over = replace(alert, state=AlertState.RESOLVED, is_called_over=actor != SYSTEM)
    return _with(over, AlertAction.RESOLVED, now_ms, actor, note)


def reopened(alert: Alert, actor: str, note: str, now_ms: int) -> Alert:
    """The alert once it is not over after all; an open one stays as it is."""
    if alert.is_open:
        return alert
    again = replace(alert, state=AlertState.RAISED, is_called_over=False)
    return _with(again, AlertAction.REOPENED, now_ms, actor, note)


def silenced(alert: Alert, silence_id: str, now_ms: int) -> Alert:
    """The open alert once a silence covers it, or, where the id is empty, none any more; one that is over stays so."""
    if not alert.is_open or alert.silence_id == silence_id:
        return alert
    action, note = AlertAction.SILENCED, silence_id
    if not silence_id:
        action, note = AlertAction.SILENCE_ENDED, alert.silence_id
    return _with(replace(alert, silence_id=silence_id), action, now_ms, note=note)


def ends_by_itself(alert: Alert) -> bool:
    """Whether the service may end it when its cause is gone: what somebody has reopened is theirs to end."""
    return all(one.action != AlertAction.REOPENED for one in alert.transitions)


def _counted(alert: Alert, sighting: Sighting, now_ms: int, *, is_new: bool) -> Alert:
    if sighting.seen_ms <= alert.last_seen_ms:
        return alert
    return replace(
        alert,
        last_seen_ms=sighting.seen_ms,
        occurrence_count=alert.occurrence_count + is_new,
        update_ms=max(now_ms, alert.update_ms),
    )


def _with(alert: Alert, action: AlertAction, now_ms: int, actor: str = SYSTEM, note: str = "") -> Alert:
    severity: Severity = alert.severity
    # The clocks of replicas differ; a history that goes backwards would be read as another one.
    time_ms = max(now_ms, alert.update_ms)
    transition = Transition(time_ms, action, actor, note, severity)
    return replace(alert, transitions=(*alert.transitions, transition), update_ms=time_ms)
