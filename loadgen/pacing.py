"""When the next readings are due: at a rate, at a speed of simulated time, or at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pacing:
    """The limits on sending; both absent means as fast as acks allow, both given means the slower of the two.

    `readings_per_second` limits readings by the clock. `speed` is how many seconds of simulated time pass in one second
    of the clock: 1 is live, 960 is a day in 90 seconds.
    """

    readings_per_second: float | None = None
    speed: float | None = None

    def __post_init__(self) -> None:
        for name in ("readings_per_second", "speed"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0")

    def due_seconds(self, sent_count: int, simulated_ms: int) -> float:
        """Seconds after the start of sending at which readings may go out.

        `sent_count` readings went before them, and they were measured `simulated_ms` after the simulation's begin.
        """
        by_rate = sent_count / self.readings_per_second if self.readings_per_second else 0.0
        by_speed = simulated_ms / 1000 / self.speed if self.speed else 0.0
        return max(by_rate, by_speed)
