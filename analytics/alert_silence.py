"""Silences: for how long alerts of some causes are raised but trouble nobody, as while a site is being serviced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from analytics.alert import AlertType, Cause


@dataclass(frozen=True, slots=True)
class AlertSilence:
    """A silence over [start_ms, end_ms), UTC milliseconds; what it leaves empty it does not ask for."""

    silence_id: str
    start_ms: int
    end_ms: int
    actor: str
    reason: str
    type: AlertType | None = None
    region: str = ""
    account_id: str = ""
    device_id: str = ""

    def covers(self, cause: Cause, account_id: str, now_ms: int) -> bool:
        """Whether an alert that is raised now is silenced."""
        return (
            self.start_ms <= now_ms < self.end_ms
            and self.type in {None, cause.type}
            and self.region in {"", cause.region}
            and self.account_id in {"", account_id}
            and self.device_id in {"", cause.device_id}
        )


def silence_of(silences: Iterable[AlertSilence], cause: Cause, account_id: str, now_ms: int) -> str:
    """The id of the silence that covers an alert raised now, the one that lasts longest; empty if none does."""
    covering = [silence for silence in silences if silence.covers(cause, account_id, now_ms)]
    return max(covering, key=lambda one: (one.end_ms, one.silence_id)).silence_id if covering else ""
