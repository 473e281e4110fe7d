"""Sends readings as a device or head-end does: frames on a stream, many in flight, sent again until they are acked."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import grpc
import stamina
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest, StreamReadingsResponse
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from energy.telemetry.v1.verdict_pb2 import Verdict

from loadgen.acked_frame import AckedFrame
from loadgen.frame_window import Frame, FrameWindow
from loadgen.stream_session import StreamLost, StreamSession

STREAM_LIFETIME_SECONDS = 3600.0
"""The deadline of one stream; the client then connects again, as after any other end."""

_CLOSE_SECONDS = 2.0
_LASTED_SECONDS = 10.0


class GatewayAway(Exception):
    """Expected: no stream to the gateway could be kept for as long as the client is patient."""


class StreamClient:
    """Frames of readings to one gateway, each kept until it is acked; an async context manager.

    `on_ack` is called once for every frame, in the order they were sent. `send` waits while `window_frames` frames are
    unacked. A lost stream is opened again with growing, jittered waits for up to `patience_seconds`.
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
    ) -> None:
        self._stub = TelemetryServiceStub(channel)
        self._on_ack = on_ack
        self._frame_size = frame_size
        self._patience_seconds = patience_seconds
        self._ack_timeout_seconds = ack_timeout_seconds
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
            while len(self._window):
                await self._change()

    async def _emit(self) -> None:
        while self._window.is_full:
            await self._change()
        if self._away is not None:
            raise self._away
        readings, self._buffer = self._buffer[: self._frame_size], self._buffer[self._frame_size :]
        if not readings:
            return
        self._sequence += 1
        self._window.add(Frame(self._sequence, StreamReadingsRequest(sequence=self._sequence, readings=readings)))
        self.sent += len(readings)
        if self._session is not None:
            self._session.wake()

    async def _change(self) -> None:
        if self._away is not None:
            raise self._away
        self._changed.clear()
        await self._changed.wait()

    async def _run(self) -> None:
        try:
            while not self._closing:
                await self._stream_until_lost()
        except StreamLost as lost:
            self._away = GatewayAway(f"no stream to the gateway for {self._patience_seconds:g} s, last: {lost}")
            self._changed.set()

    async def _stream_until_lost(self) -> None:
        """One stream, tried until it moved something; the next one then starts with a fresh patience."""
        attempts = stamina.retry_context(
            on=StreamLost,
            attempts=None,
            timeout=self._patience_seconds,
            wait_initial=0.05,
            wait_max=2.0,
            wait_jitter=0.2,
        )
        async for attempt in attempts:
            with attempt:
                await self._stream_once()

    async def _stream_once(self) -> None:
        first_waiting = self._sequence - len(self._window)
        started_seconds = time.monotonic()
        call = self._stub.StreamReadings(timeout=STREAM_LIFETIME_SECONDS)
        session = StreamSession(call, self._window, self._take, ack_timeout_seconds=self._ack_timeout_seconds)
        self._session = session
        try:
            await session.run()
        except StreamLost:
            self.streams_lost += 1
            moved = self._sequence - len(self._window) > first_waiting
            idle_end = not len(self._window) and time.monotonic() - started_seconds > _LASTED_SECONDS
            if not (moved or idle_end):
                raise
        finally:
            self._session = None

    def _take(self, response: StreamReadingsResponse) -> None:
        now_seconds = time.monotonic()
        ack_time_ms = time.time() * 1000
        verdicts: defaultdict[int, list[Verdict]] = defaultdict(list)
        for verdict in response.refused:
            verdicts[verdict.sequence].append(verdict)
        for frame in self._window.acknowledge(response.acked_sequence):
            readings = frame.content.readings
            self.resent += (frame.write_count - 1) * len(readings)
            self._on_ack(
                AckedFrame(
                    readings=readings,
                    verdicts=verdicts.get(frame.sequence, ()),
                    ack_time_ms=ack_time_ms,
                    latency_ms=(now_seconds - frame.written_at_seconds) * 1000,
                    write_count=frame.write_count,
                )
            )
        self._changed.set()
