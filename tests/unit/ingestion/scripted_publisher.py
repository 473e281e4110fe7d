"""A way to the queues that does what a test says, and what stands around a group commit under test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import Reading
from prometheus_client import CollectorRegistry

from common.broker import PublishFailed
from common.tracing import NO_TRACING, Tracing
from ingestion.batch_pace import PaceLimits
from ingestion.commit_limits import CommitLimits
from ingestion.group_commit import GroupCommit
from ingestion.outcome import FailureReason
from ingestion.sealed_batch import SealedBatch


class ScriptedPublisher:
    """Confirms what it gets, unless told to hold confirms back or to fail."""

    def __init__(self) -> None:
        self.attempts: list[SealedBatch] = []
        self.durable: list[SealedBatch] = []
        self.failures: list[PublishFailed] = []
        self.failing_with: PublishFailed | None = None
        self.confirms = asyncio.Event()
        self.confirms.set()
        self.declarations_asked: list[int] = []
        self.declared: list[int] = []
        self.declarations = asyncio.Event()
        self.declarations.set()
        self.declaring_fails_with: list[PublishFailed] = []

    async def declare(self, partitions: int) -> None:
        """Declares at once, unless held back; fails with the next of `declaring_fails_with`."""
        self.declarations_asked.append(partitions)
        await self.declarations.wait()
        if self.declaring_fails_with:
            raise self.declaring_fails_with.pop(0)
        self.declared.append(partitions)

    async def publish(self, batch: SealedBatch) -> None:
        """One attempt: fails with the next of `failures`, then always with `failing_with`, else confirms."""
        self.attempts.append(batch)
        await self.confirms.wait()
        failure = self.failures.pop(0) if self.failures else self.failing_with
        if failure is not None:
            raise failure
        self.durable.append(batch)

    def names(self, partition: int = 0) -> list[list[str]]:
        """The names of the Parts of each durable batch of the partition."""
        return [part_names(batch.body) for batch in self.durable if batch.partition == partition]

    def names_in_order(self, partition: int = 0) -> list[str]:
        """The names of the Parts of the partition, whatever batch they came in."""
        return [name for batch_names in self.names(partition) for name in batch_names]


class RecordingWaiter:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.durable_count = 0
        self.failures: list[FailureReason] = []

    def has_durable(self, count: int) -> bool:
        """Whether so many Parts are durable."""
        return self.durable_count == count

    def part(self, position: int) -> RecordingWaiter:  # noqa: ARG002
        """Waits for each Part itself."""
        return self

    def refused(self, reason: FailureReason) -> None:
        """Notes the reason."""
        self.failures.append(reason)

    def part_durable(self) -> None:
        """Counts."""
        self.durable_count += 1

    def part_failed(self, reason: FailureReason) -> None:
        """Notes the reason."""
        self.failures.append(reason)


def part_named(name: str) -> bytes:
    """A serialised Part that can be told from others."""
    return Part(readings=[Reading(device_id=name)]).SerializeToString()


def part_names(body: bytes) -> list[str]:
    """The names of the Parts in a serialised batch."""
    return [part.readings[0].device_id for part in ReadingBatch.FromString(body).parts]


def limits_with(
    *,
    batch_maximum_bytes: int = 1 << 20,
    batch_spacing_seconds: float = 0.0,
    away_patience_seconds: float = 60.0,
    overload_patience_seconds: float = 60.0,
    tick_seconds: float = 60.0,
) -> CommitLimits:
    """Limits that hold nothing up, with changes."""
    return CommitLimits(
        batch_maximum_bytes=batch_maximum_bytes,
        pace=PaceLimits(
            spacing_seconds=batch_spacing_seconds,
            steady_seconds=0.0,
            weight_bytes=1,
            longest_seconds=0.0,
            burst_batches=1,
        ),
        away_patience_seconds=away_patience_seconds,
        overload_patience_seconds=overload_patience_seconds,
        tick_seconds=tick_seconds,
        retry_initial_seconds=0.001,
        retry_maximum_seconds=0.002,
    )


@asynccontextmanager
async def running_commit(
    publisher: ScriptedPublisher,
    limits: CommitLimits | None = None,
    *,
    waiting_maximum_bytes: int = 1 << 20,
    registry: CollectorRegistry | None = None,
    tracing: Tracing = NO_TRACING,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> AsyncIterator[GroupCommit]:
    """A group commit of two partitions, at work until the end of the block."""
    commit = GroupCommit(
        partitions=2,
        publisher=publisher,
        limits=limits or limits_with(),
        waiting_maximum_bytes=waiting_maximum_bytes,
        registry=registry or CollectorRegistry(),
        tracing=tracing,
        now_ms=now_ms,
    )
    life = asyncio.ensure_future(commit.run())
    try:
        yield commit
    finally:
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life


async def eventually(condition: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Lets the loop turn until the condition holds.

    Raises:
        TimeoutError: it does not within `seconds`.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.001)
