"""What a service says about its work: one JSON object a line on stderr, its own records and its libraries' alike."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from common.trace_context import current_traceparent, trace_and_span_id

# Some say at ERROR what the broker connection, or the export of traces, says itself, once, when the state changes.
_CHATTY_LIBRARIES = {
    "aiormq": logging.CRITICAL,
    "asyncio": logging.WARNING,
    "opentelemetry": logging.CRITICAL,
    "pymongo": logging.WARNING,
    "urllib3": logging.CRITICAL,
}


def configure(service: str, level: str) -> None:
    """Sends every record of this process to stderr with the keys `time`, `level`, `service`, `event` and its fields.

    What is said while a sampled span is current has its `trace_id` and `span_id`, too. `level` is debug, info, warning
    or error. Only a process's entry point calls this.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _Stamp(service),
        _add_trace_ids,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(sort_keys=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, quietest in _CHATTY_LIBRARIES.items():
        logging.getLogger(name).setLevel(quietest)


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger for the module `name`; events are constant names, what varies goes into fields."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


class _Stamp:
    """Puts the keys that every record has in front of its fields."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        level, name = event.pop("level"), event.pop("event")
        return {"time": now, "level": level, "service": self._service, "event": name, **event}


def _add_trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    traceparent = current_traceparent()
    if traceparent:
        event["trace_id"], event["span_id"] = trace_and_span_id(traceparent)
    return event
