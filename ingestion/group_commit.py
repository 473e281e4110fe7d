"""Where the Parts of every stream meet: each goes to the writer of its partition, and one confirm answers many."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from itertools import repeat

from prometheus_client import CollectorRegistry

from common.broker import PublishFailed
from common.clock import now_ms
from common.config import PARTITIONS_MAXIMUM
from common.logs import get_logger
from common.retrying import retried_for_ever
from common.tracing import NO_TRACING, Tracing
from ingestion.commit_limits import CommitLimits
from ingestion.commit_metrics import CommitMetrics
from ingestion.commit_traces import CommitTraces
from ingestion.outcome import FailureReason, RequestWaiter
from ingestion.partition_writer import BatchPublisher, PartitionWriter
from ingestion.sealed_batch import BatchSealer
from ingestion.waiting_bytes import WaitingBytes
from ingestion.writer_identity import WriterIdentity

_log = get_logger(__name__)


class GroupCommit:
    """Makes Parts durable, many of one partition in one batch; batches are numbered by this process and partition.

    It begins with `partitions` and knows more as Parts for them come, or as it is told to expect them: those Parts wait
    until the queues are declared, while the other partitions go on. Every batch sealed from then on says so, and every
    partition ticks at once. `is_behind` tells of a partition whether its consumers have more to do than they can.

    `run()` is its life and must run as a background task.
    """

    def __init__(
        self,
        *,
        partitions: int,
        publisher: BatchPublisher,
        limits: CommitLimits,
        waiting_maximum_bytes: int,
        registry: CollectorRegistry,
        is_behind: Callable[[int], bool] = lambda _: False,
        tracing: Tracing = NO_TRACING,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._identity = WriterIdentity(str(uuid.uuid4()), partitions, now_ms)
        self._publisher = publisher
        self._limits = limits
        self._is_behind = is_behind
        self._tracing = tracing
        self._waiting = WaitingBytes(waiting_maximum_bytes)
        self._metrics = CommitMetrics(registry, self._waiting, lambda: self.partition_count)
        self._writers = [self._partition_writer(partition) for partition in range(partitions)]
        self._more_asked = asyncio.Event()
        self._is_closed = False

    @property
    def writer(self) -> str:
        """Identity of this process in its batches."""
        return self._identity.writer

    @property
    def partition_count(self) -> int:
        """Partitions whose queues are declared, as its batches say."""
        return self._identity.partition_count

    @property
    def is_traced(self) -> bool:
        """Whether it is of use to say which trace a Part belongs to."""
        return self._tracing.is_on

    def submit(
        self, parts: Sequence[tuple[int, bytes]], waiter: RequestWaiter, traceparents: Sequence[str] | None = None
    ) -> None:
        """Takes the (partition, serialised Part) pairs of one request, all of them or none.

        The waiter hears once of each Part taken, or once that the request is refused. `traceparents`
        are those of the frames that the Parts came in, in the order of the Parts; empty for one that is not traced.
        """
        refusal = self._refusal(parts)
        if refusal is not None:
            waiter.refused(refusal)
            return
        self.expect(1 + max(partition for partition, _ in parts))
        of_parts = zip(parts, traceparents or repeat(""), strict=False)
        for position, ((partition, part), traceparent) in enumerate(of_parts):
            self._writers[partition].add(part, waiter.part(position), traceparent)

    def expect(self, partitions: int) -> None:
        """Makes so many partitions known, if they are not; they tick from then on."""
        while len(self._writers) < partitions:
            writer = self._partition_writer(len(self._writers))
            writer.hold()
            self._writers.append(writer)
            self._more_asked.set()

    def stalled_seconds(self) -> float:
        """How long the slowest partition has waited for a confirm that does not come."""
        return max(writer.stalled_seconds() for writer in self._writers)

    async def run(self) -> None:
        """Publishes until cancelled."""
        begun = 0
        async with asyncio.TaskGroup() as tasks:
            while True:
                for partition in range(begun, self.partition_count):
                    tasks.create_task(self._writers[partition].run(), name=f"partition_writer_{partition}")
                begun = self.partition_count
                await self._more_asked.wait()
                self._more_asked.clear()
                await self._grow()

    async def close(self, grace_seconds: float) -> None:
        """Takes no more, publishes what waits, and after the grace tells what is left that the service stops."""
        self._is_closed = True
        try:
            async with asyncio.timeout(grace_seconds):
                await self._waiting.wait_for_none()
        except TimeoutError:
            for writer in self._writers:
                writer.refuse(FailureReason.SHUTTING_DOWN)

    def _refusal(self, parts: Sequence[tuple[int, bytes]]) -> FailureReason | None:
        if self._is_closed:
            return FailureReason.SHUTTING_DOWN
        if not parts or not all(part and 0 <= partition < PARTITIONS_MAXIMUM for partition, part in parts):
            return FailureReason.OUT_OF_RANGE
        if not self._waiting.has_room(sum(len(part) for _, part in parts)):
            return FailureReason.OVERLOADED
        return None

    async def _grow(self) -> None:
        partitions = len(self._writers)
        retried = retried_for_ever(
            PublishFailed,
            wait_initial_seconds=self._limits.retry_initial_seconds,
            wait_maximum_seconds=self._limits.retry_maximum_seconds,
        )
        async for attempt in retried:
            with attempt:
                await self._declare(partitions)
        _log.info("partitions_grown", partitions=partitions, before=self.partition_count)
        # Before a new partition seals its first batch, so that no batch of an older time hides it.
        self._identity.partition_count = partitions
        for writer in self._writers[:partitions]:
            writer.tick()

    async def _declare(self, partitions: int) -> None:
        try:
            await self._publisher.declare(partitions)
        except PublishFailed as failure:
            _log.warning("partitions_not_declared", partitions=partitions, cause=str(failure))
            raise

    def _partition_writer(self, partition: int) -> PartitionWriter:
        return PartitionWriter(
            sealer=BatchSealer(partition=partition, identity=self._identity),
            publisher=self._publisher,
            limits=self._limits,
            waiting=self._waiting,
            metrics=self._metrics,
            traces=CommitTraces(self._tracing, partition),
            are_consumers_behind=lambda: self._is_behind(partition),
        )
