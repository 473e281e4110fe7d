"""Whether work gets done: how long it has been in hand without any of it being finished."""

from __future__ import annotations

import time
from collections.abc import Callable


class NoProgress(Exception):
    """Expected: work is in hand and none of it gets finished, for whatever reason."""


class Progress:
    """Watches over work that comes in pieces; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in_hand = 0
        self._since = 0.0

    def began(self) -> None:
        """One more piece is in hand."""
        if not self._in_hand:
            self._since = self._clock()
        self._in_hand += 1

    def advanced(self, in_hand: int) -> None:
        """Something was finished, or given up; so many pieces are left."""
        self._in_hand = in_hand
        self._since = self._clock()

    def stalled_seconds(self) -> float:
        """How long nothing of what is in hand was finished; 0 when nothing is in hand."""
        return self._clock() - self._since if self._in_hand else 0.0

    def require(self, limit_seconds: float) -> None:
        """For health checks.

        Raises:
            NoProgress: nothing was finished for so long.
        """
        if self._in_hand and self.stalled_seconds() >= limit_seconds:
            raise NoProgress(f"{self._in_hand} pieces of work are in hand and none gets done")
