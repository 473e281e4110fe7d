"""Takes readings to the gateway over one or several streams and keeps the books of every ack."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import grpc
from energy.telemetry.v1.reading_pb2 import Reading

from loadgen.acked_frame import AckedFrame, reason_name
from loadgen.latency import LatencyHistogram
from loadgen.stream_client import StreamClient
from loadgen.tally import Tally

AckObserver = Callable[[AckedFrame], None]


class Streams:
    """`count` streams to one gateway, a device always on the same one; an async context manager.

    Every ack is entered in `tally` and `ack_latency`; then the observers see it, in the order given.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        tally: Tally,
        ack_latency: LatencyHistogram,
        observers: Sequence[AckObserver] = (),
        count: int = 1,
        frame_size: int = 500,
        window_frames: int = 32,
    ) -> None:
        self._tally = tally
        self._ack_latency = ack_latency
        self._observers = tuple(observers)
        self._clients = [
            StreamClient(channel, self._record, frame_size=frame_size, window_frames=window_frames)
            for _ in range(count)
        ]
        self._stack = AsyncExitStack()

    @property
    def sent(self) -> int:
        """Readings sent, each time one was handed over; what a lost stream made write again counts once."""
        return sum(client.sent for client in self._clients)

    @property
    def in_flight(self) -> int:
        """Readings that were written to the streams that are open, and whose ack has not come."""
        return sum(client.in_flight for client in self._clients)

    @property
    def streams_lost(self) -> int:
        """Streams that ended before they were told to."""
        return sum(client.streams_lost for client in self._clients)

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def send(self, readings: Sequence[Reading]) -> None:
        """Takes readings, waiting while too many frames are unacked; raises as `StreamClient.send` does."""
        if len(self._clients) == 1:
            await self._clients[0].send(readings)
            return
        shares: list[list[Reading]] = [[] for _ in self._clients]
        for reading in readings:
            shares[zlib.crc32(reading.device_id.encode()) % len(shares)].append(reading)
        for client, share in zip(self._clients, shares, strict=True):
            await client.send(share)

    async def push(self) -> None:
        """Sends also what does not fill a frame."""
        for client in self._clients:
            await client.push()

    async def flush(self, timeout_seconds: float) -> None:
        """Sends everything and waits until it is acked; raises as `StreamClient.flush` does."""
        for client in self._clients:
            await client.flush(timeout_seconds)

    def _record(self, acked: AckedFrame) -> None:
        refusals = acked.refusals()
        tally = self._tally
        for index, reading in enumerate(acked.readings):
            if index in refusals:
                tally.refuse(reason_name(refusals[index]))
                continue
            start = reading.start_time
            tally.accept(reading.device_id, start.seconds * 1000 + start.nanos // 1_000_000, reading.revision)
        tally.resend((acked.write_count - 1) * len(acked.readings))
        self._ack_latency.record(acked.latency_ms, len(acked.readings))
        for observer in self._observers:
            observer(acked)
