"""When the next batch of a partition may go: soon after a pause, and the later the more there is to do."""

from __future__ import annotations

from dataclasses import dataclass

# A confirm that takes long says that broker, disk or processor are busy; then fewer and larger batches are right.
_CONFIRMS_APART = 2.0


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """How far apart batches are: `spacing_seconds` at least, `steady_seconds` in the long run, times in seconds.

    A batch of `weight_bytes` counts twice as much as an empty one, one of twice as many three times; none counts more
    than `longest_seconds`. `burst_batches` may follow each other at the least spacing after a pause.
    """

    spacing_seconds: float
    steady_seconds: float
    weight_bytes: int
    longest_seconds: float
    burst_batches: int


class BatchPace:
    """The pace of one partition.

    Everybody behind pays for each batch, however small. So a partition that has sent few of late may send several close
    together, and one that is busy sends fewer and larger ones. The rule is the generic cell rate algorithm (ITU-T
    I.371, annex A), with an increment that grows with the size of the batch and with the time of a confirm. While
    batches wait for their consumers it is as long as it may be: these catch up the sooner the fewer there are.
    """

    def __init__(self, limits: PaceLimits, now: float) -> None:
        self._limits = limits
        # As if the last batch were long enough ago, so that the first one does not wait.
        self._sealed_at = now - limits.spacing_seconds
        self._steadily_at = now
        self._confirm_seconds = 0.0

    @property
    def sealed_at(self) -> float:
        """When the last batch was sealed."""
        return self._sealed_at

    def next_at(self) -> float:
        """When the next batch may be sealed."""
        limits = self._limits
        tolerance_seconds = (limits.burst_batches - 1) * limits.steady_seconds
        return max(self._sealed_at + limits.spacing_seconds, self._steadily_at - tolerance_seconds)

    def sealed(self, now: float, size_bytes: int, *, are_consumers_behind: bool = False) -> None:
        """Counts a batch of so many bytes; while consumers are behind each is followed by the longest pause."""
        limits = self._limits
        increment_seconds = max(
            limits.steady_seconds * (1 + size_bytes / limits.weight_bytes),
            _CONFIRMS_APART * self._confirm_seconds,
            limits.longest_seconds if are_consumers_behind else 0.0,
        )
        self._sealed_at = now
        self._steadily_at = max(self._steadily_at, now) + min(increment_seconds, limits.longest_seconds)

    def confirmed(self, seconds: float) -> None:
        """Notes how long the confirm of the last batch took."""
        self._confirm_seconds = seconds
