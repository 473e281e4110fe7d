"""What came back: readings acked and refused, and how long each frame took."""

from __future__ import annotations

import time
from collections import Counter, deque

from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsResponse
from energy.telemetry.v1.verdict_pb2 import Verdict

from loadgen.acked_frame import WHOLE_FRAME, reason_name
from loadgen.latency import LatencyHistogram


class AckBook:
    """The books of one row: every stream and every call enters here."""

    def __init__(self) -> None:
        self.acked = 0
        """Readings acked, refused ones not among them."""
        self.refused: Counter[str] = Counter()
        self.latency = LatencyHistogram()
        self.is_measuring = False
        """Latencies are kept only while this is set, so that warming up does not count."""

    def add(self, acked: int, latency_ms: float) -> None:
        """Enters one frame or call."""
        self.acked += acked
        if self.is_measuring:
            self.latency.record(latency_ms)

    def refuse(self, verdict: Verdict, count: int) -> None:
        """Enters `count` readings as refused that `add` has counted as acked."""
        self.refused[reason_name(verdict)] += count
        self.acked -= count


class UnackedFrames:
    """The frames of one stream that wait for their ack, in order."""

    def __init__(self, book: AckBook, frame_size: int) -> None:
        self._book = book
        self._frame_size = frame_size
        self._waiting: deque[tuple[int, float]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def sent(self, sequence: int, due_seconds: float) -> None:
        """A frame goes out; its latency counts from when it was due."""
        self._waiting.append((sequence, due_seconds))

    def acknowledge(self, response: bytes) -> int:
        """Enters what a serialised ack covers into the book; returns how many frames that are."""
        ack = StreamReadingsResponse.FromString(response)
        now_seconds = time.monotonic()
        covered = 0
        while self._waiting and self._waiting[0][0] <= ack.acked_sequence:
            _, due_seconds = self._waiting.popleft()
            self._book.add(self._frame_size, (now_seconds - due_seconds) * 1000)
            covered += 1
        for verdict in ack.refused:
            self._book.refuse(verdict, self._frame_size if verdict.index == WHOLE_FRAME else 1)
        return covered
