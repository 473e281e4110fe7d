"""What stands around every call of every service: errors as statuses, malformed bytes, counts and times, deadlines."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import Any, Protocol

import grpc
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry, Counter, Histogram

from common.call_deadline import answer_within
from common.call_policy import UNARY_DEADLINE_SECONDS
from common.errors import Internal, MeshError, to_status
from common.failure_translation import known_failure, retry_after_ms
from common.malformed import MalformedInterceptor
from common.rpc_guard import CallShape, Context, GuardInterceptor

__all__ = [
    "DeadlineInterceptor",
    "ErrorInterceptor",
    "MalformedInterceptor",
    "MetricsInterceptor",
    "standard_interceptors",
]

_PUSHBACK_KEY = "grpc-retry-pushback-ms"
_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ErrorLogger(Protocol):
    """What the interceptor needs of a logger."""

    def error(self, event: str, /, *arguments: Any, **fields: Any) -> Any:
        """Writes one record."""


def standard_interceptors(
    domain: str,
    logger: ErrorLogger,
    registry: CollectorRegistry,
    raw_streams: frozenset[str] = frozenset(),
) -> list[grpc.aio.ServerInterceptor]:
    """The interceptors of a service, outermost first; `domain` is `<service>.energy`.

    The outer ones see what the inner ones make of a call, so the order matters: count, translate, then the rest.
    """
    return [
        MetricsInterceptor(registry),
        ErrorInterceptor(domain, logger),
        MalformedInterceptor(raw_streams),
        DeadlineInterceptor(),
    ]


class ErrorInterceptor(GuardInterceptor):
    """Ends a failed call with a `google.rpc.Status`; nothing of an unexpected exception reaches the caller."""

    def __init__(self, domain: str, logger: ErrorLogger) -> None:
        super().__init__()
        self._domain = domain
        self._logger = logger

    def guard(self, shape: CallShape, context: Context) -> AbstractAsyncContextManager[None]:
        """Aborts the call if its handler raises."""
        return _ErrorGuard(self, shape, context)

    def status(self, failure: BaseException, method: str) -> Status:
        """The status of a failure; an unknown one is logged under the id that the status carries."""
        known = known_failure(failure)
        if isinstance(known, Status):
            return known
        if isinstance(known, MeshError):
            return to_status(known, self._domain)
        error_id = uuid.uuid4().hex
        self._logger.error("rpc_failed", method=method, error_id=error_id, exc_info=failure)
        return to_status(Internal(error_id), self._domain)


class _ErrorGuard(AbstractAsyncContextManager[None]):
    __slots__ = ("_context", "_interceptor", "_shape")

    def __init__(self, interceptor: ErrorInterceptor, shape: CallShape, context: Context) -> None:
        self._interceptor = interceptor
        self._shape = shape
        self._context = context

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, exc_type: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Cancellation is no Exception and goes on; an abort of the handler's own is final already.
        if not isinstance(failure, Exception) or isinstance(failure, grpc.aio.AbortError):
            return
        status = self._interceptor.status(failure, self._shape.method)
        rich = rpc_status.to_status(status)
        trailers: list[tuple[str, str | bytes]] = list(rich.trailing_metadata)
        pushback_ms = retry_after_ms(status)
        if pushback_ms is not None:
            trailers.append((_PUSHBACK_KEY, str(pushback_ms)))
        await self._context.abort(rich.code, rich.details, tuple(trailers))


class MetricsInterceptor(GuardInterceptor):
    """Counts calls by method and status code, and times them by method (streams: their whole life)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._handled = Counter(
            "grpc_server_handled", "Calls that ended, by status code.", ["method", "code"], registry=registry
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "Seconds from the start of a call to its end.",
            ["method"],
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        self._counters: dict[tuple[str, str], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def guard(self, shape: CallShape, context: Context) -> AbstractAsyncContextManager[None]:
        """Measures one call."""
        return _MetricsGuard(self, shape, context)

    def record(self, method: str, code: str, seconds: float) -> None:
        """Adds one call; children are cached, for looking one up costs more than counting."""
        counter = self._counters.get((method, code))
        if counter is None:
            counter = self._counters[method, code] = self._handled.labels(method, code)
        timer = self._timers.get(method)
        if timer is None:
            timer = self._timers[method] = self._seconds.labels(method)
        counter.inc()
        timer.observe(seconds)


class _MetricsGuard(AbstractAsyncContextManager[None]):
    __slots__ = ("_context", "_interceptor", "_shape", "_started")

    def __init__(self, interceptor: MetricsInterceptor, shape: CallShape, context: Context) -> None:
        self._interceptor = interceptor
        self._shape = shape
        self._context = context
        self._started = time.perf_counter()

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, exc_type: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = _code_name(self._context, failure)
        self._interceptor.record(self._shape.method, code, time.perf_counter() - self._started)


def _code_name(context: Context, failure: BaseException | None) -> str:
    if failure is not None and not isinstance(failure, Exception):
        return grpc.StatusCode.CANCELLED.name
    code: Any = context.code()
    if isinstance(code, int):
        code = _CODES.get(code)
    if code is None or code is grpc.StatusCode.OK:
        return (grpc.StatusCode.OK if failure is None else grpc.StatusCode.UNKNOWN).name
    return str(code.name)


_CODES = {code.value[0]: code for code in grpc.StatusCode}


class DeadlineInterceptor(GuardInterceptor):
    """Gives a unary call without a deadline of the caller's a cap of 30 seconds, and tells the rest of what is left."""

    def guard(self, shape: CallShape, context: Context) -> AbstractAsyncContextManager[Any]:
        """A time limit, where the caller set none."""
        left_seconds = context.time_remaining()
        is_unary = not shape.request_streaming and not shape.response_streaming
        if left_seconds is not None or not is_unary:
            answer_within(left_seconds)
            return nullcontext()
        answer_within(UNARY_DEADLINE_SECONDS)
        return asyncio.timeout(UNARY_DEADLINE_SECONDS)
