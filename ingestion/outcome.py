"""What can become of a request: every Part of it is durable, or one of four reasons why not."""

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
    """Whoever waits for Parts: told once for each of them, durable or failed; after a failure nothing else counts."""

    def part_durable(self) -> None:
        """One Part is in the queues of every consuming service."""

    def part_failed(self, reason: FailureReason) -> None:
        """One Part is not, as far as is known; sending it again is safe."""
