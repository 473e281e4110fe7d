"""Sends frames of bytes on streams and reads the acks: the same client for the mesh and for the echo."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc

from loadgen.bench.ack_book import AckBook, UnackedFrames
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.reading_bytes import UNARY_KEY, sequence_field
from loadgen.bench.schedule import Schedule

STREAM_METHOD = "/energy.telemetry.v1.TelemetryService/StreamReadings"
UNARY_METHOD = "/energy.telemetry.v1.TelemetryService/SendReading"

STREAMS = 8
"""As many head-ends send at a time."""
WINDOW_FRAMES = 32
"""Frames of one stream without an ack."""
CALLS_AT_ONCE = 100
"""Unary calls without an answer."""

_STREAM_SECONDS = 600.0
_CALL_SECONDS = 20.0


class LoadFailed(Exception):
    """Expected: the mesh ended a stream or a call, or acks stayed away; what was sent may not be durable."""


# How a lost stream shows itself to its reader, and to its writer.
_ENDINGS = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError, LoadFailed)


async def send_frames(
    channel: grpc.aio.Channel,
    source: FrameSource,
    schedule: Schedule,
    book: AckBook,
    on_sent: Callable[[int, float], None] = lambda _position, _due: None,
) -> None:
    """Sends until the schedule is over, and returns when every frame is acked.

    `on_sent` hears of each frame: the position of its first reading, and when it was due.

    Raises:
        LoadFailed: a stream ended early.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(STREAMS):
                stream = _RawStream(channel, source, schedule, book, on_sent)
                tasks.create_task(stream.run(), name=f"stream-{number}")
    except* _ENDINGS as failures:
        raise LoadFailed(_told(failures)) from None


async def send_calls(channel: grpc.aio.Channel, source: FrameSource, schedule: Schedule, book: AckBook) -> None:
    """Sends readings one by one in unary calls until the schedule is over, and returns when all are answered.

    Raises:
        LoadFailed: a call failed.
    """
    # Readings as they are in a frame and in this request differ in the key of their field only.
    method: Any = channel.unary_unary(UNARY_METHOD, request_serializer=None, response_deserializer=None)

    async def caller() -> None:
        while (due_seconds := await schedule.next_due()) is not None:
            request = UNARY_KEY + source.take()[1:]
            await method(request, timeout=_CALL_SECONDS)
            book.add(1, (time.monotonic() - due_seconds) * 1000)

    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(CALLS_AT_ONCE):
                tasks.create_task(caller(), name=f"caller-{number}")
    except* _ENDINGS as failures:
        raise LoadFailed(_told(failures)) from None


class _RawStream:
    def __init__(
        self,
        channel: grpc.aio.Channel,
        source: FrameSource,
        schedule: Schedule,
        book: AckBook,
        on_sent: Callable[[int, float], None],
    ) -> None:
        method: Any = channel.stream_stream(STREAM_METHOD, request_serializer=None, response_deserializer=None)
        self._call = method(timeout=_STREAM_SECONDS)
        self._source = source
        self._schedule = schedule
        self._on_sent = on_sent
        self._window = asyncio.Semaphore(WINDOW_FRAMES)
        self._unacked = UnackedFrames(book, source.frame_size)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(), name="stream-reader")
            await self._write()
        if len(self._unacked):
            raise LoadFailed(f"the stream ended with {len(self._unacked)} frames not acked")

    async def _write(self) -> None:
        sequence = 0
        while True:
            await self._window.acquire()
            due_seconds = await self._schedule.next_due()
            if due_seconds is None:
                break
            position = self._source.taken
            readings = self._source.take()
            sequence += 1
            self._unacked.sent(sequence, due_seconds)
            self._on_sent(position, due_seconds)
            await self._call.write(sequence_field(sequence) + readings)
        await self._call.done_writing()

    async def _read(self) -> None:
        while (response := await self._call.read()) is not grpc.aio.EOF:
            for _ in range(self._unacked.acknowledge(response)):
                self._window.release()


def _told(failures: BaseExceptionGroup[Any]) -> str:
    failure: Any = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if isinstance(failure, grpc.aio.AioRpcError):
        return f"{failure.code().name}: {failure.details()}"
    return str(failure) or type(failure).__name__
