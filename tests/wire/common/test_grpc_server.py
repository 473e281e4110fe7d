"""The door of a service: health, reflection, limits, and a port that is its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import CollectorRegistry

from common.config import Port, ServiceConfig
from common.grpc_client import open_channel
from common.grpc_server import GrpcServer
from common.health import Check, Health
from common.ports import PortTaken

_SERVICE = "energy.test.v1.EchoService"
_GET = f"/{_SERVICE}/Get"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class _Config(ServiceConfig):
    grpc_port: Port = 0
    metrics_port: Port = 0


class _Echo:
    """A service whose one method answers what it gets, once the gate is open."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, request: StringValue, _context: Any) -> StringValue:
        """Waits for the gate."""
        self.entered.set()
        await self.gate.wait()
        return request


def _add_echo(servicer: _Echo, server: grpc.aio.Server) -> None:
    handler = grpc.unary_unary_rpc_method_handler(
        servicer.get, request_deserializer=StringValue.FromString, response_serializer=StringValue.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Get": handler}),))


def _server(echo: _Echo, health: Health, port: int = 0) -> GrpcServer:
    config = _Config(grpc_port=port)
    registry = CollectorRegistry()
    return GrpcServer(config, "echo", [(_add_echo, echo, _SERVICE)], [], health=health, registry=registry)


def _health(checks: dict[str, Check] | None = None) -> Health:
    return Health([_SERVICE], checks or {}, CollectorRegistry())


@pytest.fixture
def echo() -> _Echo:
    """The servicer."""
    return _Echo()


@pytest.fixture
def health() -> Health:
    """Health without any dependency."""
    return _health()


@pytest.fixture
async def server(echo: _Echo, health: Health) -> AsyncIterator[GrpcServer]:
    """The running server."""
    running = _server(echo, health)
    await running.start()
    try:
        yield running
    finally:
        await running.stop(0)


@pytest.fixture
async def channel(server: GrpcServer) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the server, made as services make theirs."""
    async with open_channel(server.address) as opened:
        yield opened


def _get(channel: grpc.aio.Channel) -> Any:
    return channel.unary_unary(
        _GET, request_serializer=StringValue.SerializeToString, response_deserializer=StringValue.FromString
    )


async def _statuses(channel: grpc.aio.Channel) -> dict[str, int]:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answers = {
        name: await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        for name in ("", _SERVICE, "liveness")
    }
    return {name: answer.status for name, answer in answers.items()}


async def test_a_call_is_answered(channel: grpc.aio.Channel) -> None:
    """Through a channel and a server as the services have them."""
    answer = await _get(channel)(StringValue(value="hello"), timeout=5)

    assert answer.value == "hello"


async def test_health_is_red_until_ready_and_red_again_when_draining(channel: grpc.aio.Channel, health: Health) -> None:
    """The whole server and its service; liveness follows only the process."""
    before = await _statuses(channel)
    await health.ready()
    during = await _statuses(channel)
    await health.drain()
    await health.ready()
    after = await _statuses(channel)

    assert before == {"": _NOT_SERVING, _SERVICE: _NOT_SERVING, "liveness": _SERVING}
    assert during == {"": _SERVING, _SERVICE: _SERVING, "liveness": _SERVING}
    assert after == before


async def test_reflection_lists_the_services(channel: grpc.aio.Channel) -> None:
    """So that grpcurl needs no files."""
    any_channel: Any = channel
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(any_channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    answers = [answer async for answer in stub.ServerReflectionInfo(iter([request]), timeout=5)]

    names = {service.name for service in answers[0].list_services_response.service}
    assert {_SERVICE, "grpc.health.v1.Health"} <= names


async def test_a_message_over_the_limit_is_refused(channel: grpc.aio.Channel) -> None:
    """One mebibyte is the most a request may have."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await _get(channel)(StringValue(value="x" * (1 << 20)), timeout=5)

    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_taken_port_says_in_one_line_what_to_do(health: Health, echo: _Echo) -> None:
    """It names the port and the settings that move it; gRPC alone would share it silently."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(PortTaken) as refused:
            await _server(echo, health, port).start()

    assert str(refused.value) == f"port {port} is taken; stop what uses it or set GRPC_PORT / GRIDMESH_INSTANCE"


async def test_two_servers_never_share_a_port(server: GrpcServer) -> None:
    """A second start on the first one's port fails, where it would take half of the calls."""
    with pytest.raises(PortTaken):
        await _server(_Echo(), _health(), server.port).start()


async def test_stop_lets_a_running_call_finish(server: GrpcServer, channel: grpc.aio.Channel, echo: _Echo) -> None:
    """New calls are refused, the one that runs gets its answer."""
    echo.gate.clear()

    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(_wait_for(_get(channel)(StringValue(value="slow"), timeout=5)))
        await echo.entered.wait()
        stopping = tasks.create_task(server.stop(5))
        echo.gate.set()

    assert stopping.done()
    assert call.result().value == "slow"


async def _wait_for(call: Any) -> StringValue:
    answer: StringValue = await call
    return answer


async def test_a_call_that_waits_for_a_server_is_answered_when_it_comes_back(health: Health, echo: _Echo) -> None:
    """The channel connects again by itself."""
    first = _server(echo, health)
    await first.start()
    async with open_channel(first.address) as channel:
        await _get(channel)(StringValue(value="first"), timeout=5)
        await first.stop(0)
        second = _server(echo, _health(), first.port)

        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(
                _wait_for(_get(channel)(StringValue(value="again"), timeout=5, wait_for_ready=True))
            )
            tasks.create_task(second.start())
        await second.stop(0)

    assert call.result().value == "again"


async def test_a_call_to_nobody_fails_soon_and_with_unavailable() -> None:
    """Retries are bounded: the channel gives up long before the deadline."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        async with open_channel(address) as channel, asyncio.timeout(10):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await _get(channel)(StringValue(), timeout=30)

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
