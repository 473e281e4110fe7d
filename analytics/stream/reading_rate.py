"""How many readings come in per second: the mean over a window that slides."""

from __future__ import annotations

WINDOW_SECONDS = 10


class ReadingRate:
    """Counts by second, in a ring; instants are seconds of a clock that only goes forward.

    The window covers the running second, the nine before it, and of the tenth the share that the running one still
    lacks, so that a steady stream gives its true rate at every moment.
    """

    def __init__(self) -> None:
        self._counts = [0] * (WINDOW_SECONDS + 1)
        self._second = 0

    def add(self, readings: int, now_seconds: float) -> None:
        """Counts readings taken now."""
        self._forward(int(now_seconds))
        self._counts[self._second % len(self._counts)] += readings

    def per_second(self, now_seconds: float) -> float:
        """Mean over the last 10 seconds."""
        self._forward(int(now_seconds))
        elapsed = now_seconds - int(now_seconds)
        oldest = self._counts[(self._second + 1) % len(self._counts)]
        return (sum(self._counts) - oldest * elapsed) / WINDOW_SECONDS

    def _forward(self, second: int) -> None:
        for passed in range(self._second + 1, min(second, self._second + len(self._counts)) + 1):
            self._counts[passed % len(self._counts)] = 0
        self._second = max(self._second, second)
