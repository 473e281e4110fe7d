"""Takes batches from the queues into the log; a delivery is acknowledged only after its segment is written."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import takewhile
from typing import Protocol

from opentelemetry.trace import SpanKind
from pymongo.errors import PyMongoError

from billing.log.batch_codec import BatchDecoder, DecodedBatch, UndecodableBatch
from billing.log.completeness import PartitionCompleteness
from billing.log.consumer_metrics import ConsumerMetrics
from billing.log.segment import Segment
from billing.log.tail import Tail
from billing.log.watermarks import Watermarks
from common.broker import BrokerConnection, Consumer, Delivery
from common.clock import now_ms
from common.dead_letters import DeadLetter, DeadLetters
from common.delivery_traces import DeliveryTraces, Spans
from common.logs import get_logger
from common.topology import queue_name
from common.tracing import NO_TRACING, Attributes, Tracing

_log = get_logger(__name__)

_DELIVERIES_PER_WRITE = 32
_RETRY_SECONDS = 1.0


class Log(Protocol):
    """Where segments are written."""

    async def append(self, segments: Sequence[Segment]) -> set[str]:
        """Returns the ids that were there already; may raise what the driver raises."""


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
        metrics: ConsumerMetrics,
        clock: Callable[[], float],
        tracing: Tracing = NO_TRACING,
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
        self._traces = DeliveryTraces(tracing, self._queue, partition)
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
            deliveries = self._consumer.with_waiting(delivery, _DELIVERIES_PER_WRITE)
            with self._traces.processing(deliveries) as spans:
                await self._take(deliveries, completeness, spans)
            if self._consumer.deliveries.empty():
                self._idle.set()

    async def stop(self) -> None:
        """Takes no more, and returns when what is in hand is written and acknowledged."""
        await self._consumer.stop()
        await self._idle.wait()
        await self._watermarks.close(self._partition)

    async def _take(self, deliveries: Sequence[Delivery], completeness: PartitionCompleteness, spans: Spans) -> None:
        batches: dict[str, DecodedBatch] = {}
        ticks: list[Delivery] = []
        readable = 0
        read_ms = now_ms()
        decoded = self._decoder.decode_all([delivery.body for delivery in deliveries], completeness.record_ms(read_ms))
        for delivery, outcome in zip(deliveries, decoded, strict=True):
            batch = await self._without_undecodable(delivery, outcome, read_ms)
            if batch is not None:
                readable += 1
                batches.setdefault(batch.segment.batch_id, batch)
                if batch.is_tick:
                    ticks.append(delivery)
        # Decoding is work without an await; callers want the loop too.
        await asyncio.sleep(0)
        segments = [batch.segment for batch in batches.values() if not batch.is_tick]
        if spans:
            segments = [_traced(segment, spans) for segment in segments]
        known = await self._append(segments, spans) if segments else set()
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

    async def _without_undecodable(
        self, delivery: Delivery, batch: DecodedBatch | UndecodableBatch, set_aside_ms: int
    ) -> DecodedBatch | None:
        """The batch of a delivery; what of it cannot be decoded is in the dead letters before this returns."""
        if isinstance(batch, UndecodableBatch):
            await self._set_aside(
                DeadLetter(
                    body=delivery.body,
                    reason=str(batch),
                    queue=self._queue,
                    partition=self._partition,
                    set_aside_ms=set_aside_ms,
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
                    set_aside_ms=set_aside_ms,
                    batch_id=batch.segment.batch_id,
                    writer=batch.segment.writer,
                    sequence=batch.segment.sequence,
                    part_index=part.index,
                    routing_key=delivery.routing_key,
                )
            )
        return batch

    async def _set_aside(self, letter: DeadLetter) -> None:
        _log.error("part_undecodable", batch_id=letter.batch_id, part_index=letter.part_index, cause=letter.reason)
        self._metrics.undecodable.inc()
        await self._dead_letters.set_aside(letter)

    async def _append(self, segments: Sequence[Segment], spans: Spans) -> set[str]:
        while True:
            try:
                with self._metrics.append_seconds.time(), self._inserting(segments, spans):
                    return await self._log.append(segments)
            except PyMongoError as failure:
                _log.warning("log_append_retried", cause=type(failure).__name__, segments=len(segments))
                self._metrics.append_failures.inc()
                await asyncio.sleep(_RETRY_SECONDS)

    def _inserting(self, segments: Sequence[Segment], spans: Spans) -> AbstractContextManager[object]:
        attributes: Attributes = {
            "db.system.name": "mongodb",
            "db.operation.name": "insert",
            "db.collection.name": "readings_log",
            "db.operation.batch.size": len(segments),
        }
        return self._traces.step("insert readings_log", SpanKind.CLIENT, spans, attributes) if spans else nullcontext()


def _traced(segment: Segment, spans: Spans) -> Segment:
    span = spans.get(segment.batch_id)
    return replace(segment, traceparent=span.traceparent) if span else segment
