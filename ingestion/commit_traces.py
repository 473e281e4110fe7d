"""The spans of a group commit: one for each traced Part until it is durable, and one for the batch it travels in."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.trace import SpanKind

from common.topology import READINGS_EXCHANGE, routing_key
from common.tracing import Attributes, TraceSpan, Tracing
from ingestion.outcome import FailureReason, Waiter

_INGEST = "energy.ingestion.v1.IngestionService/IngestReadings"


class TracedPart:
    """Stands before the waiter of one Part: the span ends with what the waiter is told."""

    def __init__(self, waiter: Waiter, span: TraceSpan) -> None:
        self._waiter = waiter
        self.span = span

    def part_durable(self) -> None:
        """Ends the span, and passes it on."""
        self.span.end()
        self._waiter.part_durable()

    def part_failed(self, reason: FailureReason) -> None:
        """Ends the span as failed, and passes it on."""
        self.span.failed(reason)
        self.span.end()
        self._waiter.part_failed(reason)


class CommitTraces:
    """Begins the spans of the Parts and batches of one partition."""

    def __init__(self, tracing: Tracing, partition: int) -> None:
        self._tracing = tracing
        self.is_on = tracing.is_on
        self._partition = partition

    def part(self, waiter: Waiter, traceparent: str, size_bytes: int) -> Waiter:
        """The waiter of a Part, with a span under the one that the gateway has for its frame."""
        attributes: Attributes = {
            "rpc.system.name": "grpc",
            "rpc.method": _INGEST,
            "messaging.destination.partition.id": str(self._partition),
            "gridmesh.part.size": size_bytes,
        }
        return TracedPart(waiter, self._tracing.begin(_INGEST, SpanKind.SERVER, traceparent, attributes))

    def batch(self, waiters: Iterable[Waiter]) -> TraceSpan | None:
        """The span of a batch under that of its first traced Part, tied to those of the others; None if there is none.

        The others point to it, too, for the rest of the way is in the trace of the first.
        """
        spans = [waiter.span for waiter in waiters if isinstance(waiter, TracedPart)]
        if not spans:
            return None
        first, *others = spans
        key = routing_key(self._partition)
        attributes = {
            "messaging.system": "rabbitmq",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.name": f"{READINGS_EXCHANGE}:{key}",
            "messaging.destination.partition.id": str(self._partition),
            "messaging.rabbitmq.destination.routing_key": key,
        }
        links = [other.traceparent for other in others]
        batch = self._tracing.begin(
            f"publish {READINGS_EXCHANGE}", SpanKind.PRODUCER, first.traceparent, attributes, links=links
        )
        for other in others:
            other.link(batch.traceparent)
        return batch
