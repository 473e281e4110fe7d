"""What somebody wants to be told of, and the ways that reach them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from analytics.alerts.alert import Alert, AlertType, Severity
from analytics.notifications.quiet_hours import QuietHours


class Channel(StrEnum):
    """How somebody is reached, by the names of the contract."""

    EMAIL = "EMAIL"
    WEBHOOK = "WEBHOOK"
    SMS = "SMS"


@dataclass(frozen=True, slots=True)
class Route:
    """One way to reach somebody; `signing_secret` is a webhook's, as Standard Webhooks writes it."""

    channel: Channel
    address: str
    minimum_severity: Severity = Severity.LOW
    is_enabled: bool = True
    signing_secret: str = ""

    @property
    def key(self) -> str:
        """The channel and address as one short word."""
        return hashlib.blake2b(f"{self.channel}\n{self.address}".encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Preferences:
    """What concerns a recipient, and their routes; `time_zone` is an IANA name, `update_ms` UTC milliseconds.

    Those of `escalation_level` 0 are told at once, the others of what nobody takes on, level by level.
    """

    recipient_id: str
    is_concerned_by_all: bool
    regions: tuple[str, ...]
    account_ids: tuple[str, ...]
    muted_types: frozenset[AlertType]
    routes: tuple[Route, ...]
    is_told_when_over: bool
    time_zone: str
    actor: str
    update_ms: int
    escalation_level: int = 0
    quiet_hours: QuietHours | None = None

    def concerns(self, alert: Alert) -> bool:
        """Whether an alert is one that they are told of."""
        if alert.cause.type in self.muted_types:
            return False
        is_theirs = bool(alert.account_id) and alert.account_id in self.account_ids
        return self.is_concerned_by_all or is_theirs or alert.cause.region in self.regions

    def due_ms(self, severity: Severity, now_ms: int) -> int:
        """When they may be told now of an alert of a severity: what is critical at once, UTC milliseconds."""
        if self.quiet_hours is None or severity is Severity.CRITICAL:
            return now_ms
        return self.quiet_hours.until_ms(now_ms, self.time_zone)

    def routes_for(self, severity: Severity) -> list[Route]:
        """The routes in use for alerts of a severity."""
        return [route for route in self.routes if route.is_enabled and route.minimum_severity <= severity]
