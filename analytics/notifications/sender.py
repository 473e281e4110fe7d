"""What a way to reach people is, for whoever sends by it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from analytics.notifications.notification import Delivery, Outcome
from analytics.notifications.preferences import Route

HandOver = Callable[[], Awaitable[None]]
"""To be awaited right before the receiver gets the message; raises NotOurs where it is another's to send by now."""


class NotOurs(Exception):
    """Expected: the delivery was taken by somebody else, for it took us too long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said; `status_code` is that of SMTP or HTTP, 0 where nobody answered."""

    outcome: Outcome
    status_code: int = 0


class Sender(Protocol):
    """A way to reach people.

    `is_repeatable`: a receiver that gets a message twice knows so by the id of the delivery.
    """

    is_repeatable: bool

    async def send(self, delivery: Delivery, route: Route, hand_over: HandOver) -> Answer:
        """Sends a delivery by a route; every failure is an answer."""
