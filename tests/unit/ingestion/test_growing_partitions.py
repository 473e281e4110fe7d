"""A Part for a partition that is not known yet makes it known, and the others do not wait for it."""

from __future__ import annotations

import itertools
from functools import partial

from energy.ingestion.v1.reading_batch_pb2 import ReadingBatch
from prometheus_client import CollectorRegistry

from common.broker import BrokerAway
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


def batches_of(publisher: ScriptedPublisher, partition: int) -> list[ReadingBatch]:
    """The durable batches of a partition, decoded."""
    return [ReadingBatch.FromString(batch.body) for batch in publisher.durable if batch.partition == partition]


async def test_the_first_part_of_a_new_partition_waits_for_its_queues(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """It is published once every partition up to it is declared, and is the first batch there."""
    publisher.declarations.clear()
    async with running_commit(publisher) as commit:
        commit.submit([(4, part_named("new"))], waiter)
        commit.submit([(0, part_named("old"))], waiter)
        await eventually(lambda: waiter.durable_count == 1)
        before = [part_names(batch.body) for batch in publisher.attempts]
        publisher.declarations.set()
        await eventually(lambda: waiter.durable_count == 2)

    assert before == [["old"]]
    assert publisher.declared == [5]
    assert publisher.names(4) == [["new"]]
    assert batches_of(publisher, 4)[0].sequence == 1


async def test_growth_is_told_on_every_partition_at_once(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """No partition waits for its tick to say how many there are, old or new."""
    async with running_commit(publisher, limits_with(tick_seconds=60)) as commit:
        commit.submit([(3, part_named("new"))], waiter)
        await eventually(lambda: len({batch.partition for batch in publisher.durable}) == 4)

    for partition in range(4):
        assert [batch.partition_count for batch in batches_of(publisher, partition)] == [4]
    assert publisher.names(0) == [[]]


async def test_partitions_that_are_expected_tick_without_a_part(publisher: ScriptedPublisher) -> None:
    """Each says that it has nothing, under its own numbers; to expect fewer changes nothing."""
    async with running_commit(publisher, limits_with(tick_seconds=60)) as commit:
        commit.expect(4)
        commit.expect(3)
        await eventually(lambda: len({batch.partition for batch in publisher.durable}) == 4)

    assert publisher.declared == [4]
    for partition in range(4):
        assert [batch.partition_count for batch in batches_of(publisher, partition)] == [4]
    assert publisher.names(3) == [[]]


async def test_a_batch_on_its_way_is_followed_by_one_that_tells(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """Sealed before the growth it says 2 for ever; its successor comes at once and says 3."""
    publisher.confirms.clear()
    async with running_commit(publisher) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: publisher.attempts)
        commit.submit([(2, part_named("new"))], waiter)
        await eventually(lambda: commit.partition_count == 3)
        publisher.confirms.set()
        await eventually(lambda: len(batches_of(publisher, 0)) == 2)

    told = [(batch.partition_count, part_names(batch.SerializeToString())) for batch in batches_of(publisher, 0)]
    assert told == [(2, ["a"]), (3, [])]


async def test_no_batch_that_tells_less_is_younger_than_one_of_a_new_partition(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """So who has a partition's batches up to an instant knows every partition that had one by then."""
    clock = itertools.count(1)
    async with running_commit(publisher, now_ms=lambda: next(clock)) as commit:
        for partition in range(2, 12):
            commit.submit([(0, part_named("old")), (partition, part_named("new"))], waiter)
            await eventually(partial(waiter.has_durable, 2 * (partition - 1)))

    batches = [ReadingBatch.FromString(batch.body) for batch in publisher.durable]
    batches.sort(key=lambda batch: batch.create_time.ToMilliseconds())
    partitions_seen: set[int] = set()
    for batch in batches:
        partitions_seen.add(batch.partition)
        assert max(partitions_seen) < batch.partition_count
    assert len(partitions_seen) == 12


async def test_parts_that_ask_for_more_meanwhile_are_declared_next(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """What comes for further partitions during a declaration needs one more, not one each."""
    publisher.declarations.clear()
    async with running_commit(publisher) as commit:
        commit.submit([(2, part_named("a"))], waiter)
        await eventually(lambda: publisher.declarations_asked)
        for partition in (3, 5, 4):
            commit.submit([(partition, part_named("b"))], waiter)
        publisher.declarations.set()
        await eventually(lambda: waiter.durable_count == 4)

    assert publisher.declared == [3, 6]


async def test_a_declaration_that_fails_is_tried_again(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """A broker that goes away meanwhile costs time, not the Part."""
    publisher.declaring_fails_with = [BrokerAway("gone"), BrokerAway("gone")]
    async with running_commit(publisher) as commit:
        commit.submit([(2, part_named("new"))], waiter)
        await eventually(lambda: waiter.durable_count == 1)

    assert waiter.failures == []
    assert publisher.declared == [3]


async def test_patience_with_a_declaration_ends(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """Who waits for queues that do not come is told as if the broker were away; once they are there all is well."""
    registry = CollectorRegistry()
    publisher.declarations.clear()
    late = RecordingWaiter()
    async with running_commit(publisher, limits_with(away_patience_seconds=0.02), registry=registry) as commit:
        commit.submit([(2, part_named("impatient"))], waiter)
        await eventually(lambda: waiter.failures)
        waiting_bytes = registry.get_sample_value("ingestion_waiting_bytes")
        publisher.declarations.set()
        await eventually(lambda: batches_of(publisher, 2))
        commit.submit([(2, part_named("late"))], late)
        await eventually(lambda: late.durable_count == 1)

    assert waiter.failures == [FailureReason.DEPENDENCY_UNAVAILABLE]
    assert waiting_bytes == 0
    assert publisher.names(2) == [[], ["late"]]


async def test_parts_for_unknown_partitions_wait_within_the_bound(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """Their bytes count like any that wait, and a request that finds no room makes no partition known."""
    publisher.declarations.clear()
    refused = RecordingWaiter()
    size_bytes = len(part_named("a"))
    async with running_commit(publisher, waiting_maximum_bytes=2 * size_bytes) as commit:
        commit.submit([(2, part_named("a")), (3, part_named("b"))], waiter)
        commit.submit([(9, part_named("c"))], refused)
        publisher.declarations.set()
        await eventually(lambda: waiter.durable_count == 2)

    assert refused.failures == [FailureReason.OVERLOADED]
    assert publisher.declared == [4]


async def test_closing_amid_a_declaration_tells_the_waiters(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """Parts whose queues are not there by the end of the grace fail as SHUTTING_DOWN."""
    publisher.declarations.clear()
    async with running_commit(publisher) as commit:
        commit.submit([(2, part_named("new"))], waiter)
        await commit.close(grace_seconds=0.01)

    assert waiter.failures == [FailureReason.SHUTTING_DOWN]


async def test_the_figures_tell_how_many_partitions_there_are(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """`ingestion_partitions` follows the growth."""
    registry = CollectorRegistry()
    async with running_commit(publisher, registry=registry) as commit:
        before = registry.get_sample_value("ingestion_partitions")
        commit.submit([(6, part_named("new"))], waiter)
        await eventually(lambda: waiter.durable_count == 1)

    assert (before, registry.get_sample_value("ingestion_partitions")) == (2, 7)
