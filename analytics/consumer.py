"""Where a reading comes off the queues: counted, put into the live picture, acknowledged, many batches at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace

from opentelemetry.trace import SpanKind
from pymongo.errors import PyMongoError

from analytics.batch_memory import BatchMemory
from analytics.batch_reader import BatchReader, Undecodable
from analytics.detection import Detection
from analytics.late_windows import LateWindows
from analytics.live_picture import LivePicture
from analytics.new_devices import NewDevices
from analytics.observation import OpenedBatch, ReceivedBatches
from analytics.reading_metrics import ReadingMetrics
from analytics.reading_rate import ReadingRate
from common.broker import BrokerConnection, Consumer, Delivery
from common.delivery_traces import NO_SPANS, DeliveryTraces, Spans
from common.logs import get_logger
from common.topology import queue_name
from common.tracing import NO_TRACING, Tracing

# An acknowledgement for this many deliveries, or this long after the first of them, so that no tail waits for ever.
ACK_AFTER_DELIVERIES = 32
ACK_AFTER_SECONDS = 0.05
# What comes within this time is taken together: one by one, small batches cost the processor more than all they hold.
TAKE_EVERY_SECONDS = 0.03
STORE_RETRY_SECONDS = 1.0

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
                await asyncio.sleep(STORE_RETRY_SECONDS)

    def readings_per_second(self) -> float:
        """Readings taken from the queues per second, mean over the last 10 seconds; repeated batches do not count."""
        return self._rate.per_second(self._monotonic())


class QueueConsumer:
    """Consumes the readings of one partition; `subscribe()` and `run()` are its life, as background tasks."""

    def __init__(
        self,
        connection: BrokerConnection,
        partition: int,
        prefetch: int,
        *,
        intake: BatchIntake,
        devices: NewDevices,
        learn_partition_count: Callable[[int], None],
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self.partition = partition
        self.queue = queue_name("analytics", partition)
        self.newest_create_ms = 0
        """When the newest batch taken here was made, UTC ms; who has nothing to tell makes empty ones."""
        self.subscription = Consumer(connection, self.queue, prefetch)
        self._intake = intake
        self._devices = devices
        self._learn_partition_count = learn_partition_count
        self._traces = DeliveryTraces(tracing, self.queue, partition)
        # Half of what may be in hand, so that the broker sends the next while these are stored.
        self._ack_after_deliveries = max(1, min(ACK_AFTER_DELIVERIES, prefetch // 2))
        self._unacked: Delivery | None = None
        self._unacked_count = 0
        self._flushing = asyncio.Lock()

    @property
    def unacknowledged_count(self) -> int:
        """Deliveries that were taken and are not acknowledged yet."""
        return self._unacked_count

    @property
    def is_subscribed(self) -> bool:
        """Whether the broker sends deliveries now."""
        return self.subscription.is_subscribed

    @property
    def in_hand_count(self) -> int:
        """Deliveries that are not acknowledged yet, those among them that were not taken yet."""
        return self.subscription.in_hand_count

    def require_progress(self) -> None:
        """For health checks; raises as `Consumer.require_progress` does."""
        self.subscription.require_progress()

    async def subscribe(self) -> None:
        """Keeps the subscription until cancelled."""
        await self.subscription.run()

    async def run(self) -> None:
        """Takes deliveries until cancelled."""
        loop = asyncio.get_running_loop()
        ack_at: float | None = None
        while True:
            try:
                async with asyncio.timeout_at(ack_at):
                    delivery = await self.subscription.deliveries.get()
            except TimeoutError:
                await self.flush()
                ack_at = None if self._unacked is None else loop.time() + STORE_RETRY_SECONDS
                continue
            await self._intake.make_room()
            deliveries = self.subscription.with_waiting(delivery, self._ack_after_deliveries)
            with self._traces.processing(deliveries) as spans:
                await self._take(deliveries, spans)
            if self._unacked is None:
                ack_at = None
            elif ack_at is None:
                ack_at = loop.time() + ACK_AFTER_SECONDS
            # A full queue is taken without a pause; others want the loop too.
            is_full = self.subscription.deliveries.qsize() >= self._ack_after_deliveries
            await asyncio.sleep(0 if is_full else TAKE_EVERY_SECONDS)

    async def flush(self) -> None:
        """Acknowledges everything taken so far, unless the store is away that has to have it before."""
        async with self._flushing:
            delivery, count = self._unacked, self._unacked_count
            if delivery is None:
                return
            try:
                await self._intake.store()
            except PyMongoError as away:
                _log.warning("deliveries_not_acknowledged", queue=self.queue, cause=type(away).__name__)
                return
            # What was taken meanwhile has its own turn.
            self._unacked_count -= count
            if self._unacked is delivery:
                self._unacked = None
            await self.subscription.ack(delivery, multiple=True)

    async def stop(self) -> None:
        """Takes no more deliveries and acknowledges those that were taken."""
        await self.subscription.stop()
        await self.flush()

    async def _take(self, deliveries: Sequence[Delivery], spans: Spans = NO_SPANS) -> None:
        opened = []
        last: Delivery | None = None
        for delivery in deliveries:
            try:
                opened.append(self._intake.open(delivery.body))
            except Undecodable as undecodable:
                _log.error(
                    "batch_undecodable", queue=self.queue, message_id=delivery.message_id, cause=str(undecodable)
                )
                # The queues of analytics have no dead letters: billing keeps the message, and reports it.
                await self.subscription.reject(delivery)
            else:
                last = delivery
        if last is None:
            return
        for batch in opened:
            self._learn_partition_count(batch.partition_count)
        received = self._intake.read(opened)
        if received.undecodable_parts:
            # The others of their batches are taken.
            _log.error(
                "parts_undecodable", queue=self.queue, batch_ids=received.batch_ids, causes=received.undecodable_parts
            )
        await self._devices.told(received)
        with self._traces.step("update windows", SpanKind.INTERNAL, spans) if spans else nullcontext():
            self._intake.take(received)
        self.newest_create_ms = max(self.newest_create_ms, *(batch.create_ms for batch in opened))
        self._unacked = last
        self._unacked_count += len(opened)
        if self._unacked_count >= self._ack_after_deliveries:
            await self.flush()
