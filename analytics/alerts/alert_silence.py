"""Silences: for how long alerts of some causes trouble nobody, as while a site is being serviced."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from analytics.alerts.alert import AlertType, Cause


class Silenceable(NamedTuple):
    """What a silence is asked about: a cause, who pays for its device, and the groups this is in."""

    cause: Cause
    account_id: str
    group_ids: Collection[str] = ()


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
    group_id: str = ""

    def covers(self, one: Silenceable, now_ms: int) -> bool:
        """Whether an alert is silenced now."""
        return (
            self.start_ms <= now_ms < self.end_ms
            and self.type in {None, one.cause.type}
            and self.region in {"", one.cause.region}
            and self.account_id in {"", one.account_id}
            and self.device_id in {"", one.cause.device_id}
            and (not self.group_id or self.group_id in one.group_ids)
        )


def silence_of(silences: Iterable[AlertSilence], one: Silenceable, now_ms: int, *, before: str = "") -> str:
    """The id of the silence that covers an alert now; empty if none does.

    That which covered it `before` if it still does, else the one that lasts longest, so that an alert goes from one
    silence to another as seldom as can be.
    """
    covering = [silence for silence in silences if silence.covers(one, now_ms)]
    if any(silence.silence_id == before for silence in covering):
        return before
    return max(covering, key=lambda silence: (silence.end_ms, silence.silence_id)).silence_id if covering else ""
