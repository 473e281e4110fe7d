"""Where the Parts of one partition wait together and become durable together, one numbered batch after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from common.broker import PublishFailed, Rejected
from common.retrying import retried_for_ever
from common.tracing import TraceSpan, lasting
from ingestion.batch import framed_part
from ingestion.batch_pace import BatchPace
from ingestion.commit_limits import CommitLimits
from ingestion.commit_metrics import CommitMetrics
from ingestion.commit_traces import CommitTraces
from ingestion.outcome import FailureReason, Waiter
from ingestion.sealed_batch import BatchSealer, SealedBatch
from ingestion.waiting_bytes import WaitingBytes


class BatchPublisher(Protocol):
    """The way to the queues."""

    async def declare(self, partitions: int) -> None:
        """Returns when the queues of every consuming service exist for so many partitions, and have settled.

        Raises:
            PublishFailed: they do not, or it is not known whether they do.
        """

    async def publish(self, batch: SealedBatch) -> None:
        """Returns when the queues of every consuming service have the batch.

        Raises:
            PublishFailed: they do not, or it is not known whether they do.
        """


@dataclass(slots=True)
class _Head:
    """The batch on its way, with those who wait for it."""

    batch: SealedBatch
    waiters: list[Waiter]
    parts_bytes: int
    since: float
    span: TraceSpan | None = None
    failure: PublishFailed | None = None


class PartitionWriter:
    """Publishes the Parts of one partition in the order of their arrival, whatever has gathered at a time.

    One batch is on its way, the next gathers meanwhile: an idle partition publishes at once, and the longer a confirm
    takes the larger the next batch, without a timer. More than one on its way would buy nothing here (a batch may hold
    `batch_maximum_bytes`) and let a refused batch fall behind its successor.

    A batch has its number from the moment it is sealed, and once it was sent nobody can know that no queue has it: a
    confirm may be lost, and a queue may have taken what another refused. So its number is never given to other Parts,
    and it is never given up. When the patience with it ends, those who wait for it and for what gathered behind it are
    told the failure, newcomers are refused at once, and the same batch is sent again until it is through. Consumers
    know duplicates by `batch_id`, so this is safe, and their view of the writer's numbers gets no gap.
    """

    def __init__(
        self,
        *,
        sealer: BatchSealer,
        publisher: BatchPublisher,
        limits: CommitLimits,
        waiting: WaitingBytes,
        metrics: CommitMetrics,
        traces: CommitTraces,
        are_consumers_behind: Callable[[], bool],
    ) -> None:
        self._sealer = sealer
        self._publisher = publisher
        self._limits = limits
        self._waiting = waiting
        self._metrics = metrics
        self._traces = traces
        self._are_consumers_behind = are_consumers_behind
        self._gathered: deque[tuple[bytes, Waiter]] = deque()
        self._gathered_bytes = 0
        self._gathering_since = 0.0
        self._arrived = asyncio.Event()
        self._head: _Head | None = None
        self._refusal: FailureReason | None = None
        self._is_tick_due = False
        self._patience: asyncio.TimerHandle | None = None

    def hold(self) -> None:
        """Lets Parts gather, with the patience that a broker gets which is away, until `run()` begins."""
        self._patience = asyncio.get_running_loop().call_later(
            self._limits.away_patience_seconds, self.refuse, FailureReason.DEPENDENCY_UNAVAILABLE
        )

    def tick(self) -> None:
        """Makes the next batch due now, empty if nothing has gathered."""
        self._is_tick_due = True
        self._arrived.set()

    def add(self, part: bytes, waiter: Waiter, traceparent: str = "") -> None:
        """Takes a serialised Part; the waiter hears of it once, at once if the partition is stuck.

        `traceparent` is that of the gateway's span, where the frame is traced.
        """
        if traceparent:
            waiter = self._traces.part(waiter, traceparent, len(part))
        if self._refusal is not None:
            waiter.part_failed(self._refusal)
            return
        if not self._gathered:
            self._gathering_since = asyncio.get_running_loop().time()
        self._gathered.append((part, waiter))
        self._gathered_bytes += len(part)
        self._waiting.take(len(part))
        self._arrived.set()

    def refuse(self, reason: FailureReason) -> None:
        """Tells everybody who waits that their Parts failed, and newcomers too until a batch has gone through."""
        self._refusal = reason
        refused = [waiter for _, waiter in self._gathered]
        self._gathered.clear()
        self._waiting.give_back(self._gathered_bytes)
        self._gathered_bytes = 0
        if self._head is not None:
            refused += self._head.waiters
            self._head.waiters = []
        for waiter in refused:
            waiter.part_failed(reason)

    def stalled_seconds(self) -> float:
        """How long the batch on its way has waited for its confirm; a full queue is no stall."""
        if self._head is None or isinstance(self._head.failure, Rejected):
            return 0.0
        return asyncio.get_running_loop().time() - self._head.since

    async def run(self) -> None:
        """Publishes until cancelled; the queues must exist or be declared by whoever connects."""
        if self._patience is not None:
            self._patience.cancel()
        loop = asyncio.get_running_loop()
        pace = BatchPace(self._limits.pace, loop.time())
        while True:
            await self._gather_or_tick(pace)
            self._head = self._seal()
            are_behind = self._are_consumers_behind()
            pace.sealed(self._head.since, self._head.parts_bytes, are_consumers_behind=are_behind)
            await self._make_durable(self._head)
            pace.confirmed(loop.time() - self._head.since)
            self._head = None

    async def _gather_or_tick(self, pace: BatchPace) -> None:
        """Returns when it is time for the next batch, which is empty if the partition was idle for a tick."""
        loop = asyncio.get_running_loop()
        if not self._gathered and not self._is_tick_due:
            self._arrived.clear()
            try:
                async with asyncio.timeout_at(pace.sealed_at + self._limits.tick_seconds):
                    await self._arrived.wait()
            except TimeoutError:
                return
        # Whatever arrived in the same turn of the loop rides along.
        await asyncio.sleep(0)
        pause_seconds = pace.next_at() - loop.time()
        if pause_seconds > 0 and self._gathered_bytes < self._limits.batch_maximum_bytes:
            await asyncio.sleep(pause_seconds)

    def _seal(self) -> _Head:
        parts: list[bytes] = []
        waiters: list[Waiter] = []
        parts_bytes = 0
        while self._gathered and (not parts or self._fits(parts_bytes)):
            part, waiter = self._gathered.popleft()
            parts.append(framed_part(part))
            waiters.append(waiter)
            parts_bytes += len(part)
        self._gathered_bytes -= parts_bytes
        self._is_tick_due = False
        now = asyncio.get_running_loop().time()
        if parts:
            # What did not fit into the batch before counts from the first of that one.
            self._metrics.sealed(age_seconds=now - self._gathering_since)
        span = self._traces.batch(waiters) if self._traces.is_on else None
        batch = self._sealer.seal(parts, span.traceparent if span else "")
        if span:
            span.set({"messaging.message.id": batch.batch_id, "messaging.message.body.size": len(batch.body)})
            span.set({"gridmesh.parts.count": batch.parts_count})
        return _Head(batch, waiters, parts_bytes, now, span)

    def _fits(self, parts_bytes: int) -> bool:
        return parts_bytes + len(self._gathered[0][0]) <= self._limits.batch_maximum_bytes

    async def _make_durable(self, head: _Head) -> None:
        loop = asyncio.get_running_loop()
        patience = loop.call_later(self._limits.away_patience_seconds, self._lose_patience, head)
        try:
            if head.span is None:
                await self._publish_until_through(head)
            else:
                with lasting([head.span]):
                    await self._publish_until_through(head)
        finally:
            patience.cancel()
        self._refusal = None
        self._waiting.give_back(head.parts_bytes)
        for waiter in head.waiters:
            waiter.part_durable()

    async def _publish_until_through(self, head: _Head) -> None:
        # Nearly always the first attempt is the only one, and making a plan for others costs as much as it does.
        with suppress(PublishFailed):
            await self._publish(head)
            return
        await asyncio.sleep(self._limits.retry_initial_seconds)
        retried = retried_for_ever(
            PublishFailed,
            wait_initial_seconds=self._limits.retry_initial_seconds,
            wait_maximum_seconds=self._limits.retry_maximum_seconds,
        )
        async for attempt in retried:
            with attempt:
                await self._publish(head)

    async def _publish(self, head: _Head) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            await self._publisher.publish(head.batch)
        except PublishFailed as failure:
            head.failure = failure
            if head.span:
                head.span.event("publish_failed", {"error.type": type(failure).__name__})
            self._metrics.publish_failed(failure)
            if isinstance(failure, Rejected) and loop.time() - head.since >= self._limits.overload_patience_seconds:
                self.refuse(FailureReason.OVERLOADED)
            raise
        self._metrics.published(
            parts_count=head.batch.parts_count, body_bytes=len(head.batch.body), seconds=loop.time() - started
        )

    def _lose_patience(self, head: _Head) -> None:
        is_full = isinstance(head.failure, Rejected)
        self.refuse(FailureReason.OVERLOADED if is_full else FailureReason.DEPENDENCY_UNAVAILABLE)
