"""When the next batch of a partition may go: soon after a pause, steadily under load."""

from __future__ import annotations


class BatchPace:
    """Spaces batches by `spacing_seconds` at least, and by `steady_seconds` in the long run.

    A consumer pays for each batch, however small. So a partition that has sent few of late may send several close
    together, `burst_batches` at most, and one that is busy sends fewer and larger ones. The rule is the generic cell
    rate algorithm (ITU-T I.371, annex A). Times are those of one clock, in seconds.
    """

    def __init__(self, *, spacing_seconds: float, steady_seconds: float, burst_batches: int, now: float) -> None:
        self._spacing_seconds = spacing_seconds
        self._steady_seconds = steady_seconds
        self._tolerance_seconds = (burst_batches - 1) * steady_seconds
        # As if the last batch were long enough ago, so that the first one does not wait.
        self._sealed_at = now - spacing_seconds
        self._steadily_at = now

    @property
    def sealed_at(self) -> float:
        """When the last batch was sealed."""
        return self._sealed_at

    def next_at(self) -> float:
        """When the next batch may be sealed."""
        return max(self._sealed_at + self._spacing_seconds, self._steadily_at - self._tolerance_seconds)

    def sealed(self, now: float) -> None:
        """Counts a batch."""
        self._sealed_at = now
        self._steadily_at = max(self._steadily_at, now) + self._steady_seconds
