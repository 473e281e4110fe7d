"""Where the Parts of every stream meet: each goes to the writer of its partition, and one confirm answers many."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry

from ingestion.commit_limits import CommitLimits
from ingestion.commit_metrics import CommitMetrics
from ingestion.outcome import FailureReason, Waiter
from ingestion.partition_writer import BatchPublisher, PartitionWriter
from ingestion.sealed_batch import BatchSealer
from ingestion.waiting_bytes import WaitingBytes


class GroupCommit:
    """Makes Parts durable, many of one partition in one batch; batches are numbered by this process and partition.

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
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.writer = str(uuid.uuid4())
        self._waiting = WaitingBytes(waiting_maximum_bytes)
        metrics = CommitMetrics(registry, self._waiting)
        self._writers = [
            PartitionWriter(
                sealer=BatchSealer(partition=partition, writer=self.writer, now_ms=now_ms),
                publisher=publisher,
                limits=limits,
                waiting=self._waiting,
                metrics=metrics,
            )
            for partition in range(partitions)
        ]
        self._is_closed = False

    def submit(self, parts: Sequence[tuple[int, bytes]], waiter: Waiter) -> None:
        """Takes the (partition, serialised Part) pairs of one request, all of them or none.

        The waiter hears once of each Part taken. Of a request that is not taken it hears one failure.
        """
        refusal = self._refusal(parts)
        if refusal is not None:
            waiter.part_failed(refusal)
            return
        for partition, part in parts:
            self._writers[partition].add(part, waiter)

    def _refusal(self, parts: Sequence[tuple[int, bytes]]) -> FailureReason | None:
        if self._is_closed:
            return FailureReason.SHUTTING_DOWN
        partitions = len(self._writers)
        if not parts or not all(part and 0 <= partition < partitions for partition, part in parts):
            return FailureReason.OUT_OF_RANGE
        if not self._waiting.has_room(sum(len(part) for _, part in parts)):
            return FailureReason.OVERLOADED
        return None

    def stalled_seconds(self) -> float:
        """How long the slowest partition has waited for a confirm that does not come."""
        return max(writer.stalled_seconds() for writer in self._writers)

    async def run(self) -> None:
        """Publishes until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for partition, writer in enumerate(self._writers):
                tasks.create_task(writer.run(), name=f"partition_writer_{partition}")

    async def close(self, grace_seconds: float) -> None:
        """Takes no more, publishes what waits, and after the grace tells what is left that the service stops."""
        self._is_closed = True
        try:
            async with asyncio.timeout(grace_seconds):
                await self._waiting.wait_for_none()
        except TimeoutError:
            for writer in self._writers:
                writer.refuse(FailureReason.SHUTTING_DOWN)
