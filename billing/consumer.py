"""Takes batches from the queues into the log; a delivery is acknowledged only after its segment is written."""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from pymongo.errors import PyMongoError

from billing.batch_codec import BatchDecoder, DecodedBatch, UndecodableBatch
from billing.completeness import PartitionCompleteness
from billing.segment import Segment
from billing.tail import Tail
from billing.watermarks import Watermarks
from common.broker import BrokerConnection, Consumer, Delivery, PublishFailed
from common.dead_letters import DeadLetter, DeadLetters
from common.logs import get_logger
from common.topology import queue_name


class Log(Protocol):
    """Where segments are written."""

    async def append(self, segments: Sequence[Segment]) -> set[str]:
        """Returns the ids that were there already; may raise what the driver raises."""


_log = get_logger("billing.consumer")

_DELIVERIES_PER_WRITE = 32
_RETRY_SECONDS = 1.0


class ReadingsConsumer:
    """One partition's way from its queue to the log, the tail and the live cache.

    A store that is away pauses it: what is in hand is written again until it stands, and nothing is requeued.
    """

    def __init__(
        self,
        *,
        broker: BrokerConnection,
        partition: int,
        prefetch: int,
        log: Log,
        tail: Tail,
        decoder: BatchDecoder,
        dead_letters: DeadLetters,
        publish: Callable[[Segment], None],
        learn_partition_count: Callable[[int], None],
        watermarks: Watermarks,
        metrics: "ConsumerMetrics",
        clock: Callable[[], float],
    ) -> None:
        self._queue = queue_name("billing", partition)
        self._partition = partition
        self._consumer = Consumer(broker, self._queue, prefetch)
        self._decoder = decoder
        self._dead_letters = dead_letters
        self._log = log
        self._tail = tail
        self._publish = publish
        self._learn_partition_count = learn_partition_count
        self._watermarks = watermarks
        self._metrics = metrics
        self._clock = clock
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_subscribed(self) -> bool:
        """Whether the broker sends deliveries now."""
        return self._consumer.is_subscribed

    @property
    def in_hand_count(self) -> int:
        """Deliveries that are not acknowledged yet."""
        return self._consumer.in_hand_count

    def require_progress(self) -> None:
        """For health checks; raises as `Consumer.require_progress` does."""
        self._consumer.require_progress()

    async def subscribe(self) -> None:
        """Keeps the subscription until cancelled."""
        await self._consumer.run()

    async def run(self) -> None:
        """Writes what is delivered until cancelled."""
        # Before the first delivery is stamped, for it is to be recorded later than the partition is complete.
        completeness = await self._watermarks.open(self._partition)
        while True:
            delivery = await self._consumer.deliveries.get()
            self._idle.clear()
            await self._take(self._with_waiting(delivery), completeness)
            if self._consumer.deliveries.empty():
                self._idle.set()

    async def stop(self) -> None:
        """Takes no more, and returns when what is in hand is written and acknowledged."""
        await self._consumer.stop()
        await self._idle.wait()
        await self._watermarks.close(self._partition)

    def _with_waiting(self, first: Delivery) -> list[Delivery]:
        deliveries = [first]
        while len(deliveries) < _DELIVERIES_PER_WRITE and not self._consumer.deliveries.empty():
            deliveries.append(self._consumer.deliveries.get_nowait())
        return deliveries

    async def _take(self, deliveries: Sequence[Delivery], completeness: PartitionCompleteness) -> None:
        batches: dict[str, DecodedBatch] = {}
        ticks: list[Delivery] = []
        readable = 0
        now_ms = time.time_ns() // 1_000_000
        decoded = self._decoder.decode_all([delivery.body for delivery in deliveries], completeness.record_ms(now_ms))
        for delivery, outcome in zip(deliveries, decoded, strict=True):
            batch = await self._sound(delivery, outcome, now_ms)
            if batch is not None:
                readable += 1
                batches.setdefault(batch.segment.batch_id, batch)
                if batch.is_tick:
                    ticks.append(delivery)
        # Decoding is work without an await; callers want the loop too.
        await asyncio.sleep(0)
        segments = [batch.segment for batch in batches.values() if not batch.is_tick]
        known = await self._append(segments) if segments else set()
        await self._ack_all_but(ticks, deliveries)
        self._watermarks.recorded(completeness, batches.values())
        self._metrics.duplicates.inc(readable - len(batches) + len(known))
        # What was logged before has another record time; the merger's search brings it if it is not folded yet.
        for segment in segments:
            if segment.batch_id not in known:
                self._tail.hold(segment, self._clock())
                self._publish(segment)
                self._metrics.count(segment)
        if ticks:
            # They are in no log, so they stay in the queue until the watermark has them.
            await self._keep_watermark()
            for delivery in ticks:
                await self._consumer.ack(delivery)

    async def _ack_all_but(self, ticks: Sequence[Delivery], deliveries: Sequence[Delivery]) -> None:
        # One acknowledgement for all of them costs the broker what one for each costs.
        before_ticks = list(takewhile(lambda delivery: delivery not in ticks, deliveries))
        if before_ticks:
            await self._consumer.ack(before_ticks[-1], multiple=True)
        for delivery in deliveries[len(before_ticks) :]:
            if delivery not in ticks:
                await self._consumer.ack(delivery)

    async def _keep_watermark(self) -> None:
        while True:
            try:
                await self._watermarks.stored()
            except PyMongoError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _sound(
        self, delivery: Delivery, batch: DecodedBatch | UndecodableBatch, now_ms: int
    ) -> DecodedBatch | None:
        """The batch of a delivery; what of it cannot be decoded is in the dead letters before this returns."""
        if isinstance(batch, UndecodableBatch):
            await self._set_aside(
                DeadLetter(
                    body=delivery.body,
                    reason=str(batch),
                    queue=self._queue,
                    partition=self._partition,
                    set_aside_ms=now_ms,
                    batch_id=delivery.message_id,
                    routing_key=delivery.routing_key,
                )
            )
            return None
        self._learn_partition_count(batch.partition_count)
        for part in batch.undecodable:
            await self._set_aside(
                DeadLetter(
                    body=part.body,
                    reason=part.reason,
                    queue=self._queue,
                    partition=self._partition,
                    set_aside_ms=now_ms,
                    batch_id=batch.segment.batch_id,
                    writer=batch.segment.writer,
                    sequence=batch.segment.sequence,
                    part_index=part.index,
                    routing_key=delivery.routing_key,
                )
            )
        return batch

    async def _set_aside(self, letter: DeadLetter) -> None:
        _log.error("undecodable", batch_id=letter.batch_id, part_index=letter.part_index, cause=letter.reason)
        self._metrics.undecodable.inc()
        while True:
            try:
                await self._dead_letters.publish(letter)
            except PublishFailed as failure:
                _log.warning("dead_letter_retried", cause=type(failure).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _append(self, segments: Sequence[Segment]) -> set[str]:
        while True:
            try:
                with self._metrics.append_seconds.time():
                    return await self._log.append(segments)
            except PyMongoError as failure:
                _log.warning("log_append_retried", cause=type(failure).__name__, segments=len(segments))
                self._metrics.append_failures.inc()
                await asyncio.sleep(_RETRY_SECONDS)


class ConsumerMetrics:
    """Counters of the way into the log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.append_seconds = Histogram(
            "billing_log_append_seconds", "Time one write to the log took.", registry=registry
        )
        self.append_failures = Counter(
            "billing_log_append_failures", "Writes to the log that were tried again.", registry=registry
        )
        self.undecodable = Counter(
            "billing_undecodable", "Parts and whole messages sent to the dead letters.", registry=registry
        )
        batches = Counter("billing_batches", "Batches taken from the queues.", ["outcome"], registry=registry)
        self._logged, self.duplicates = batches.labels("logged"), batches.labels("duplicate")
        self._readings = Counter("billing_logged_readings", "Readings written to the log.", registry=registry)
        self._delay = Histogram(
            "billing_receive_to_log_seconds",
            "Time from the gateway's receipt of the first reading of a batch to the log.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
            registry=registry,
        )

    def count(self, segment: Segment) -> None:
        """Counts a batch that is new in the log."""
        self._logged.inc()
        self._readings.inc(segment.reading_count)
        first_receive_ms = segment.first_receive_ms
        if first_receive_ms is not None:
            self._delay.observe(max(0, segment.record_ms - first_receive_ms) / 1000)
