"""How spans leave the process: gathered, sent by a thread of their own, and given up where nobody takes them."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter

from common.config import ServiceConfig
from common.lifecycle import Lifecycle
from common.logs import get_logger
from common.tracing import NO_TRACING, Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

EXPORT_TIMEOUT_SECONDS = 5.0
"""How long one export is tried; spans that come meanwhile wait, as many as there is room for."""

CLOSE_LIMIT_SECONDS = 2.0
"""How long the last spans may take when the process ends."""

_WAITING_MAXIMUM = 2048
_EXPORT_EVERY_MS = 1_000

_log = get_logger(__name__)


def open_tracing(config: ServiceConfig, service: str, registry: CollectorRegistry, lifecycle: Lifecycle) -> Tracing:
    """The spans of a service; off, and nothing is opened, unless OTEL_EXPORTER_OTLP_ENDPOINT names a collector.

    Open it before whatever makes spans, so that it is closed after.
    """
    if not config.otel_exporter_otlp_endpoint:
        return NO_TRACING
    provider = _provider(config, service, registry)
    lifecycle.on_close("traces", lambda: _close(provider))
    return Tracing(provider.get_tracer("gridmesh"))


def _provider(config: ServiceConfig, service: str, registry: CollectorRegistry) -> TracerProvider:
    # Imported here, for a process that exports nothing would pay a dozen MB and a tenth of a second for them.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    class _ToldOnce(SpanExporter):
        """Counts what was exported, and says that it fails when it begins to and when it ends to."""

        def __init__(self, exporter: SpanExporter) -> None:
            self._exporter = exporter
            self._is_failing = False
            spans = Counter("trace_spans", "Spans, by what became of their export.", ["outcome"], registry=registry)
            self._exported, self._lost = spans.labels("exported"), spans.labels("lost")

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            result = self._exporter.export(spans)
            is_failing = result is not SpanExportResult.SUCCESS
            (self._lost if is_failing else self._exported).inc(len(spans))
            if is_failing and not self._is_failing:
                _log.warning("trace_export_failing")
            elif self._is_failing and not is_failing:
                _log.info("trace_export_resumed")
            self._is_failing = is_failing
            return result

        def shutdown(self) -> None:
            self._exporter.shutdown()

    exporter = OTLPSpanExporter(
        endpoint=f"{config.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT_SECONDS
    )
    resource = {
        "service.name": service,
        "service.namespace": "gridmesh",
        "service.instance.id": str(uuid.uuid4()),
    }
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(config.otel_traces_sampler_arg),
        resource=Resource.create(resource),
        shutdown_on_exit=False,
    )
    processor = BatchSpanProcessor(
        _ToldOnce(exporter), max_queue_size=_WAITING_MAXIMUM, schedule_delay_millis=_EXPORT_EVERY_MS
    )
    provider.add_span_processor(processor)
    return provider


async def _close(provider: TracerProvider) -> None:
    """Sends what waits, and gives up after a moment: a collector that hangs holds up nobody's end."""
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def close() -> None:
        provider.shutdown()
        # The loop is gone if this took longer than the process had.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(closed.set)

    # A daemon, for the loop's own threads are waited for when the process ends.
    threading.Thread(target=close, name="trace_export_close", daemon=True).start()
    try:
        async with asyncio.timeout(CLOSE_LIMIT_SECONDS):
            await closed.wait()
    except TimeoutError:
        _log.warning("trace_export_cut_short", limit_seconds=CLOSE_LIMIT_SECONDS)
