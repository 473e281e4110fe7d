"""One call of StreamReadings: writes the frames of the window, hands each ack on, and says how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest, StreamReadingsResponse

from common.failure_translation import retry_after_ms
from common.rich_status import status_of
from loadgen.frame_window import FrameWindow

DRAIN_SECONDS = 5.0
"""How long acks are still awaited after the gateway said that it is about to stop."""

_WATCH_INTERVAL_SECONDS = 0.5
_DRAINED = "the gateway drained"


class StreamLost(Exception):
    """Expected: the stream ended before it was told to; frames that were not acked have to be sent again.

    `retry_after_seconds` is how long the gateway asked to wait, 0 if it did not; `is_drain`: it asked to leave.
    """

    def __init__(self, cause: str, *, retry_after_seconds: float = 0.0, is_drain: bool = False) -> None:
        super().__init__(cause)
        self.retry_after_seconds = retry_after_seconds
        self.is_drain = is_drain


class StreamSession:
    """The window's frames on one stream, until the stream ends, drains, or `finish` was called and all is acked."""

    def __init__(
        self,
        call: grpc.aio.StreamStreamCall[StreamReadingsRequest, StreamReadingsResponse],
        window: FrameWindow[StreamReadingsRequest],
        on_response: Callable[[StreamReadingsResponse], None],
        *,
        ack_timeout_seconds: float,
    ) -> None:
        self._call: Any = call
        self._window = window
        self._on_response = on_response
        self._ack_timeout_seconds = ack_timeout_seconds
        self._work = asyncio.Event()
        self._finishing = False
        self._drain_by_seconds: float | None = None
        self._given_up: str | None = None
        self._written_sequence = 0

    @property
    def in_flight(self) -> int:
        """Readings that were written to this stream, and whose ack has not come."""
        return sum(len(frame.content.readings) for frame in self._window.up_to(self._written_sequence))

    @property
    def drained(self) -> bool:
        """True once the gateway has asked to connect again."""
        return self._drain_by_seconds is not None

    def wake(self) -> None:
        """Says that there is a frame to write."""
        self._work.set()

    def finish(self) -> None:
        """Writes what the window holds, half-closes, and lets `run` return when the gateway has answered all."""
        self._finishing = True
        self._work.set()

    async def run(self) -> None:
        """Carries the stream to its end.

        Raises:
            StreamLost: it ended otherwise than by `finish`; also when the gateway drained.
        """
        self._window.restart()
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write(), name="stream-writer")
            watch = tasks.create_task(self._watch(), name="stream-watch")
            try:
                lost = await self._read()
            finally:
                writer.cancel()
                watch.cancel()
                self._call.cancel()
        if lost is not None:
            raise lost

    async def _read(self) -> StreamLost | None:
        """Hands on every response; None when the stream ended as it should, else why it did not."""
        try:
            while (response := await self._call.read()) is not grpc.aio.EOF:
                if any(verdict.sequence == 0 and not verdict.frame_number for verdict in response.refused):
                    # An older gateway does not tell which frame it was, so none may be taken as acked.
                    return StreamLost("the gateway could not read a frame")
                self._on_response(response)
                if response.drain and self._drain_by_seconds is None:
                    self._drain_by_seconds = time.monotonic() + DRAIN_SECONDS
                    self._work.set()
        except grpc.aio.AioRpcError as error:
            if self.drained:
                return self._drain_lost()
            status = status_of(error)
            retry_ms = retry_after_ms(status) if status else None
            return StreamLost(f"{error.code().name}: {error.details()}", retry_after_seconds=(retry_ms or 0) / 1000)
        except asyncio.CancelledError:
            # The watch cancels the call, and gRPC shows that here as if this task had been cancelled.
            task = asyncio.current_task()
            if self._given_up is None or (task is not None and task.cancelling()):
                raise
            return self._drain_lost() if self.drained else StreamLost(self._given_up)
        if self._finishing:
            return None
        return self._drain_lost() if self.drained else StreamLost("the gateway ended the stream")

    @staticmethod
    def _drain_lost() -> StreamLost:
        return StreamLost(_DRAINED, is_drain=True)

    async def _write(self) -> None:
        try:
            while True:
                while not self.drained and (frame := self._window.next_to_write(time.monotonic())) is not None:
                    await self._call.write(frame.content)
                    self._written_sequence = frame.sequence
                if self._finishing or self.drained:
                    await self._call.done_writing()
                    return
                self._work.clear()
                await self._work.wait()
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            return  # The stream has ended; the reader sees the same and knows why.

    async def _watch(self) -> None:
        """Gives the call up when acks stay away: a dead peer does not end a stream by itself."""
        while self._given_up is None:
            await asyncio.sleep(_WATCH_INTERVAL_SECONDS)
            now_seconds = time.monotonic()
            waiting_since = self._window.waiting_since_seconds
            if self._drain_by_seconds is not None and now_seconds > self._drain_by_seconds:
                self._given_up = _DRAINED
            elif waiting_since is not None and now_seconds - waiting_since > self._ack_timeout_seconds:
                self._given_up = f"no ack in {self._ack_timeout_seconds:g} s"
        self._call.cancel()
