"""Sends readings as a device or head-end does: frames on a stream, many in flight, sent again until they are acked."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random
from types import TracebackType
from typing import Self

import grpc
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest, StreamReadingsResponse
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from energy.telemetry.v1.verdict_pb2 import Verdict

from loadgen.acked_frame import AckedFrame
from loadgen.frame_window import Frame, FrameWindow
from loadgen.reconnecting import Reconnecting
from loadgen.stream_session import StreamLost, StreamSession

STREAM_LIFETIME_SECONDS = 3600.0
"""The deadline of one stream; the client then connects again, as after any other end."""

_CLOSE_SECONDS = 2.0
# How long readings wait that the gateway could not decide about.
_COME_AGAIN_SECONDS = 1.0


class GatewayAway(Exception):
    """Expected: no stream to the gateway could be kept for as long as the client is patient."""


class StreamClient:
    """Frames of readings to one gateway, each kept until it is acked; an async context manager.

    `on_ack` is called once for every frame, in the order they were sent. `send` waits while `window_frames` frames are
    unacked. A lost stream is opened again with growing, jittered waits for up to `patience_seconds` without an ack.
    Readings that the gateway refused for the moment only are sent again in a frame of their own.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        on_ack: Callable[[AckedFrame], None],
        *,
        frame_size: int = 500,
        window_frames: int = 32,
        patience_seconds: float = 60.0,
        ack_timeout_seconds: float = 30.0,
        random: Random | None = None,
    ) -> None:
        self._stub = TelemetryServiceStub(channel)
        self._on_ack = on_ack
        self._frame_size = frame_size
        self._patience_seconds = patience_seconds
        self._ack_timeout_seconds = ack_timeout_seconds
        self._reconnecting = Reconnecting(patience_seconds, random or Random())
        self._again: list[Reading] = []
        self._sending_again: asyncio.Task[None] | None = None
        self._window: FrameWindow[StreamReadingsRequest] = FrameWindow(window_frames)
        self._buffer: list[Reading] = []
        self._sequence = 0
        self._changed = asyncio.Event()
        self._session: StreamSession | None = None
        self._away: GatewayAway | None = None
        self._closing = False
        self._tasks = asyncio.TaskGroup()
        self._pump: asyncio.Task[None] | None = None
        self.sent = 0
        """Readings put into frames, each once."""
        self.resent = 0
        """Readings written again because their ack had not come."""
        self.streams_lost = 0
        """Streams that ended before they were told to, drained ones among them."""

    @property
    def in_flight(self) -> int:
        """Readings that were written to the stream that is open, and whose ack has not come."""
        return self._session.in_flight if self._session is not None else 0

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._pump = self._tasks.create_task(self._run(), name="stream-client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        if self._pump is not None:
            if error is None and self._session is not None:
                self._session.finish()
                await asyncio.wait([self._pump], timeout=_CLOSE_SECONDS)
            self._pump.cancel()
        if self._sending_again is not None:
            self._sending_again.cancel()
        # The pump never fails, so the group has nothing to add to an error of the caller.
        await self._tasks.__aexit__(None, None, None)

    async def send(self, readings: Sequence[Reading]) -> None:
        """Takes readings; full frames go out, the rest waits for more or for `push`.

        Raises:
            GatewayAway: the gateway could not be reached for too long.
        """
        self._buffer.extend(readings)
        while len(self._buffer) >= self._frame_size:
            await self._emit()

    async def push(self) -> None:
        """Sends also what does not fill a frame.

        Raises:
            GatewayAway: the gateway could not be reached for too long.
        """
        while self._buffer:
            await self._emit()

    async def flush(self, timeout_seconds: float) -> None:
        """Sends everything and waits until it is acked.

        Raises:
            GatewayAway: the gateway could not be reached for too long.
            TimeoutError: some frames were not acked in time.
        """
        async with asyncio.timeout(timeout_seconds):
            await self.push()
            while len(self._window) or self._again:
                await self._change()

    async def _emit(self) -> None:
        while self._window.is_full:
            await self._change()
        if self._away is not None:
            raise self._away
        readings, self._buffer = self._buffer[: self._frame_size], self._buffer[self._frame_size :]
        if not readings:
            return
        self._put(readings)
        self.sent += len(readings)

    def _put(self, readings: Sequence[Reading]) -> None:
        self._sequence += 1
        self._window.add(Frame(self._sequence, StreamReadingsRequest(sequence=self._sequence, readings=readings)))
        if self._session is not None:
            self._session.wake()

    async def _change(self) -> None:
        if self._away is not None:
            raise self._away
        self._changed.clear()
        await self._changed.wait()

    async def _run(self) -> None:
        while not self._closing:
            lost = await self._stream_once()
            if lost is None:
                continue
            if not self._reconnecting.has_patience(time.monotonic()):
                self._away = GatewayAway(f"no stream to the gateway for {self._patience_seconds:g} s, last: {lost}")
                self._changed.set()
                return

    async def _stream_once(self) -> StreamLost | None:
        """One stream, and the wait before the next one; why it was lost, or None where it ended as it should."""
        started_seconds = time.monotonic()
        self._reconnecting.begin(started_seconds)
        call = self._stub.StreamReadings(timeout=STREAM_LIFETIME_SECONDS)
        session = StreamSession(call, self._window, self._take, ack_timeout_seconds=self._ack_timeout_seconds)
        self._session = session
        try:
            await session.run()
        except StreamLost as lost:
            self._session = None
            self.streams_lost += 1
            now_seconds = time.monotonic()
            if lost.is_drain:
                wait_seconds = self._reconnecting.wait_after_drain_seconds()
            else:
                wait_seconds = self._reconnecting.wait_after_loss_seconds(
                    now_seconds - started_seconds, lost.retry_after_seconds
                )
            if not len(self._window):
                self._reconnecting.moved(now_seconds)
            await asyncio.sleep(wait_seconds)
            return lost
        finally:
            self._session = None
        return None

    async def _send_again(self) -> None:
        while self._again:
            await asyncio.sleep(_COME_AGAIN_SECONDS)
            while self._window.is_full:
                self._changed.clear()
                await self._changed.wait()
            readings, self._again = self._again[: self._frame_size], self._again[self._frame_size :]
            self.resent += len(readings)
            self._put(readings)

    def _take(self, response: StreamReadingsResponse) -> None:
        verdicts: defaultdict[int, list[Verdict]] = defaultdict(list)
        unread: list[int] = []
        for verdict in response.refused:
            sequence = verdict.sequence
            if not sequence and (frame := self._window.number_of(verdict.frame_number)):
                # Acked by no number: whoever is acked before it is in this response or was in an earlier one.
                sequence = frame.sequence
                unread.append(sequence)
            verdicts[sequence].append(verdict)
        acked = self._window.acknowledge(max(response.acked_sequence, *unread, 0))
        for frame in acked:
            self._tell(frame, verdicts.get(frame.sequence, ()))
        if acked:
            self._reconnecting.moved(time.monotonic())
        self._changed.set()

    def _tell(self, frame: Frame[StreamReadingsRequest], verdicts: Sequence[Verdict]) -> None:
        readings = frame.content.readings
        self.resent += (frame.write_count - 1) * len(readings)
        acked, again = AckedFrame(
            readings=readings,
            verdicts=verdicts,
            ack_time_ms=time.time() * 1000,
            latency_ms=(time.monotonic() - frame.written_at_seconds) * 1000,
            write_count=frame.write_count,
        ).told_to_come_again()
        self._on_ack(acked)
        if again:
            self._again += again
            if self._sending_again is None or self._sending_again.done():
                self._sending_again = self._tasks.create_task(self._send_again(), name="stream-client-again")
