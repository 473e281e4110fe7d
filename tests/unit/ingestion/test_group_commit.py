"""Parts become durable together, in order, in numbered batches, and within bounds."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from energy.ingestion.v1.reading_batch_pb2 import ReadingBatch
from prometheus_client import CollectorRegistry

from ingestion.outcome import FailureReason
from tests.unit.ingestion.scripted_publisher import (
    RecordingWaiter,
    ScriptedPublisher,
    eventually,
    limits_with,
    part_named,
    part_names,
    running_commit,
)


async def test_an_idle_partition_publishes_at_once(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """Nothing waits for a timer where no batch is on its way, whatever the spacing."""
    async with running_commit(publisher, limits_with(batch_spacing_seconds=30.0)) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: waiter.durable_count == 1, seconds=1)

    assert publisher.names() == [["a"]]


async def test_parts_of_one_turn_share_a_batch(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """What several streams hand over in the same turn of the loop is published once."""
    async with running_commit(publisher) as commit:
        for name in ("a", "b", "c"):
            commit.submit([(0, part_named(name))], waiter)
        await eventually(lambda: waiter.durable_count == 3)

    assert publisher.names() == [["a", "b", "c"]]


async def test_parts_gather_behind_the_batch_on_its_way(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """While a confirm is awaited nothing else of the partition is sent; all that came meanwhile is the next batch."""
    publisher.confirms.clear()
    async with running_commit(publisher) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: publisher.attempts)
        for name in ("b", "c"):
            commit.submit([(0, part_named(name))], waiter)
            await asyncio.sleep(0)
        attempts_count = len(publisher.attempts)
        publisher.confirms.set()
        await eventually(lambda: waiter.durable_count == 3)

    assert attempts_count == 1
    assert publisher.names() == [["a"], ["b", "c"]]


async def test_one_partition_does_not_wait_for_another(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """The batches of two partitions are on their way at the same time."""
    publisher.confirms.clear()
    async with running_commit(publisher) as commit:
        commit.submit([(0, part_named("a")), (1, part_named("b"))], waiter)
        await eventually(lambda: len(publisher.attempts) == 2)
        publisher.confirms.set()
        await eventually(lambda: waiter.durable_count == 2)

    assert (publisher.names(0), publisher.names(1)) == ([["a"]], [["b"]])


async def test_a_batch_takes_no_more_than_its_bytes(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """Five equal Parts under a bound of two and a half make three batches; a larger Part travels alone."""
    size_bytes = len(part_named("a"))
    async with running_commit(publisher, limits_with(batch_maximum_bytes=size_bytes * 5 // 2)) as commit:
        for name in ("a", "b", "c", "d", "e", "large" * 20):
            commit.submit([(0, part_named(name))], waiter)
        await eventually(lambda: waiter.durable_count == 6)

    assert publisher.names() == [["a", "b"], ["c", "d"], ["e"], ["large" * 20]]


async def test_batches_are_spaced_under_load(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """A Part that comes right after a batch waits for the spacing, and others ride along."""
    loop = asyncio.get_running_loop()
    async with running_commit(publisher, limits_with(batch_spacing_seconds=0.05)) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: waiter.durable_count == 1)
        started = loop.time()
        commit.submit([(0, part_named("b"))], waiter)
        await asyncio.sleep(0)
        commit.submit([(0, part_named("c"))], waiter)
        await eventually(lambda: waiter.durable_count == 3)
        waited_seconds = loop.time() - started

    assert waited_seconds >= 0.03
    assert publisher.names() == [["a"], ["b", "c"]]


async def test_batches_are_numbered_from_one_without_a_gap(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """Each partition counts for itself, under one writer identity, with times that never run backwards."""
    async with running_commit(publisher) as commit:
        for number in range(5):
            commit.submit([(0, part_named("a")), (1, part_named("b"))], waiter)
            await eventually(partial(waiter.has_durable, 2 * number + 2))

    for partition in (0, 1):
        batches = [ReadingBatch.FromString(b.body) for b in publisher.durable if b.partition == partition]
        assert [batch.sequence for batch in batches] == [1, 2, 3, 4, 5]
        assert {batch.writer for batch in batches} == {commit.writer}
        assert len({batch.batch_id for batch in batches}) == 5
        times = [batch.create_time.ToMilliseconds() for batch in batches]
        assert times == sorted(times)


async def test_an_idle_partition_ticks(publisher: ScriptedPublisher) -> None:
    """A partition without Parts publishes empty batches with the next numbers."""
    async with running_commit(publisher, limits_with(tick_seconds=0.01)):
        await eventually(lambda: len(publisher.names(1)) >= 3)

    sequences = [batch.sequence for batch in publisher.durable if batch.partition == 1]
    assert sequences[:3] == [1, 2, 3]
    assert publisher.names(1)[:3] == [[], [], []]


@pytest.mark.parametrize(
    "parts",
    [
        [(1024, part_named("a"))],
        [(-1, part_named("a"))],
        [(0, part_named("a")), (1024, part_named("b"))],
        [],
        [(0, b"")],
    ],
    ids=["above", "below", "one of two", "no Part", "empty Part"],
)
async def test_a_request_outside_any_partitions_is_refused_whole(
    parts: list[tuple[int, bytes]], publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """One failure OUT_OF_RANGE, and no Part of the request is published."""
    async with running_commit(publisher) as commit:
        commit.submit(parts, waiter)
        commit.submit([(0, part_named("good"))], RecordingWaiter())
        await eventually(lambda: publisher.durable)

    assert waiter.failures == [FailureReason.OUT_OF_RANGE]
    assert publisher.names() == [["good"]]


async def test_more_than_may_wait_is_overloaded(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """The bound counts every partition's waiting bytes; room comes back with the confirm."""
    publisher.confirms.clear()
    late = RecordingWaiter()
    size_bytes = len(part_named("a"))
    async with running_commit(publisher, waiting_maximum_bytes=2 * size_bytes) as commit:
        commit.submit([(0, part_named("a")), (1, part_named("b"))], waiter)
        commit.submit([(0, part_named("c"))], late)
        publisher.confirms.set()
        await eventually(lambda: waiter.durable_count == 2)
        commit.submit([(0, part_named("d"))], waiter)
        await eventually(lambda: waiter.durable_count == 3)

    assert late.failures == [FailureReason.OVERLOADED]
    assert publisher.names() == [["a"], ["d"]]


