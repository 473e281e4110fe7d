"""One way into the log for every partition: what they bring while a write is on its way goes with the next one."""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from billing.log.log_store import LogStore
from billing.log.segment import Segment

# More in one write would make it last too long, and a reading has about a hundred bytes of memory while it is written.
_SEGMENTS_A_WRITE = 128
_READINGS_A_WRITE = 100_000
_MEMORY_SECONDS = 1.0
# What comes within this time of a write goes with the next: a write costs the processor about a millisecond, which
# devices that wait for their acks lack.
_SPACING_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class _Waiting:
    segments: Sequence[Segment]
    known: asyncio.Future[set[str]]


class LogWriter:
    """Appends the segments of many callers in few writes; `run()` is its life and must run as a background task.

    A write costs the store much the same whether it holds one segment or fifty. An idle writer writes at once,
    and again after a short pause.
    """

    def __init__(self, log: LogStore, on_write: Callable[[int], None] | None = None) -> None:
        """`on_write`, if given, is called with the number of segments of each write that has succeeded."""
        self._log = log
        self._on_write = on_write
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._busy_share = 0.0

    @property
    def busy_share(self) -> float:
        """The share of time, 0 to 1, in which a write was on its way lately."""
        return self._busy_share

    async def wait_idle(self, limit_seconds: float) -> None:
        """Returns when no write is on its way, or after the limit: whoever else uses the store gives way so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_seconds):
                await self._idle.wait()

    async def append(self, segments: Sequence[Segment]) -> set[str]:
        """Returns when the segments are in the log: the ids that were there already.

        Raises:
            pymongo.errors.PyMongoError: it is not known whether they are; appending them again is safe.
        """
        waiting = _Waiting(segments, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        return await waiting.known

    async def run(self) -> None:
        """Writes until cancelled."""
        loop = asyncio.get_running_loop()
        started = ended = loop.time() - _SPACING_SECONDS
        while True:
            await self._arrived.wait()
            await asyncio.sleep(started + _SPACING_SECONDS - loop.time())
            self._arrived.clear()
            started = loop.time()
            self._count(busy=False, seconds=started - ended)
            self._idle.clear()
            while self._waiting:
                await self._write(self._next())
            self._idle.set()
            ended = loop.time()
            self._count(busy=True, seconds=ended - started)

    def _count(self, *, busy: bool, seconds: float) -> None:
        # A mean that forgets: what was a second ago counts a third as much as what is now.
        kept = math.exp(-seconds / _MEMORY_SECONDS)
        self._busy_share = self._busy_share * kept + (1 - kept if busy else 0.0)

    def _next(self) -> list[_Waiting]:
        together: list[_Waiting] = []
        segments = readings = 0
        for waiting in self._waiting:
            segments += len(waiting.segments)
            readings += sum(segment.reading_count for segment in waiting.segments)
            if together and (segments > _SEGMENTS_A_WRITE or readings > _READINGS_A_WRITE):
                break
            together.append(waiting)
        del self._waiting[: len(together)]
        return together

    async def _write(self, together: Sequence[_Waiting]) -> None:
        try:
            known = await self._log.append([segment for waiting in together for segment in waiting.segments])
        except PyMongoError as failure:
            for waiting in together:
                if not waiting.known.done():
                    waiting.known.set_exception(failure)
            return
        if self._on_write is not None:
            self._on_write(sum(len(waiting.segments) for waiting in together))
        for waiting in together:
            if not waiting.known.done():
                waiting.known.set_result(known.intersection(segment.batch_id for segment in waiting.segments))
