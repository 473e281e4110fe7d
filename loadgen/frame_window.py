"""Which frames are on their way to the gateway: in order, bounded, and written again after a lost stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Generic, TypeVar

ContentT = TypeVar("ContentT")


@dataclass(slots=True)
class Frame(Generic[ContentT]):
    """A frame, how often and when last it was written to a stream, and as which frame of that stream, from 1."""

    sequence: int
    content: ContentT
    write_count: int = 0
    written_at_seconds: float = 0.0
    number: int = 0


class FrameWindow(Generic[ContentT]):
    """At most `limit` frames that are not acked, by ascending sequence; those written to this stream stand in front."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._frames: deque[Frame[ContentT]] = deque()
        self._written = 0
        self._numbered = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def is_full(self) -> bool:
        """True when a frame must be acked before another one fits."""
        return len(self._frames) >= self._limit

    @property
    def waiting_since_seconds(self) -> float | None:
        """When the oldest frame that waits for its ack was written to this stream; None when none waits."""
        return self._frames[0].written_at_seconds if self._written else None

    def add(self, frame: Frame[ContentT]) -> None:
        """Puts a frame behind the others.

        Raises:
            ValueError: the window is full, or the sequence is not above that of the frame before.
        """
        if self.is_full:
            raise ValueError("the window is full")
        if self._frames and frame.sequence <= self._frames[-1].sequence:
            raise ValueError("a frame's sequence must be greater than the one before")
        self._frames.append(frame)

    def next_to_write(self, now_seconds: float) -> Frame[ContentT] | None:
        """The first frame not yet written to this stream, now counted as written; None when all are."""
        if self._written == len(self._frames):
            return None
        frame = self._frames[self._written]
        self._written += 1
        self._numbered += 1
        frame.number = self._numbered
        frame.write_count += 1
        frame.written_at_seconds = now_seconds
        return frame

    def acknowledge(self, acked_sequence: int) -> list[Frame[ContentT]]:
        """Takes out the frames that a cumulative ack covers; one not written to this stream cannot be among them."""
        acked = []
        while self._written and self._frames[0].sequence <= acked_sequence:
            acked.append(self._frames.popleft())
            self._written -= 1
        return acked

    def number_of(self, number: int) -> Frame[ContentT] | None:
        """The frame that was written to this stream as the one of this number; None if it is here no more."""
        for place in range(self._written):
            if self._frames[place].number == number:
                return self._frames[place]
        return None

    def up_to(self, sequence: int) -> Iterator[Frame[ContentT]]:
        """The frames that are not acked, as far as a sequence."""
        return takewhile(lambda frame: frame.sequence <= sequence, self._frames)

    def restart(self) -> None:
        """Begins a new stream: every frame left has to be written again, in the same order."""
        self._written = 0
        self._numbered = 0
