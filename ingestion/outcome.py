"""What can become of a Part, and so of its request: it is durable, or one of four reasons why not."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class FailureReason(StrEnum):
    """Why a request could not be made durable; the names are those of the contract's `ErrorReason`."""

    DEPENDENCY_UNAVAILABLE = "DEPENDENCY_UNAVAILABLE"
    OVERLOADED = "OVERLOADED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    OUT_OF_RANGE = "OUT_OF_RANGE"


class Waiter(Protocol):
    """Whoever waits for a Part: told once, durable or failed."""

    def part_durable(self) -> None:
        """The Part is in the queues of every consuming service."""

    def part_failed(self, reason: FailureReason) -> None:
        """The Part is not, as far as is known; sending it again is safe."""


class RequestWaiter(Protocol):
    """Whoever waits for a request: refused as a whole, or told what becomes of each of its Parts."""

    def part(self, position: int) -> Waiter:
        """Who waits for one of its Parts, by its position."""

    def refused(self, reason: FailureReason) -> None:
        """None of its Parts was taken."""
