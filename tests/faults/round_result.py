"""What is sent in a round, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field

RECOVERY_LIMIT_SECONDS = 10.0
"""The aim; a round that takes longer is waited for a while, and reported with what it took."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is sent: meters, readings a second, and how long before the fault (from, to; seconds)."""

    meters: int = 24
    readings_per_second: float = 2_000.0
    warm_up_seconds: tuple[float, float] = (1.0, 2.0)


@dataclass(slots=True)
class RoundResult:
    """What became of one round; `recovery_seconds` is None when it did not recover, or was void.

    `in_flight` is how many readings were when the fault hit; where it hits several times, the least.
    """

    fault: str
    seed: str
    in_flight: int = 0
    acked: int = 0
    lost: int = 0
    doubled: int = 0
    recovery_seconds: float | None = None
    red: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    blows: int = 0

    def hit(self, in_flight: int) -> None:
        """Notes one blow."""
        self.in_flight = in_flight if self.blows == 0 else min(self.in_flight, in_flight)
        self.blows += 1

    @property
    def is_void(self) -> bool:
        """Nothing was in flight at one of the blows, so not everything was tried."""
        return self.in_flight == 0

    @property
    def has_passed(self) -> bool:
        """The history is right and the mesh came back in time."""
        in_time = self.recovery_seconds is not None and self.recovery_seconds <= RECOVERY_LIMIT_SECONDS
        return in_time and not (self.is_void or self.lost or self.doubled or self.problems)
