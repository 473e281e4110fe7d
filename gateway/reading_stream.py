"""One device's stream: frames in, many at once on their way, cumulative acks out in the order of the frames."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsResponse
from energy.telemetry.v1.verdict_pb2 import Verdict
from google.protobuf.message import DecodeError

from common.errors import DependencyUnavailable, Overloaded
from gateway.frame_reader import FrameReader, ReadFrame
from gateway.frame_rules import MALFORMED, WHOLE_FRAME, sequence_fault, size_fault
from gateway.intake import Caller, Intake
from gateway.intake_metrics import IntakeMetrics
from gateway.intake_room import IntakeRoom
from gateway.task_scope import Beside
from gateway.validation import Fault

STREAM_METHOD = "/energy.telemetry.v1.TelemetryService/StreamReadings"

WINDOW_FRAMES = 64

# How long a frame is tried while ingestion is away, before the stream ends and the device has to come again.
_PATIENCE_SECONDS = 20.0
# One frame may bring a thousand; more than that wait for the next ack, so that an ack stays a small message.
_VERDICTS_AN_ACK = 1_000
# What a refusal takes in memory, which may be hundreds of times what the reading took on its way here.
VERDICT_BYTES = 500
# Each frame is a trace of its own; one for the whole life of a stream would be none that anybody can read.
_CALLER = Caller(STREAM_METHOD[1:])


class _Unacked:
    """A frame between its receipt and its ack; `sequence` is 0 where it cannot be acked by number.

    `size_bytes` are those it holds in the room of all streams until its ack is written.
    """

    __slots__ = ("is_done", "refused", "sequence", "size_bytes")

    def __init__(self, sequence: int, size_bytes: int = 0) -> None:
        self.sequence = sequence
        self.size_bytes = size_bytes
        self.refused: list[Verdict] = []
        self.is_done = False


class ReadingStream:
    """The state of one stream; its device is asked to leave when `draining` is set, and after `stay_seconds` anyway."""

    def __init__(
        self,
        intake: Intake,
        room: IntakeRoom,
        reader: FrameReader,
        metrics: IntakeMetrics,
        draining: asyncio.Event,
        *,
        stay_seconds: float,
    ) -> None:
        self._intake = intake
        self._room = room
        self._reader = reader
        self._metrics = metrics
        self._draining = draining
        self._stay_seconds = stay_seconds
        self._unacked: deque[_Unacked] = deque()
        # Full: no further frame is read, and the flow control of HTTP/2 slows the device down.
        self._window = asyncio.Semaphore(WINDOW_FRAMES)
        self._changed = asyncio.Event()
        self._frames_read = 0
        self._last_sequence = 0
        self._acked_sequence = 0
        self._held_bytes = 0
        self._is_over = False
        self._is_to_leave = False
        self._failure: BaseException | None = None

    async def responses(self, frames: AsyncIterator[bytes]) -> AsyncGenerator[StreamReadingsResponse, None]:
        """The acks, until the device has ended the stream, or is asked to leave, and all is acked.

        Raises the first failure of a frame, after the acks of the frames before it; what was not acked must be sent
        again, also where the device is asked to leave.
        """
        try:
            async with Beside(self._pump(frames)):
                while not (self._is_over and not self._has_news()):
                    await self._changed.wait()
                    self._changed.clear()
                    while self._has_news():
                        response, covered = self._next_ack()
                        yield response
                        for unacked in covered:
                            self._give_back(unacked.size_bytes)
                            self._window.release()
        finally:
            self._give_back(self._held_bytes)
        # A gateway that is about to end has given up waiting, and the device is to come back at once, to another one.
        is_given_up = self._draining.is_set() and isinstance(self._failure, DependencyUnavailable | Overloaded)
        if self._failure is not None and not is_given_up:
            raise self._failure
        if self._is_to_leave or self._draining.is_set():
            yield StreamReadingsResponse(acked_sequence=self._acked_sequence, drain=True)

    def _give_back(self, size_bytes: int) -> None:
        self._held_bytes -= size_bytes
        self._room.give_back(size_bytes)

    async def _pump(self, frames: AsyncIterator[bytes]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(self._read(frames, group))
                watcher = group.create_task(self._stop_reading_in_time(reader))
                await asyncio.wait([reader])
                watcher.cancel()
        except* Exception as failures:  # noqa: BLE001 - told to whoever iterates the acks, who raises it
            self._failure = _first_of(failures)
        finally:
            self._is_over = True
            self._changed.set()

    async def _stop_reading_in_time(self, reader: asyncio.Task[None]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stay_seconds):
                await self._draining.wait()
        self._is_to_leave = True
        reader.cancel()

    async def _read(self, frames: AsyncIterator[bytes], group: asyncio.TaskGroup) -> None:
        await self._window.acquire()
        async for encoded in frames:
            self._frames_read += 1
            frame = self._decode(encoded)
            if frame is not None:
                # A stream holds one frame at most that was read and found no room.
                try:
                    await self._room.take(len(encoded))
                except Overloaded as refusal:
                    # Told behind the acks of what was taken before; the device keeps this frame and comes again.
                    self._failure = refusal
                    return
                self._held_bytes += len(encoded)
                group.create_task(self._take(frame, self._append(frame.sequence, len(encoded))))
            await self._window.acquire()

    def _decode(self, encoded: bytes) -> ReadFrame | None:
        """The frame, or None if it was refused whole."""
        try:
            frame = self._reader.read(encoded)
        except DecodeError:
            self._refuse_frame(0, 0, MALFORMED, self._frames_read)
            return None
        if fault := sequence_fault(frame.sequence, self._last_sequence):
            self._refuse_frame(0, frame.sequence, fault)
            return None
        self._last_sequence = frame.sequence
        if fault := size_fault(frame.readings_count):
            self._refuse_frame(frame.sequence, frame.sequence, fault)
            return None
        return frame

    async def _take(self, frame: ReadFrame, unacked: _Unacked) -> None:
        outcome = await self._intake.take(frame, _PATIENCE_SECONDS, _CALLER)
        verdicts_bytes = VERDICT_BYTES * len(outcome.refused)
        self._room.hold(verdicts_bytes)
        self._held_bytes += verdicts_bytes
        unacked.size_bytes += verdicts_bytes
        unacked.refused = outcome.refused
        unacked.is_done = True
        self._changed.set()

    def _refuse_frame(self, acked_as: int, sequence: int, fault: Fault, frame_number: int = 0) -> None:
        self._metrics.frames.inc()
        self._metrics.count_reason(fault.reason)
        unacked = self._append(acked_as)
        unacked.refused = [
            Verdict(
                sequence=sequence,
                index=WHOLE_FRAME,
                reason=fault.reason,
                field=fault.field,
                description=fault.description,
                frame_number=frame_number,
            )
        ]
        unacked.is_done = True
        self._changed.set()

    def _append(self, sequence: int, size_bytes: int = 0) -> _Unacked:
        unacked = _Unacked(sequence, size_bytes)
        self._unacked.append(unacked)
        return unacked

    def _has_news(self) -> bool:
        return bool(self._unacked) and self._unacked[0].is_done

    def _next_ack(self) -> tuple[StreamReadingsResponse, list[_Unacked]]:
        refused: list[Verdict] = []
        covered: list[_Unacked] = []
        while self._has_news() and len(refused) < _VERDICTS_AN_ACK:
            unacked = self._unacked.popleft()
            covered.append(unacked)
            refused += unacked.refused
            self._acked_sequence = unacked.sequence or self._acked_sequence
        return StreamReadingsResponse(acked_sequence=self._acked_sequence, refused=refused), covered


def _first_of(failures: BaseExceptionGroup[Exception]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
