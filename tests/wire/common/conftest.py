"""A real gRPC server on loopback with a service of the four call shapes, each scripted by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from prometheus_client import CollectorRegistry

from common.interceptors import standard_interceptors

SERVICE = "energy.test.v1.EchoService"
RAW = f"/{SERVICE}/RawChat"
Frame = StringValue | bytes


@dataclass
class Recorder:
    """A logger that keeps its records."""

    records: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def error(self, event: str, /, **fields: Any) -> None:
        """Keeps a record."""
        self.records.append((event, fields))


@dataclass
class Echo:
    """A running service whose methods do what `act` does with each request, and its client side."""

    channel: grpc.aio.Channel
    act: Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[StringValue]]
    recorder: Recorder
    registry: CollectorRegistry
    cancelled: asyncio.Event

    async def call(self, shape: str, *frames: Frame, timeout: float | None = 5.0) -> list[str]:  # noqa: ASYNC109
        """Calls one of the methods with frames (messages, or raw bytes) and returns the values of the answer."""
        path = f"/{SERVICE}/{shape}"
        answers: list[StringValue] = []
        match shape:
            case "Get":
                answers.append(await self._method("unary_unary", path)(frames[0], timeout=timeout))
            case "Watch":
                answers.extend(
                    [answer async for answer in self._method("unary_stream", path)(frames[0], timeout=timeout)]
                )
            case "Upload":
                answers.append(await self._method("stream_unary", path)(iter(frames), timeout=timeout))
            case _:
                call = self._method("stream_stream", path)(iter(frames), timeout=timeout)
                answers.extend([answer async for answer in call])
        return [answer.value for answer in answers]

    def _method(self, kind: str, path: str) -> Any:
        return getattr(self.channel, kind)(path, request_serializer=_raw, response_deserializer=StringValue.FromString)


def _raw(frame: Frame) -> bytes:
    return frame if isinstance(frame, bytes) else frame.SerializeToString()


def _handlers(echo: Echo) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    async def get(request: Any, context: Any) -> StringValue:
        try:
            return await echo.act(request, context)
        except asyncio.CancelledError:
            echo.cancelled.set()
            raise

    async def watch(request: Any, context: Any) -> AsyncIterator[StringValue]:
        yield StringValue(value="first")
        yield await echo.act(request, context)

    async def upload(requests: AsyncIterator[Any], context: Any) -> StringValue:
        values = [(await echo.act(request, context)).value async for request in requests]
        return StringValue(value=",".join(values))

    async def chat(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[StringValue]:
        async for request in requests:
            yield await echo.act(request, context)

    types: dict[str, Any] = {
        "request_deserializer": StringValue.FromString,
        "response_serializer": StringValue.SerializeToString,
    }
    return {
        "Get": grpc.unary_unary_rpc_method_handler(get, **types),
        "Watch": grpc.unary_stream_rpc_method_handler(watch, **types),
        "Upload": grpc.stream_unary_rpc_method_handler(upload, **types),
        "Chat": grpc.stream_stream_rpc_method_handler(chat, **types),
        "RawChat": grpc.stream_stream_rpc_method_handler(chat, **types),
    }


async def _say(request: Any, _context: Any) -> StringValue:
    return StringValue(value=request.value if isinstance(request, StringValue) else repr(request))


@asynccontextmanager
async def _running() -> AsyncIterator[Echo]:
    registry, recorder = CollectorRegistry(), Recorder()
    interceptors = standard_interceptors("echo.energy", recorder, registry, frozenset({RAW}))
    server = grpc.aio.server(interceptors=interceptors, options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_retries", 0)]) as channel:
        echo = Echo(channel, _say, recorder, registry, asyncio.Event())
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, _handlers(echo)),))
        await server.start()
        try:
            yield echo
        finally:
            await server.stop(0)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    """The service, with the standard interceptors around it."""
    async with _running() as running:
        yield running
