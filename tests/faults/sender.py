"""The clients of one round: keep readings in flight, keep the books, and know what was acked since an instant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import grpc
from energy.telemetry.v1.reading_pb2 import Reading

from loadgen.acked_frame import AckedFrame
from loadgen.latency import LatencyHistogram
from loadgen.streams import Streams
from loadgen.tally import Tally
from tests.faults.journal import Identity, Journal, identity_of
from tests.faults.unary_sender import UnarySender

FRAME_READINGS = 100
_STREAMS = 2
_WINDOW_FRAMES = 32


class Sender:
    """Sends steps at a rate, which may change, until it is stopped; an async context manager.

    Most readings go in frames on streams; those of `unary_ids` one by one, as long as they find a place. What a fault
    held up is not made up for, so that the load is the same before and after it.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        journal: Journal,
        *,
        readings_per_second: float,
        unary_ids: Collection[str] = (),
    ) -> None:
        self._streams = Streams(
            channel,
            tally=Tally(),
            ack_latency=LatencyHistogram(),
            observers=[journal.take, self._note],
            count=_STREAMS,
            frame_size=FRAME_READINGS,
            window_frames=_WINDOW_FRAMES,
        )
        self._unary = UnarySender(channel, journal)
        self._unary_ids = frozenset(unary_ids)
        self.readings_per_second = readings_per_second
        self._newest: tuple[float, Identity] | None = None
        self._stopping = False
        self._stack = AsyncExitStack()
        self._driving: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Readings that were written to a stream that is open, and whose ack has not come."""
        return self._streams.in_flight

    def acked_since(self, instant: float) -> Identity | None:
        """A reading that was written to a stream after an instant (seconds since 1970), and acked; None: not yet."""
        if self._newest is None or self._newest[0] < instant:
            return None
        return self._newest[1]

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._streams)
        await self._stack.enter_async_context(self._unary)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._driving is not None:
            self._driving.cancel()
            await asyncio.wait([self._driving])
        await self._stack.__aexit__(kind, error, trace)

    def start(self, steps: Iterable[list[Reading]]) -> None:
        """Begins to send."""
        self._driving = asyncio.create_task(self._drive(steps), name="sender")

    async def finish(self, timeout_seconds: float) -> None:
        """Sends no more and waits until all is acked.

        Raises:
            GatewayAway: no stream could be kept for too long.
            TimeoutError: some readings were not acked in time.
        """
        self._stopping = True
        async with asyncio.timeout(timeout_seconds):
            if self._driving is not None:
                await self._driving
            await self._streams.flush(timeout_seconds)
            await self._unary.flush()

    async def _drive(self, steps: Iterable[list[Reading]]) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        for readings in steps:
            if self._stopping:
                return
            framed = [
                reading
                for reading in readings
                if not (reading.device_id in self._unary_ids and self._unary.offer(reading))
            ]
            await self._streams.send(framed)
            due = max(due + len(readings) / self.readings_per_second, clock())
            await asyncio.sleep(due - clock())

    def _note(self, frame: AckedFrame) -> None:
        if frame.refusals():
            return
        written_at = time.time() - frame.latency_ms / 1000
        if self._newest is None or written_at > self._newest[0]:
            self._newest = written_at, identity_of(frame.readings[-1])
