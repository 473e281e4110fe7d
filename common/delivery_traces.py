"""The spans of deliveries: under the one that published each, however many are taken at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType

from opentelemetry.trace import SpanKind

from common.broker_consumer import Delivery
from common.topology import READINGS_EXCHANGE
from common.trace_context import TRACEPARENT, sampled_traceparent
from common.tracing import Attributes, TraceSpan, Tracing

Spans = Mapping[str, TraceSpan]
"""The spans of traced deliveries, by the ids of their messages, which are those of their batches."""

NO_SPANS: Spans = MappingProxyType({})


class DeliveryTraces:
    """Begins the spans of what comes from the queue of one partition."""

    def __init__(self, tracing: Tracing, queue: str, partition: int) -> None:
        self._tracing = tracing
        self._queue = queue
        self._partition = partition

    def processing(self, deliveries: Sequence[Delivery]) -> AbstractContextManager[Spans]:
        """Spans around the processing of some deliveries: of those that are traced, which as a rule none is."""
        return self._processing(deliveries) if self._tracing.is_on else nullcontext(NO_SPANS)

    def step(
        self, name: str, kind: SpanKind, spans: Spans, attributes: Attributes | None = None
    ) -> AbstractContextManager[list[TraceSpan]]:
        """Spans around a step that is done for all of them at once, each under that of its delivery."""
        return self._tracing.joint(name, kind, [(span.traceparent, attributes or {}) for span in spans.values()])

    @contextmanager
    def _processing(self, deliveries: Sequence[Delivery]) -> Iterator[Spans]:
        traced = {}
        for delivery in deliveries:
            traceparent = sampled_traceparent(delivery.headers.get(TRACEPARENT))
            if traceparent:
                traced[delivery.message_id] = (traceparent, self._attributes(delivery))
        with self._tracing.joint(f"process {self._queue_name}", SpanKind.CONSUMER, list(traced.values())) as spans:
            yield dict(zip(traced, spans, strict=False))

    @property
    def _queue_name(self) -> str:
        # Without the partition, for a name of a span is to be one of few.
        return self._queue.removesuffix(f".{self._partition}")

    def _attributes(self, delivery: Delivery) -> Attributes:
        return {
            "messaging.system": "rabbitmq",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": f"{READINGS_EXCHANGE}:{delivery.routing_key}:{self._queue}",
            "messaging.destination.partition.id": str(self._partition),
            "messaging.rabbitmq.destination.routing_key": delivery.routing_key,
            "messaging.message.id": delivery.message_id,
            "messaging.message.body.size": len(delivery.body),
            "gridmesh.delivery.redelivered": delivery.redelivered,
        }
