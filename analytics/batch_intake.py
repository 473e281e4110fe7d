"""Where a batch is counted, put into the live picture and looked through, once however often it is delivered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from pymongo.errors import PyMongoError

from analytics.detection.detection import Detection
from analytics.stream.batch_memory import BatchMemory
from analytics.stream.batch_reader import BatchReader, Undecodable
from analytics.stream.live_picture import LivePicture
from analytics.stream.observation import OpenedBatch, ReceivedBatches
from analytics.stream.reading_metrics import ReadingMetrics
from analytics.stream.reading_rate import ReadingRate
from analytics.windows.late_windows import LateWindows
from common.logs import get_logger

_STORE_RETRY_SECONDS = 1.0

_log = get_logger(__name__)


class BatchIntake:
    """Takes each batch into the picture and the counters once, however often it is delivered."""

    def __init__(
        self,
        picture: LivePicture,
        metrics: ReadingMetrics,
        rate: ReadingRate,
        memory: BatchMemory,
        late: LateWindows | None = None,
        *,
        detection: Detection | None = None,
        now_ms: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._picture = picture
        self._metrics = metrics
        self._rate = rate
        self._memory = memory
        self._late = late
        self._detection = detection
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._reader = BatchReader()

    def open(self, body: bytes) -> OpenedBatch:
        """The batch in a delivery.

        Raises:
            Undecodable: the bytes are no batch; counted as such.
        """
        try:
            return self._reader.open(body)
        except Undecodable:
            self._metrics.undecodable.inc()
            raise

    def read(self, batches: Iterable[OpenedBatch]) -> ReceivedBatches:
        """What some batches hold; those that were counted before, or are here twice, are left out."""
        new: dict[str, OpenedBatch] = {}
        duplicate_count = 0
        for batch in batches:
            if batch.batch_id in self._memory or batch.batch_id in new:
                duplicate_count += 1
            else:
                new[batch.batch_id] = batch
        return replace(self._reader.read(list(new.values())), duplicate_count=duplicate_count)

    def take(self, batches: ReceivedBatches) -> None:
        """Counts what `read` gave."""
        for batch_id in batches.batch_ids:
            self._memory.add(batch_id)
        self._metrics.batches.inc(len(batches.batch_ids) + batches.duplicate_count)
        self._metrics.batches_duplicate.inc(batches.duplicate_count)
        self._metrics.undecodable.inc(len(batches.undecodable_parts))
        self._metrics.record(batches, self._now_ms())
        if batches.columns:
            self._picture.apply_columns(batches.columns)
        self._picture.apply(batches.observations)
        if self._late:
            self._late.look(batches)
        if self._detection:
            self._detection.take(batches)
        self._rate.add(batches.readings_count, self._monotonic())

    async def store(self) -> None:
        """Returns when what has to outlive this process of the batches taken so far is stored.

        Raises:
            PyMongoError: the store is away.
        """
        if self._late:
            await self._late.write()
        if self._detection:
            await self._detection.write()

    async def make_room(self) -> None:
        """Returns when more batches may be taken: too much that waits to be stored holds the queues up."""
        while (self._late and self._late.is_full) or (self._detection and self._detection.is_full):
            try:
                await self.store()
            except PyMongoError as away:
                _log.warning("batches_not_taken", cause=type(away).__name__)
                await asyncio.sleep(_STORE_RETRY_SECONDS)

    def readings_per_second(self) -> float:
        """Readings taken from the queues per second, mean over the last 10 seconds; repeated batches do not count."""
        return self._rate.per_second(self._monotonic())
