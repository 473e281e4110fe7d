"""What a service says about its work: one JSON object a line on stderr, its own records and its libraries' alike."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

# These say at ERROR what the broker connection says itself, once, when the state changes.
_CHATTY_LIBRARIES = {"aiormq": logging.CRITICAL, "asyncio": logging.WARNING, "pymongo": logging.WARNING}


def configure(service: str, level: str) -> None:
    """Sends every record of this process to stderr with the keys `time`, `level`, `service`, `event` and its fields.

    `level` is debug, info, warning or error. Only a process's entry point calls this.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _Stamp(service),
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
