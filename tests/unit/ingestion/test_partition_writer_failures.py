"""A batch that fails is sent again, the same, until it is through; its waiters do not wait that long."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from common.broker import BrokerAway, PublishFailed, Rejected, Unroutable
from ingestion.outcome import FailureReason
from tests.unit.ingestion.scripted_publisher import (
    RecordingWaiter,
    ScriptedPublisher,
    eventually,
    limits_with,
    part_named,
    running_commit,
)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(BrokerAway("gone"), "away"), (Rejected("full"), "rejected"), (Unroutable("no queue"), "unroutable")],
    ids=["away", "rejected", "unroutable"],
)
async def test_a_retry_repeats_the_same_batch(
    failure: PublishFailed, reason: str, publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """Three failed attempts and the fourth carry one id, one number and the same bytes; the waiter hears of success."""
    registry = CollectorRegistry()
    publisher.failures = [failure, failure, failure]
    async with running_commit(publisher, registry=registry) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: waiter.durable_count == 1)

    assert len(publisher.attempts) == 4
    assert {(batch.batch_id, batch.sequence, batch.body) for batch in publisher.attempts} == {
        (publisher.durable[0].batch_id, 1, publisher.durable[0].body)
    }
    assert waiter.failures == []
    assert registry.get_sample_value("ingestion_publish_failures_total", {"reason": reason}) == 3


async def test_order_is_kept_over_a_failure(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """A batch that fails is not overtaken by the Parts behind it."""
    publisher.failures = [BrokerAway("gone")] * 3
    async with running_commit(publisher) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: publisher.attempts)
        commit.submit([(0, part_named("b"))], waiter)
        await eventually(lambda: waiter.durable_count == 2)

    assert publisher.names() == [["a"], ["b"]]
    assert [batch.sequence for batch in publisher.durable] == [1, 2]


async def test_requests_fail_when_the_broker_stays_away(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """After the patience those on the way and those behind fail, and newcomers at once; another partition lives."""
    publisher.failing_with = BrokerAway("gone")
    newcomer = RecordingWaiter()
    async with running_commit(publisher, limits_with(away_patience_seconds=0.05)) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: publisher.attempts)
        commit.submit([(0, part_named("b"))], waiter)
        await eventually(lambda: len(waiter.failures) == 2)
        commit.submit([(0, part_named("c"))], newcomer)

    assert waiter.failures == [FailureReason.DEPENDENCY_UNAVAILABLE] * 2
    assert newcomer.failures == [FailureReason.DEPENDENCY_UNAVAILABLE]


async def test_a_confirm_that_never_comes_fails_requests_too(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """The patience does not depend on an attempt that ends."""
    publisher.confirms.clear()
    async with running_commit(publisher, limits_with(away_patience_seconds=0.02)) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: waiter.failures)

    assert waiter.failures == [FailureReason.DEPENDENCY_UNAVAILABLE]


async def test_requests_are_overloaded_while_a_queue_is_full(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """A full queue is given a few tries only."""
    publisher.failing_with = Rejected("full")
    async with running_commit(publisher, limits_with(overload_patience_seconds=0.05)) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: waiter.failures)

    assert waiter.failures == [FailureReason.OVERLOADED]
    assert len(publisher.attempts) >= 3


async def test_a_failed_batch_goes_through_later_under_its_number(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """When the broker is back the failed batch is still the next one, so the numbers have no gap."""
    publisher.failing_with = BrokerAway("gone")
    newcomer = RecordingWaiter()
    async with running_commit(publisher, limits_with(away_patience_seconds=0.02)) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: waiter.failures)
        publisher.failing_with = None
        await eventually(lambda: publisher.durable)
        commit.submit([(0, part_named("b"))], newcomer)
        await eventually(lambda: newcomer.durable_count == 1)

    assert publisher.names() == [["a"], ["b"]]
    assert [batch.sequence for batch in publisher.durable] == [1, 2]
    assert (waiter.durable_count, newcomer.failures) == (0, [])


async def test_what_failed_no_longer_counts_as_waiting(publisher: ScriptedPublisher, waiter: RecordingWaiter) -> None:
    """Parts behind a stuck batch are let go with their failure; only the batch itself keeps its bytes."""
    registry = CollectorRegistry()
    publisher.failing_with = BrokerAway("gone")
    async with running_commit(publisher, limits_with(away_patience_seconds=0.05), registry=registry) as commit:
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: publisher.attempts)
        commit.submit([(0, part_named("b" * 100))], waiter)
        await eventually(lambda: len(waiter.failures) == 2)
        waiting_bytes = registry.get_sample_value("ingestion_waiting_bytes")

    assert waiting_bytes == len(part_named("a"))


async def test_a_missing_confirm_is_a_stall_and_a_full_queue_is_none(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """The age of the batch on its way counts, unless a queue answers that it is full."""
    publisher.confirms.clear()
    async with running_commit(publisher) as commit:
        before = commit.stalled_seconds()
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: commit.stalled_seconds() > 0.01)
        publisher.failing_with = Rejected("full")
        publisher.confirms.set()
        await eventually(lambda: commit.stalled_seconds() == 0)
        publisher.failing_with = None
        await eventually(lambda: waiter.durable_count == 1)

    assert before == 0
