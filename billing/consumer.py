"""Takes batches from the queues into the log; a delivery is acknowledged only after its segment is written."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from pymongo.errors import PyMongoError

from billing.batch_codec import UndecodableBatch, decode_batch
from billing.live import Latest, newest
from billing.log_store import LogStore
from billing.segment import Segment
from billing.tail import Tail
from common.broker import BrokerConnection, Consumer, Delivery
from common.logs import get_logger
from common.topology import queue_name

_log = get_logger("billing.consumer")

_DELIVERIES_PER_WRITE = 32
_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _Logged:
    delivery: Delivery
    segment: Segment


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
        log: LogStore,
        tail: Tail,
        publish: Callable[[Mapping[str, Latest]], None],
        metrics: "ConsumerMetrics",
        clock: Callable[[], float],
    ) -> None:
        self._consumer = Consumer(broker, queue_name("billing", partition), prefetch)
        self._log = log
        self._tail = tail
        self._publish = publish
        self._metrics = metrics
        self._clock = clock
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_subscribed(self) -> bool:
        """Whether the broker sends deliveries now."""
        return self._consumer.is_subscribed

    async def subscribe(self) -> None:
        """Keeps the subscription until cancelled."""
        await self._consumer.run()

    async def run(self) -> None:
        """Writes what is delivered until cancelled."""
        while True:
            delivery = await self._consumer.deliveries.get()
            self._idle.clear()
            await self._take(self._with_waiting(delivery))
            if self._consumer.deliveries.empty():
                self._idle.set()

    async def stop(self) -> None:
        """Takes no more, and returns when what is in hand is written and acknowledged."""
        await self._consumer.stop()
        await self._idle.wait()

    def _with_waiting(self, first: Delivery) -> list[Delivery]:
        deliveries = [first]
        while len(deliveries) < _DELIVERIES_PER_WRITE and not self._consumer.deliveries.empty():
            deliveries.append(self._consumer.deliveries.get_nowait())
        return deliveries

    async def _take(self, deliveries: Sequence[Delivery]) -> None:
        logged: list[_Logged] = []
        for delivery in deliveries:
            try:
                logged.append(_Logged(delivery, decode_batch(delivery.body, time.time_ns() // 1_000_000)))
            except UndecodableBatch as poison:
                _log.error("batch_undecodable", message_id=delivery.message_id, cause=str(poison))
                self._metrics.undecodable.inc()
                await self._consumer.reject(delivery)
        if not logged:
            return
        distinct = {one.segment.batch_id: one.segment for one in reversed(logged)}
        known = await self._append(list(distinct.values()))
        for one in logged:
            await self._consumer.ack(one.delivery)
        self._metrics.duplicates.inc(len(logged) - len(distinct) + len(known))
        # What was logged before has another record time; the merger's search brings it if it is not folded yet.
        for segment in distinct.values():
            if segment.batch_id not in known:
                self._tail.hold(segment, self._clock())
                self._publish(newest(segment.spans.items()))
                self._metrics.count(segment)

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
            "billing_batches_undecodable", "Batches sent to the dead letters.", registry=registry
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
        self._readings.inc(len(segment.readings))
        if segment.readings:
            self._delay.observe(max(0, segment.record_ms - segment.readings[0].receive_ms) / 1000)
