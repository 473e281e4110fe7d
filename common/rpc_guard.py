"""Something that stands around every call: written once as a context manager, fitted here to the four call shapes."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

# Generic only in their stubs, so the arguments stay in a string.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


@dataclass(frozen=True, slots=True)
class CallShape:
    """Which method is called (`/package.Service/Method`) and which sides of it stream."""

    method: str
    request_streaming: bool
    response_streaming: bool


class GuardInterceptor(grpc.aio.ServerInterceptor):
    """A server interceptor that enters `guard(...)` before a handler starts and leaves it when the handler ends.

    Handlers with a response stream must be async generators or coroutines that write to the context.
    """

    def __init__(self) -> None:
        # A method's handler is the same object in every call, so that it is wrapped once.
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}

    @abstractmethod
    def guard(self, shape: CallShape, context: Context) -> AbstractAsyncContextManager[Any]:
        """What stands around one call."""

    def rewrap(self, shape: CallShape, handler: Handler) -> Handler:
        """The handler with the guard around it."""
        return _guarded(handler, shape, self.guard)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Looks up the wrapped handler of the method called."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = str(handler_call_details.method)
        known = self._wrapped.get(method)
        if known is not None and known[0] is handler:
            return known[1]
        shape = CallShape(method, bool(handler.request_streaming), bool(handler.response_streaming))
        wrapped = self.rewrap(shape, handler)
        self._wrapped[method] = (handler, wrapped)
        return wrapped


_Guard = Callable[[CallShape, Context], AbstractAsyncContextManager[Any]]


def behaviour_of(handler: Handler) -> Callable[[Any, Context], Any]:
    """The function that serves a method, whichever of the four shapes it has."""
    behaviours: tuple[Any, ...] = (
        handler.unary_unary,
        handler.unary_stream,
        handler.stream_unary,
        handler.stream_stream,
    )
    return next(behaviour for behaviour in behaviours if behaviour)  # type: ignore[no-any-return]


def handler_like(
    handler: Handler,
    behaviour: Callable[[Any, Context], Any],
    deserializer: Callable[[bytes], Any] | None,
) -> Handler:
    """A handler of the same shape with another behaviour and another request deserializer."""
    makers: dict[tuple[bool, bool], Callable[..., Handler]] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    maker = makers[bool(handler.request_streaming), bool(handler.response_streaming)]
    return maker(behaviour, request_deserializer=deserializer, response_serializer=handler.response_serializer)


def _guarded(handler: Handler, shape: CallShape, guard: _Guard) -> Handler:
    behaviour = behaviour_of(handler)

    async def answer(request_or_iterator: Any, context: Context) -> Any:
        async with guard(shape, context):
            return await behaviour(request_or_iterator, context)

    async def stream(request_or_iterator: Any, context: Context) -> AsyncIterator[Any]:
        async with guard(shape, context), aclosing(behaviour(request_or_iterator, context)) as responses:
            async for response in responses:
                yield response

    chosen = stream if inspect.isasyncgenfunction(behaviour) else answer
    return handler_like(handler, chosen, handler.request_deserializer)
