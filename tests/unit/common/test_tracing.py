"""Spans: under whom they stand, what they point to, and how they end."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from common.trace_context import current_traceparent
from common.tracing import JOINT_SPANS_MAXIMUM, NO_TRACING, Attributes
from tests.kept_spans import KeptSpans, links_of, parent_of, traceparent_of


def parents(count: int) -> list[str]:
    """Traceparents of spans elsewhere, each of a trace of its own."""
    return [f"00-{number:032x}-{number:016x}-01" for number in range(1, count + 1)]


def test_a_span_without_a_parent_begins_a_trace_and_is_current() -> None:
    """Until it is left."""
    kept = KeptSpans()

    with kept.tracing.span("work", SpanKind.SERVER, attributes={"gridmesh.readings.count": 3}) as span:
        inside = current_traceparent()

    ended = kept.one("work")
    assert inside == span.traceparent == traceparent_of(ended)
    assert (parent_of(ended), ended.kind, dict(ended.attributes or {})) == (
        "",
        SpanKind.SERVER,
        {"gridmesh.readings.count": 3},
    )
    assert current_traceparent() == ""


def test_a_span_stands_under_its_parent_and_not_under_the_current_one() -> None:
    """What ties work together is what it carries, not who calls."""
    kept = KeptSpans()
    (parent,) = parents(1)

    with kept.tracing.span("caller", SpanKind.INTERNAL), kept.tracing.span("work", SpanKind.INTERNAL, parent):
        pass

    assert parent_of(kept.one("work")) == parent


def test_a_traceparent_that_nobody_can_read_is_as_good_as_none() -> None:
    """It begins a trace of its own, and fails nothing."""
    kept = KeptSpans()

    with kept.tracing.span("work", SpanKind.SERVER, "zz-nonsense"):
        pass

    assert parent_of(kept.one("work")) == ""


@pytest.mark.parametrize(("ratio", "flags", "count"), [(0.0, "01", 1), (1.0, "00", 0)])
def test_a_parent_decides_whether_its_children_are_sampled(ratio: float, flags: str, count: int) -> None:
    """Whatever the share of those is that begin here."""
    kept = KeptSpans(ratio)

    with kept.tracing.span("work", SpanKind.SERVER, parents(1)[0][:-2] + flags) as span:
        assert bool(span.traceparent) == bool(count)

    assert len(kept.ended()) == count


def test_the_share_of_traces_is_about_the_ratio() -> None:
    """Of a thousand at a tenth, between 80 and 120, by their ids."""
    kept = KeptSpans(0.1)

    for _ in range(1000):
        with kept.tracing.span("work", SpanKind.SERVER):
            pass

    assert 80 < len(kept.ended()) < 120


@pytest.mark.parametrize("problem", [ValueError("meter-7 of Ms Rao"), asyncio.CancelledError()])
def test_a_span_ends_as_failed_with_the_kind_of_the_failure_alone(problem: BaseException) -> None:
    """A cancelled call is one, too; texts of failures may tell of persons."""
    kept = KeptSpans()

    with pytest.raises(type(problem)), kept.tracing.span("work", SpanKind.SERVER):
        raise problem

    ended = kept.one("work")
    assert ended.status.status_code is StatusCode.ERROR
    assert dict(ended.attributes or {}) == {"error.type": type(problem).__name__}
    assert "Rao" not in ended.to_json()


def test_work_done_for_several_at_once_is_in_the_trace_of_each() -> None:
    """The first is current and points to the others' parents, they point to the first."""
    kept = KeptSpans()
    parts: list[tuple[str, Attributes]] = [
        (parent, {"gridmesh.batch.id": f"b-{place}"}) for place, parent in enumerate(parents(3))
    ]

    with kept.tracing.joint("merge", SpanKind.INTERNAL, parts) as spans:
        assert current_traceparent() == spans[0].traceparent

    first, *others = kept.ended("merge")
    assert [parent_of(span) for span in (first, *others)] == parents(3)
    assert links_of(first) == parents(3)[1:]
    assert [links_of(span) for span in others] == [[traceparent_of(first)]] * 2
    assert [dict(span.attributes or {}) for span in (first, *others)] == [attributes for _, attributes in parts]


def test_work_done_for_nobody_who_is_traced_has_no_span() -> None:
    """And none is current."""
    kept = KeptSpans()

    with kept.tracing.joint("merge", SpanKind.INTERNAL, []) as spans:
        assert (spans, current_traceparent()) == ([], "")

    assert kept.ended() == []


def test_work_done_for_very_many_shows_in_some_of_their_traces() -> None:
    """So that a fold of everything makes no flood of spans."""
    kept = KeptSpans()

    with kept.tracing.joint("merge", SpanKind.INTERNAL, [(parent, {}) for parent in parents(500)]):
        pass

    assert len(kept.ended("merge")) == JOINT_SPANS_MAXIMUM
    assert len(links_of(kept.ended("merge")[0])) == JOINT_SPANS_MAXIMUM - 1


def test_where_it_is_off_nobody_begins_a_span() -> None:
    """Callers ask first; one that does not is told."""
    assert not NO_TRACING.is_on
    with pytest.raises(RuntimeError, match="no tracer"):
        NO_TRACING.begin("work", SpanKind.SERVER)
