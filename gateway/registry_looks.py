"""How often the registry is asked for changes, and how far back each question reaches."""

from __future__ import annotations

from typing import NamedTuple

# How far the clocks of two gateways may differ, and how long a write may take from its stamp to being seen.
OVERLAP_MS = 5_000
# What takes longer, for the store is slow or a clock is wrong, is found by a question that reaches back further.
LONG_OVERLAP_MS = 120_000

_LOOKS_A_LONG_LOOK = 15
# While many devices are registered each question reads thousands of them again, which the registration itself lacks.
# Changes are told within five seconds, so a pause may not last longer than this.
_REST_PER_LOOK = 4.0
_PAUSE_MAXIMUM_SECONDS = 3.0
_REST_PER_LONG_LOOK = 20.0


class Look(NamedTuple):
    """A question for changes: how far back it reaches, and whether it is one of the far-reaching ones."""

    reach_ms: int
    is_long: bool


class RegistryLooks:
    """Plans the next question by what the last ones took; times are seconds of a steady clock.

    A question that failed is as if it had not been asked: the next far-reaching one reaches over its time, too.
    """

    def __init__(self, pause_seconds: float, now: float) -> None:
        self._pause_seconds = pause_seconds
        self._looks = 0
        self._long_look_at = now
        self._next_long_at = now

    def next(self, now: float) -> Look:
        """The question to ask now. A long one also reaches over the time since the last one that was answered."""
        self._looks += 1
        if self._looks < _LOOKS_A_LONG_LOOK or now < self._next_long_at:
            return Look(OVERLAP_MS, is_long=False)
        reach_ms = LONG_OVERLAP_MS + round((now - self._long_look_at) * 1000)
        self._looks = 0
        return Look(reach_ms, is_long=True)

    def answered(self, look: Look, asked_at: float, now: float) -> float:
        """Takes note that a question was answered; returns how many seconds to rest after it."""
        took_seconds = now - asked_at
        if look.is_long:
            self._long_look_at = asked_at
            self._next_long_at = now + _REST_PER_LONG_LOOK * took_seconds
            return self._pause_seconds
        return max(self._pause_seconds, min(_REST_PER_LOOK * took_seconds, _PAUSE_MAXIMUM_SECONDS))
