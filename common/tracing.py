"""Spans of OpenTelemetry around the work of a process; without an exporter there are none, and all this costs a check.

Parents are given, never guessed: what belongs together here is tied by Parts, messages and documents, not by calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, Span, SpanContext, SpanKind, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.status import Status, StatusCode

from common.trace_context import TRACEPARENT, current

Attributes = Mapping[str, str | int | bool]
"""Names by OpenTelemetry's semantic conventions, or `gridmesh.`; never an id of a device, an account or a person."""

JOINT_SPANS_MAXIMUM = 64
"""Work that was done for more traces at once shows in so many of them; also the most links that one span gets."""

_PROPAGATOR = TraceContextTextMapPropagator()
_NOTHING = Context()


class TraceSpan:
    """A span that runs until `end`; of a trace that is not sampled it takes nothing down."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span) -> None:
        self._span = span
        self.traceparent = _traceparent_of(span.get_span_context())
        """What its children carry as their parent's; empty if the trace is not sampled."""

    def set(self, attributes: Attributes) -> None:
        """Adds attributes."""
        self._span.set_attributes(attributes)

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Notes that something happened now."""
        self._span.add_event(name, attributes)

    def link(self, traceparent: str) -> None:
        """Points to a span, of another trace as a rule."""
        self._span.add_link(_span_context(traceparent))

    def failed(self, kind: str) -> None:
        """Marks it as failed; only the kind of a failure is told, for texts of failures may tell of persons."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """Ends it now."""
        self._span.end()


class Tracing:
    """Begins the spans of a process.

    `is_on` is asked before anything else is done for a trace, at most once a frame, request or delivery.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer
        self.is_on = tracer is not None

    def begin(
        self,
        name: str,
        kind: SpanKind,
        parent: str = "",
        attributes: Attributes | None = None,
        *,
        links: Sequence[str] = (),
    ) -> TraceSpan:
        """A span under a parent's traceparent, or a new trace where there is none, which is sampled or is not.

        Raises:
            RuntimeError: it is not on.
        """
        if self._tracer is None:
            raise RuntimeError("there is no tracer")
        span = self._tracer.start_span(
            name,
            context=_context(parent),
            kind=kind,
            attributes=attributes,
            links=[Link(_span_context(link)) for link in links[:JOINT_SPANS_MAXIMUM]],
            record_exception=False,
        )
        return TraceSpan(span)

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, parent: str = "", attributes: Attributes | None = None
    ) -> Iterator[TraceSpan]:
        """A span around what is done inside, where it is the current one."""
        span = self.begin(name, kind, parent, attributes)
        with lasting([span]):
            yield span

    @contextmanager
    def joint(self, name: str, kind: SpanKind, parts: Sequence[tuple[str, Attributes]]) -> Iterator[list[TraceSpan]]:
        """Spans around work that is done at once for several parents, in the trace of each; none for none.

        The first has links to the parents of the others and is current, the others have a link to the first.
        """
        if not parts:
            yield []
            return
        (parent, attributes), *others = parts[:JOINT_SPANS_MAXIMUM]
        first = self.begin(name, kind, parent, attributes, links=[other for other, _ in others])
        spans = [first]
        spans += [self.begin(name, kind, *other, links=[first.traceparent]) for other in others]
        with lasting(spans):
            yield spans


NO_TRACING = Tracing()
"""What a process has that exports no traces."""


@contextmanager
def lasting(spans: Sequence[TraceSpan]) -> Iterator[None]:
    """Ends spans, of which the first is current meanwhile, after what is done inside; as failed if that failed."""
    failure = ""
    try:
        with current(spans[0].traceparent):
            yield
    except BaseException as problem:
        # A call that was cancelled raises no Exception.
        failure = type(problem).__name__
        raise
    finally:
        for span in spans:
            if failure:
                span.failed(failure)
            span.end()


def _context(traceparent: str) -> Context:
    # Beside nothing that may be current otherwise.
    return _PROPAGATOR.extract({TRACEPARENT: traceparent}, _NOTHING) if traceparent else _NOTHING


def _span_context(traceparent: str) -> SpanContext:
    return get_current_span(_context(traceparent)).get_span_context() if traceparent else INVALID_SPAN_CONTEXT


def _traceparent_of(context: SpanContext) -> str:
    if not context.trace_flags.sampled:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
