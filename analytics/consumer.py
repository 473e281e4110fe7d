"""Where a reading comes off the queues: counted, put into the live picture, acknowledged, many batches at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from opentelemetry.trace import SpanKind
from pymongo.errors import PyMongoError

from analytics.batch_intake import BatchIntake
from analytics.stream.batch_reader import Undecodable
from analytics.stream.new_devices import NewDevices
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
