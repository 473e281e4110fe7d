"""Traces through the group commit: a span for each traced Part, one for its batch, and the batch's traceparent."""

from __future__ import annotations

import pytest
from opentelemetry.trace import StatusCode

from common.broker import BrokerAway
from ingestion.outcome import FailureReason
from tests.kept_spans import KeptSpans, links_of, parent_of, traceparent_of
from tests.unit.ingestion.scripted_publisher import (
    RecordingWaiter,
    ScriptedPublisher,
    eventually,
    limits_with,
    part_named,
    running_commit,
)

INGEST = "energy.ingestion.v1.IngestionService/IngestReadings"
PUBLISH = "publish energy.readings"
ONE, TWO = (f"00-{digit * 32}-{digit * 16}-01" for digit in "12")


@pytest.fixture
def kept() -> KeptSpans:
    """Every span of the commit under test."""
    return KeptSpans()


async def test_a_batch_is_traced_under_its_part_and_the_part_under_its_frame(
    publisher: ScriptedPublisher, waiter: RecordingWaiter, kept: KeptSpans
) -> None:
    """And takes its traceparent along, beside its bytes."""
    async with running_commit(publisher, tracing=kept.tracing) as commit:
        commit.submit([(0, part_named("a")), (1, part_named("b"))], waiter, [ONE, ""])
        await eventually(lambda: waiter.has_durable(2))

    part, batch = kept.one(INGEST), kept.one(PUBLISH)
    assert (parent_of(part), parent_of(batch)) == (ONE, traceparent_of(part))
    assert {sealed.partition: sealed.traceparent for sealed in publisher.durable} == {0: traceparent_of(batch), 1: ""}
    (sealed,) = [sealed for sealed in publisher.durable if sealed.traceparent]
    assert (batch.attributes or {})["messaging.message.id"] == sealed.batch_id
    assert (batch.attributes or {})["messaging.destination.name"] == "energy.readings:0"


async def test_parts_of_two_traced_frames_in_one_batch_are_tied_to_each_other(
    publisher: ScriptedPublisher, waiter: RecordingWaiter, kept: KeptSpans
) -> None:
    """The batch stands under the first and points to the second, and the second points to the batch."""
    publisher.confirms.clear()
    async with running_commit(publisher, tracing=kept.tracing) as commit:
        commit.submit([(0, part_named("on its way"))], waiter)
        await eventually(lambda: publisher.attempts)
        for name, traceparent in (("untraced", ""), ("one", ONE), ("two", TWO)):
            commit.submit([(0, part_named(name))], waiter, [traceparent])
        publisher.confirms.set()
        await eventually(lambda: waiter.has_durable(4))

    assert publisher.names() == [["on its way"], ["untraced", "one", "two"]]
    first, second = kept.ended(INGEST)
    batch = kept.one(PUBLISH)
    assert (parent_of(first), parent_of(second)) == (ONE, TWO)
    assert (parent_of(batch), links_of(batch)) == (traceparent_of(first), [traceparent_of(second)])
    assert (links_of(first), links_of(second)) == ([], [traceparent_of(batch)])
    assert [sealed.traceparent for sealed in publisher.durable] == ["", traceparent_of(batch)]


async def test_a_batch_that_is_sent_again_keeps_its_span(
    publisher: ScriptedPublisher, waiter: RecordingWaiter, kept: KeptSpans
) -> None:
    """Which tells of each attempt that failed, and did not fail itself."""
    publisher.failures = [BrokerAway("gone"), BrokerAway("gone")]
    async with running_commit(publisher, tracing=kept.tracing) as commit:
        commit.submit([(0, part_named("a"))], waiter, [ONE])
        await eventually(lambda: waiter.has_durable(1))

    batch = kept.one(PUBLISH)
    assert [event.name for event in batch.events] == ["publish_failed"] * 2
    assert batch.status.status_code is not StatusCode.ERROR
    assert {attempt.traceparent for attempt in publisher.attempts} == {traceparent_of(batch)}


async def test_a_part_that_is_refused_has_a_failed_span(
    publisher: ScriptedPublisher, waiter: RecordingWaiter, kept: KeptSpans
) -> None:
    """With the reason that its sender is told, also where it is refused at once."""
    publisher.failing_with = BrokerAway("gone")
    async with running_commit(publisher, limits_with(away_patience_seconds=0.01), tracing=kept.tracing) as commit:
        commit.submit([(0, part_named("a"))], waiter, [ONE])
        await eventually(lambda: waiter.failures)
        commit.submit([(0, part_named("b"))], waiter, [TWO])

        spans = kept.ended(INGEST)
        assert waiter.failures == [FailureReason.DEPENDENCY_UNAVAILABLE] * 2
        assert [parent_of(span) for span in spans] == [ONE, TWO]
        assert [span.status.status_code for span in spans] == [StatusCode.ERROR] * 2
        assert [(span.attributes or {})["error.type"] for span in spans] == ["DEPENDENCY_UNAVAILABLE"] * 2


async def test_a_commit_that_ends_ends_the_span_of_what_is_on_its_way(
    publisher: ScriptedPublisher, waiter: RecordingWaiter, kept: KeptSpans
) -> None:
    """As failed, for nobody knows whether the queues have it."""
    publisher.confirms.clear()
    async with running_commit(publisher, tracing=kept.tracing) as commit:
        commit.submit([(0, part_named("a"))], waiter, [ONE])
        await eventually(lambda: publisher.attempts)

    assert (kept.one(PUBLISH).attributes or {})["error.type"] == "CancelledError"


async def test_without_tracing_a_batch_says_nothing_of_traces(
    publisher: ScriptedPublisher, waiter: RecordingWaiter
) -> None:
    """Its bytes are the same either way."""
    async with running_commit(publisher) as commit:
        assert not commit.is_traced
        commit.submit([(0, part_named("a"))], waiter)
        await eventually(lambda: waiter.has_durable(1))

    assert [sealed.traceparent for sealed in publisher.durable] == [""]
