"""Deadlines shrink along the way: who answers a call asks others for no longer than its own caller still waits."""

from __future__ import annotations

import time
from contextvars import ContextVar

from common.errors import DeadlineExceeded

# Kept back from the caller's time, so that our answer still reaches it.
_ANSWER_SECONDS = 0.05

# When the call that is being answered ends, on the monotonic clock; each call is answered in a context of its own.
_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)


def answer_within(seconds: float | None) -> None:
    """Says how long the caller of what runs in this context still waits; None: it has not said."""
    _ends_at.set(None if seconds is None else time.monotonic() + seconds)


def patience(limit_seconds: float) -> float:
    """How long a peer may be asked, in seconds: what the caller of this context still waits, at most `limit_seconds`.

    Raises:
        DeadlineExceeded: the caller's time is over.
    """
    ends_at = _ends_at.get()
    return shortened(limit_seconds, None if ends_at is None else ends_at - time.monotonic())


def shortened(limit_seconds: float, left_seconds: float | None) -> float:
    """The same, where the caller still waits for `left_seconds`; None: it has not said how long.

    Raises:
        DeadlineExceeded: the caller's time is over.
    """
    if left_seconds is None:
        return limit_seconds
    if left_seconds <= _ANSWER_SECONDS:
        raise DeadlineExceeded
    return min(left_seconds - _ANSWER_SECONDS, limit_seconds)
