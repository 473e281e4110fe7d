"""What every batch of one process says about who wrote it, whatever its partition."""

from __future__ import annotations

from collections.abc import Callable


class WriterIdentity:
    """The identity of a process that writes batches, how many partitions it knows, and its time.

    One for all partitions: consumers conclude from a batch's time and partition count what other partitions cannot have
    yet, so the time must not run backwards from one partition to another either.
    """

    def __init__(self, writer: str, partition_count: int, now_ms: Callable[[], int]) -> None:
        self.writer = writer
        self.partition_count = partition_count
        self._now_ms = now_ms
        self._time_ms = 0

    def time_ms(self) -> int:
        """Now, or the latest instant ever told if the clock was set back."""
        self._time_ms = max(self._time_ms, self._now_ms())
        return self._time_ms
