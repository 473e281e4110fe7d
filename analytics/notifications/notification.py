"""A notification of an alert, and its delivery by one route, with every try."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from analytics.alerts.alert import Alert
from analytics.notifications.preferences import Channel

TRIES_MAXIMUM = 3


class NotificationKind(StrEnum):
    """What somebody is told of, by the names of the contract."""

    ALERT_RAISED = "ALERT_RAISED"
    ALERT_OVER = "ALERT_OVER"
    TEST = "TEST"


class DeliveryState(StrEnum):
    """How far a delivery is, by the names of the contract."""

    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    UNCERTAIN = "UNCERTAIN"
    SUPPRESSED = "SUPPRESSED"


class Outcome(StrEnum):
    """What came of a try, by the names of the contract."""

    TAKEN = "TAKEN"
    REFUSED = "REFUSED"
    AWAY = "AWAY"
    FORBIDDEN = "FORBIDDEN"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at `time_ms`, UTC milliseconds; `status_code` is that of SMTP or HTTP, 0 where nobody answered."""

    time_ms: int
    outcome: Outcome
    status_code: int = 0


@dataclass(frozen=True, slots=True)
class Wording:
    """What is told: a line and a few sentences for people, of what alert (None: of a test)."""

    kind: NotificationKind
    title: str
    text: str
    alert: Alert | None


@dataclass(frozen=True, slots=True)
class Notification:
    """What somebody finds among their notifications; instants are UTC milliseconds."""

    notification_id: str
    recipient_id: str
    wording: Wording
    create_ms: int
    read_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification on its way by one route; instants are UTC milliseconds.

    It carries what it tells, for it may tell of a graver alert than the notification was made of. `route_key` is that
    of its route.
    """

    delivery_id: str
    notification_id: str
    recipient_id: str
    channel: Channel
    address: str
    route_key: str
    wording: Wording
    state: DeliveryState
    attempts: tuple[Attempt, ...]
    create_ms: int
    due_ms: int | None

    @property
    def cause_key(self) -> str:
        """The cause that it tells of; empty for a test."""
        return "" if self.wording.alert is None else self.wording.alert.cause.key

    @property
    def alert_id(self) -> str:
        """The alert that it tells of; empty for a test."""
        return "" if self.wording.alert is None else self.wording.alert.alert_id


def notification_id(subject: str, recipient_id: str, kind: NotificationKind) -> str:
    """The id of what a recipient is told of an alert (or test): the same however often it is derived."""
    return _word(f"{subject}\n{kind}\n{recipient_id}")


def delivery_id(of: str, route_key: str) -> str:
    """The id of the delivery of a notification by a route: the same however often it is derived."""
    return _word(f"{of}\n{route_key}")


def _word(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
