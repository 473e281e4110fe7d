"""When a lost stream is opened again: never at once, for whoever lost it with us comes back, too."""

from __future__ import annotations

from random import Random

DRAIN_SPREAD_SECONDS = 1.0
"""A gateway asks all its devices at once to leave; they come back spread over so long."""

_INITIAL_SECONDS = 0.1
_MAXIMUM_SECONDS = 10.0
# A stream that was kept for so long ends what was before it.
_LASTED_SECONDS = 10.0


class Reconnecting:
    """The waits between the streams of one client, and its patience: exponential backoff with full jitter.

    Waits grow from stream to stream until one has lasted, however much the others acked: a gateway that takes a frame
    and then refuses is refusing. Times are seconds of a steady clock.
    """

    def __init__(self, patience_seconds: float, random: Random) -> None:
        self._patience_seconds = patience_seconds
        self._random = random
        self._losses = 0
        self._moved_at: float | None = None

    def begin(self, now_seconds: float) -> None:
        """Notes that a stream is opened; the first one begins the patience."""
        if self._moved_at is None:
            self._moved_at = now_seconds

    def moved(self, now_seconds: float) -> None:
        """Notes that the gateway took something, or that nothing is left for it: patience begins anew."""
        self._moved_at = now_seconds

    def has_patience(self, now_seconds: float) -> bool:
        """Whether the gateway may be away for a little longer."""
        return self._moved_at is None or now_seconds - self._moved_at < self._patience_seconds

    def wait_after_drain_seconds(self) -> float:
        """How long to wait after the gateway asked to connect again."""
        self._losses = 0
        return self._random.uniform(0, DRAIN_SPREAD_SECONDS)

    def wait_after_loss_seconds(self, lasted_seconds: float, retry_after_seconds: float = 0.0) -> float:
        """How long to wait after a stream was lost that lasted so long; at least what the gateway asked for."""
        self._losses = 0 if lasted_seconds >= _LASTED_SECONDS else self._losses
        longest_seconds = min(_MAXIMUM_SECONDS, _INITIAL_SECONDS * 2**self._losses)
        self._losses = min(self._losses + 1, 16)
        return retry_after_seconds + self._random.uniform(0, longest_seconds)
