"""Which trace the present work belongs to, as the W3C's `traceparent`: `00-<trace id>-<span id>-<flags>`, all hex."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

TRACEPARENT = "traceparent"
"""The header of AMQP and the key of gRPC metadata."""

_SAMPLED = 1

# Source: W3C, "Trace Context", section "traceparent Header Field Values".
_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

_current: ContextVar[str] = ContextVar(TRACEPARENT, default="")


def current_traceparent() -> str:
    """That of the span which is current; empty outside of every sampled one."""
    return _current.get()


def sampled_traceparent(value: Any) -> str:
    """A value from elsewhere if it is the traceparent of a sampled span, else empty, so that no work fails by it."""
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    return value if found and int(found[3], 16) & _SAMPLED else ""


def trace_and_span_id(traceparent: str) -> tuple[str, str]:
    """The two ids in a traceparent, of 32 and 16 hex digits.

    Raises:
        ValueError: it is none.
    """
    found = _FORM.fullmatch(traceparent)
    if found is None:
        raise ValueError("no traceparent of version 00")
    return found[1], found[2]


@contextmanager
def current(traceparent: str) -> Iterator[None]:
    """Makes a span current for what is done inside, tasks begun there included."""
    token = _current.set(traceparent)
    try:
        yield
    finally:
        _current.reset(token)
