"""A collector of the tests' own: takes OTLP over HTTP as OpenTelemetry's does, and keeps every span."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

_PATH = "/v1/traces"


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it was exported; ids in hex, `parent_id` empty at the root, `links` as (trace id, span id)."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, str | int | bool]
    start_ns: int
    end_ns: int
    is_failed: bool


class TraceCollector:
    """Listens on a free port of this machine until `close`; while it hangs it takes requests and answers none."""

    def __init__(self) -> None:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            """One request of an exporter."""

            def do_POST(self) -> None:
                """Takes spans."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests_count += 1
                collector.answering.wait()
                is_known = self.path == _PATH and self.headers["Content-Type"] == "application/x-protobuf"
                if is_known:
                    collector.spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
                self.send_response(200 if is_known else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Says nothing."""

        self.spans: list[CollectedSpan] = []
        self.requests_count = 0
        self.answering = threading.Event()
        self.answering.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A request that hangs must not hold up the end of the test.
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def traces(self) -> dict[str, list[CollectedSpan]]:
        """What has come so far by trace, in the order of the starts."""
        found: dict[str, list[CollectedSpan]] = {}
        for span in sorted(self.spans, key=lambda span: span.start_ns):
            found.setdefault(span.trace_id, []).append(span)
        return found

    def close(self) -> None:
        """Listens no more."""
        self.answering.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def collecting() -> Iterator[TraceCollector]:
    """A collector, closed at the end."""
    collector = TraceCollector()
    try:
        yield collector
    finally:
        collector.close()


def _spans(request: ExportTraceServiceRequest) -> Iterator[CollectedSpan]:
    for of_resource in request.resource_spans:
        resource = {one.key: one.value.string_value for one in of_resource.resource.attributes}
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _collected(resource["service.name"], span)


def _collected(service: str, span: SpanMessage) -> CollectedSpan:
    return CollectedSpan(
        service=service,
        name=span.name,
        kind=SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes={one.key: getattr(one.value, one.value.WhichOneof("value") or "") for one in span.attributes},
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        is_failed=span.status.code == span.status.STATUS_CODE_ERROR,
    )
