"""Tracing as a service has it, but the spans stay here."""

from __future__ import annotations

import random
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanContext

from common.tracing import Tracing


class KeptSpans:
    """Every span that `tracing` begins and ends."""

    def __init__(self, ratio: float = 1.0) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(ratio), id_generator=_SeededIds(), shutdown_on_exit=False
        )
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Tracing(provider.get_tracer("test"))

    def ended(self, name: str | None = None) -> Sequence[ReadableSpan]:
        """Those that have ended, in that order; of one name, or all."""
        return [span for span in self._exporter.get_finished_spans() if name in {None, span.name}]

    def one(self, name: str) -> ReadableSpan:
        """The only one of a name."""
        (span,) = self.ended(name)
        return span


class _SeededIds(IdGenerator):
    """The same ids in every run, for by them the sampler decides."""

    def __init__(self) -> None:
        self._random = random.Random(7)

    def generate_span_id(self) -> int:
        return self._random.getrandbits(64)

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128)


def traceparent_of(span: ReadableSpan) -> str:
    """What children of a sampled span carry."""
    return _traceparent(span.get_span_context())


def parent_of(span: ReadableSpan) -> str:
    """The traceparent of a span's parent, empty at the root."""
    return "" if span.parent is None else _traceparent(span.parent)


def links_of(span: ReadableSpan) -> list[str]:
    """The traceparents that a span points to."""
    return [_traceparent(link.context) for link in span.links]


def _traceparent(context: SpanContext | None) -> str:
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
