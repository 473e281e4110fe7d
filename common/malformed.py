"""Bytes that are no message: refused by name with INVALID_ARGUMENT, or left to a stream that reads bytes itself."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from common.errors import Malformed
from common.rpc_guard import CallShape, Context, GuardInterceptor, Handler, behaviour_of, handler_like


@dataclass(frozen=True, slots=True)
class _MalformedRequest:
    """Stands for a request whose bytes are no message."""


class MalformedInterceptor(GuardInterceptor):
    """Turns undecodable request bytes into the error `Malformed`, where gRPC alone answers INTERNAL.

    The request iterators of the methods in `raw_streams` (`/package.Service/Method`) yield the bytes as they came: such
    a stream can outlive a malformed frame, and read frames without making a message of each.
    """

    def __init__(self, raw_streams: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._raw_streams = raw_streams

    def guard(self, shape: CallShape, context: Context) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        """Nothing: the work is done on the requests."""
        return nullcontext()

    def rewrap(self, shape: CallShape, handler: Handler) -> Handler:
        """The handler behind a deserializer that never raises."""
        if handler.request_deserializer is None:
            return handler
        behaviour = behaviour_of(handler)
        if shape.request_streaming and shape.method in self._raw_streams:
            return handler_like(handler, behaviour, None)
        return handler_like(handler, _refusing(behaviour, shape), _tolerant(handler.request_deserializer))


def _tolerant(deserializer: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def deserialize(frame: bytes) -> Any:
        try:
            return deserializer(frame)
        except (DecodeError, ValueError):
            return _MalformedRequest()

    return deserialize


def _refusing(behaviour: Callable[[Any, Context], Any], shape: CallShape) -> Callable[[Any, Context], Any]:
    def checked(request_or_iterator: Any) -> Any:
        if shape.request_streaming:
            return _until_malformed(request_or_iterator, shape.method)
        if isinstance(request_or_iterator, _MalformedRequest):
            raise Malformed(shape.method)
        return request_or_iterator

    async def answer(request_or_iterator: Any, context: Context) -> Any:
        return await behaviour(checked(request_or_iterator), context)

    async def stream(request_or_iterator: Any, context: Context) -> AsyncIterator[Any]:
        async with aclosing(behaviour(checked(request_or_iterator), context)) as responses:
            async for response in responses:
                yield response

    return stream if inspect.isasyncgenfunction(behaviour) else answer


async def _until_malformed(frames: AsyncIterator[Any], method: str) -> AsyncIterator[Any]:
    async for frame in frames:
        if isinstance(frame, _MalformedRequest):
            raise Malformed(method)
        yield frame
