"""Spans of deliveries that are taken together, of which few are traced."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from common.broker import Delivery
from common.delivery_traces import NO_SPANS, DeliveryTraces
from common.tracing import NO_TRACING
from tests.kept_spans import KeptSpans, links_of, parent_of, traceparent_of

QUEUE = "billing.readings.3"
ONE, TWO = (f"00-{digit * 32}-{digit * 16}-01" for digit in "12")


def delivery(message_id: str, headers: dict[str, Any]) -> Delivery:
    """A delivery of partition 3."""
    return Delivery(b"body", 1, 1, "3", redelivered=False, message_id=message_id, headers=headers)


def test_each_traced_delivery_is_processed_under_the_span_that_published_it() -> None:
    """Those that are taken together are tied; the others have no span."""
    kept = KeptSpans()
    traces = DeliveryTraces(kept.tracing, QUEUE, 3)
    deliveries = [
        delivery("b-1", {"traceparent": ONE}),
        delivery("b-2", {}),
        delivery("b-3", {"traceparent": TWO}),
    ]

    with traces.processing(deliveries) as spans:
        known = {message_id: span.traceparent for message_id, span in spans.items()}

    first, second = kept.ended("process billing.readings")
    assert known == {"b-1": traceparent_of(first), "b-3": traceparent_of(second)}
    assert [parent_of(first), parent_of(second)] == [ONE, TWO]
    assert (links_of(first), links_of(second)) == ([TWO], [traceparent_of(first)])
    assert (first.kind, dict(first.attributes or {})["messaging.destination.name"]) == (
        SpanKind.CONSUMER,
        "energy.readings:3:billing.readings.3",
    )


def test_a_step_has_a_span_under_each_of_them() -> None:
    """For it is done for all of them at once."""
    kept = KeptSpans()
    traces = DeliveryTraces(kept.tracing, QUEUE, 3)

    deliveries = [delivery(message_id, {"traceparent": header}) for message_id, header in (("b-1", ONE), ("b-2", TWO))]
    with traces.processing(deliveries) as spans, traces.step("insert", SpanKind.CLIENT, spans, {"gridmesh.x": 2}):
        pass

    processed = kept.ended("process billing.readings")
    assert [parent_of(span) for span in kept.ended("insert")] == [traceparent_of(span) for span in processed]
    assert [dict(span.attributes or {}) for span in kept.ended("insert")] == [{"gridmesh.x": 2}] * 2


@pytest.mark.parametrize("header", [None, b"00-11", 5, {"a": 1}, "00-nonsense", ONE[:-2] + "00"])
def test_a_header_that_is_no_sampled_traceparent_makes_no_span(header: object) -> None:
    """Whoever published the message."""
    kept = KeptSpans()

    with DeliveryTraces(kept.tracing, QUEUE, 3).processing([delivery("b-1", {"traceparent": header})]) as spans:
        assert spans == {}

    assert kept.ended() == []


def test_without_tracing_not_even_headers_are_looked_at() -> None:
    """One check for all that is taken at once."""

    class Untouchable(dict[str, Any]):
        """Headers that fail whoever looks."""

        def get(self, *_: object) -> Any:
            raise AssertionError

    with DeliveryTraces(NO_TRACING, QUEUE, 3).processing([delivery("b-1", Untouchable())]) as spans:
        assert spans is NO_SPANS
