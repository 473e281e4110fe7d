"""Where watchers see readings as they come: while anybody watches, a queue of this process's own beside the services'.

So every replica sees the readings of all partitions, whichever it leases, and nothing that others need waits for it:
the queue goes with the connection, takes no acknowledgement, and drops its oldest when it is full.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from energy.ingestion.v1 import reading_batch_pb2
from google.protobuf.message import DecodeError

from analytics.stream.reading_watch import Came, Page, Placed, ReadingFilter, ReadingWatch
from common.broker import BrokerConnection
from common.broker_failures import BrokerAway
from common.broker_tap import open_tap
from common.errors import Overloaded, ShuttingDown
from common.instants import to_ms
from common.logs import get_logger

WATCHES_MAXIMUM = 200
_QUEUE_BYTES = 16 << 20
_QUIET_SECONDS = 15.0
# Readings that come within this time are sent together.
_TOGETHER_SECONDS = 0.05
_PAUSE_SECONDS = 0.5
# How soon a partition that is new, or a channel that is lost, is noticed.
_LOOK_SECONDS = 1.0

_log = get_logger(__name__)


class ReadingsTap:
    """Hands readings to watchers; `run()` is its life, as a background task.

    `partition_count` gives how many partitions are known now, `find_device` None for a device that is not known.
    """

    def __init__(
        self,
        connection: BrokerConnection,
        partition_count: Callable[[], int],
        find_device: Callable[[str], Placed | None],
    ) -> None:
        self._connection = connection
        self._partition_count = partition_count
        self._find_device = find_device
        self._watches: list[ReadingWatch] = []
        self._wanted = asyncio.Event()
        self._idle = asyncio.Event()
        self._tapped = asyncio.Event()
        self._sequences: dict[tuple[str, str], int] = {}
        self._closing = False

    @property
    def is_tapped(self) -> bool:
        """Whether readings are handed on now."""
        return self._tapped.is_set()

    async def run(self) -> None:
        """Taps whenever somebody watches, until cancelled."""
        while True:
            await self._wanted.wait()
            await self._connection.wait_connected()
            try:
                await self._tap()
            except BrokerAway as away:
                _log.warning("readings_tap_lost", cause=str(away))
                for watch in self._watches:
                    watch.missed(1)
                await asyncio.sleep(_PAUSE_SECONDS)
            finally:
                self._tapped.clear()

    async def close(self) -> None:
        """Ends every watch with `ShuttingDown`."""
        self._closing = True
        self._tapped.set()
        for watch in self._watches:
            watch.news.set()

    async def watch(self, wanted: ReadingFilter) -> AsyncGenerator[Page, None]:
        """What comes from now on; an empty page first, once it does, and in quiet times.

        Raises:
            Overloaded: too many watch already.
            ShuttingDown: the process stops.
        """
        if len(self._watches) >= WATCHES_MAXIMUM:
            raise Overloaded
        watch = ReadingWatch(wanted)
        self._watches.append(watch)
        self._idle.clear()
        self._wanted.set()
        try:
            await self._tapped.wait()
            self._require_open()
            yield watch.take()
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_QUIET_SECONDS):
                        await watch.news.wait()
                    await asyncio.sleep(_TOGETHER_SECONDS)
                self._require_open()
                yield watch.take()
        finally:
            self._watches.remove(watch)
            if not self._watches:
                self._wanted.clear()
                self._idle.set()

    def _require_open(self) -> None:
        if self._closing:
            raise ShuttingDown

    async def _tap(self) -> None:
        """Hands readings on until nobody watches; raises BrokerAway when the connection is lost."""
        self._sequences.clear()
        async with open_tap(self._connection, self._take, queue_bytes=_QUEUE_BYTES) as tap:
            while self._watches:
                await tap.bind(self._partition_count())
                self._tapped.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._idle.wait()
            # Before the queue goes: whoever begins to watch meanwhile waits for the next one.
            self._tapped.clear()

    def _take(self, key: str, body: bytes) -> None:
        try:
            batch = reading_batch_pb2.ReadingBatch.FromString(body)
            received_ms = [to_ms(part.receive_time) for part in batch.parts]
        except (DecodeError, ValueError):
            # Whoever stores readings reports it.
            return
        self._look_for_gaps(batch.writer, key, batch.sequence)
        for part, receive_ms in zip(batch.parts, received_ms, strict=True):
            for reading in part.readings:
                for watch in self._watches:
                    if watch.wanted.matches(reading.device_id, self._find_device):
                        watch.put(Came(reading, receive_ms))

    def _look_for_gaps(self, writer: str, partition: str, sequence: int) -> None:
        place = (writer, partition)
        before = self._sequences.get(place)
        self._sequences[place] = max(sequence, before or 0)
        if before is not None and sequence > before + 1:
            for watch in self._watches:
                watch.missed(sequence - before - 1)
