"""When frames go out: as fast as acks allow, or at a rate that may be changed on the way."""

from __future__ import annotations

import asyncio
import time


class Schedule:
    """Hands out the due times of frames; without a rate every frame is due at once.

    A frame that could not go out in time is still due when it was due: its latency then shows the wait, and nothing of
    the rate is lost.
    """

    def __init__(self, frame_size: int, readings_per_second: float | None = None, *, frames: int | None = None) -> None:
        """`frames` is how many are due at all; None: until it is ended."""
        self._frame_size = frame_size
        self._frames_left = frames
        self._rate = readings_per_second
        self._next_seconds: float | None = None
        self.is_over = False

    @property
    def readings_per_second(self) -> float | None:
        """The rate; None is as fast as acks allow."""
        return self._rate

    @readings_per_second.setter
    def readings_per_second(self, rate: float) -> None:
        """Changes the rate from the next frame on; what is overdue is let go."""
        self._rate = rate
        if self._next_seconds is not None:
            self._next_seconds = max(self._next_seconds, time.monotonic())

    def end(self) -> None:
        """No further frame is due."""
        self.is_over = True

    async def next_due(self) -> float | None:
        """Waits until a frame is due and returns when that was, by `time.monotonic`; None when it is over."""
        if self.is_over or self._frames_left == 0:
            return None
        if self._frames_left is not None:
            self._frames_left -= 1
        now_seconds = time.monotonic()
        if self._rate is None:
            return now_seconds
        due_seconds = self._next_seconds if self._next_seconds is not None else now_seconds
        self._next_seconds = due_seconds + self._frame_size / self._rate
        if due_seconds > now_seconds:
            await asyncio.sleep(due_seconds - now_seconds)
            if self.is_over:
                return None
        return due_seconds