async def test_closing_publishes_what_waits_and_takes_no_more(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """Everything taken before is durable when the close returns; what comes after fails as SHUTTING_DOWN."""
    late = RecordingWaiter()
    async with running_commit(publisher) as commit:
        commit.submit([(0, part_named("a")), (1, part_named("b"))], waiter)
        await commit.close(grace_seconds=5)
        durable_count = waiter.durable_count
        commit.submit([(0, part_named("c"))], late)

    assert durable_count == 2
    assert late.failures == [FailureReason.SHUTTING_DOWN]


async def test_closing_without_a_broker_tells_the_waiters(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """What has no confirm by the end of the grace fails as SHUTTING_DOWN."""
    publisher.confirms.clear()
    async with running_commit(publisher) as commit:
        commit.submit([(0, part_named("a")), (1, part_named("b"))], waiter)
        await eventually(lambda: publisher.attempts)
        await commit.close(grace_seconds=0.01)

    assert waiter.failures == [FailureReason.SHUTTING_DOWN] * 2


async def test_the_figures_tell_what_was_published(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """Batches, Parts, bytes, seconds and what waits can be read from the registry."""
    registry = CollectorRegistry()
    publisher.confirms.clear()
    async with running_commit(publisher, registry=registry) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        commit.submit([(0, part_named("b"))], waiter)
        waiting_bytes = registry.get_sample_value("ingestion_waiting_bytes")
        publisher.confirms.set()
        await eventually(lambda: waiter.durable_count == 2)

    assert waiting_bytes == len(part_named("a")) + len(part_named("b"))
    assert registry.get_sample_value("ingestion_waiting_bytes") == 0
    assert registry.get_sample_value("ingestion_batches_total") == 1
    assert registry.get_sample_value("ingestion_parts_total") == 2
    assert registry.get_sample_value("ingestion_batch_bytes_sum") == len(publisher.durable[0].body)
    assert registry.get_sample_value("ingestion_publish_seconds_count") == 1


async def test_the_age_of_a_batch_is_the_wait_of_its_first_part(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """One Part goes at once, the next waits behind it; the empty batches after them have no age."""
    registry = CollectorRegistry()
    clock = asyncio.get_running_loop().time
    publisher.confirms.clear()
    async with running_commit(publisher, limits_with(tick_seconds=0.01), registry=registry) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: any(part_names(batch.body) == ["a"] for batch in publisher.attempts))
        commit.submit([(0, part_named("b"))], waiter)
        submitted_at = clock()
        await eventually(lambda: clock() >= submitted_at + 0.05)
        publisher.confirms.set()
        await eventually(lambda: waiter.durable_count == 2)
        await eventually(lambda: len(publisher.names(1)) >= 2)

    assert registry.get_sample_value("ingestion_batch_age_seconds_count") == 2
    assert (registry.get_sample_value("ingestion_batch_age_seconds_sum") or 0.0) >= 0.05
