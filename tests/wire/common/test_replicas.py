"""Several replicas behind one name, and how their health is asked for from outside."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from prometheus_client import CollectorRegistry

from common import health_probe
from common.config import Port, ServiceConfig
from common.grpc_client import open_channel
from common.grpc_server import GrpcServer
from common.health import LIVENESS, Health

_SERVICE = "energy.test.v1.NameService"


class _Config(ServiceConfig):
    grpc_port: Port = 0
    metrics_port: Port = 0


def _add_name(name: str, server: grpc.aio.Server) -> None:
    async def get(_request: StringValue, _context: Any) -> StringValue:
        return StringValue(value=name)

    handler = grpc.unary_unary_rpc_method_handler(
        get, request_deserializer=StringValue.FromString, response_serializer=StringValue.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Get": handler}),))


@asynccontextmanager
async def _replica(name: str) -> AsyncIterator[tuple[GrpcServer, Health]]:
    """A server that answers with its name."""
    registry = CollectorRegistry()
    health = Health([_SERVICE], {}, registry)
    server = GrpcServer(_Config(), "name", [(_add_name, name, _SERVICE)], [], health=health, registry=registry)
    await server.start()
    await health.ready()
    try:
        yield server, health
    finally:
        await server.stop(0)


@pytest.fixture
async def replicas() -> AsyncIterator[list[GrpcServer]]:
    """Two servers that answer with their names, `first` and `second`."""
    async with AsyncExitStack() as stack:
        yield [(await stack.enter_async_context(_replica(name)))[0] for name in ("first", "second")]


@pytest.fixture
async def ask(replicas: list[GrpcServer]) -> AsyncIterator[Callable[[], Any]]:
    """Calls whoever is next behind the one name of both replicas, and gives its name."""
    async with open_channel("ipv4:" + ",".join(replica.address for replica in replicas)) as channel:
        method = channel.unary_unary(
            f"/{_SERVICE}/Get",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=StringValue.FromString,
        )

        async def call() -> str:
            answer: StringValue = await method(StringValue(), timeout=5.0)
            return answer.value

        yield call


async def _both_have_answered(ask: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        seen: set[str] = set()
        while seen != {"first", "second"}:
            seen.add(await ask())


async def test_calls_to_one_name_are_shared_by_its_replicas(ask: Callable[[], Any]) -> None:
    """Each call goes to the next replica once all are connected."""
    await _both_have_answered(ask)

    answered = Counter([await ask() for _ in range(10)])

    assert answered == {"first": 5, "second": 5}


async def test_a_replica_that_goes_away_costs_no_call(replicas: list[GrpcServer], ask: Callable[[], Any]) -> None:
    """Its calls go to those that are left."""
    await _both_have_answered(ask)

    await replicas[0].stop(0)
    answered = {await ask() for _ in range(10)}

    assert answered == {"second"}


async def test_a_health_probe_succeeds_only_while_the_service_serves() -> None:
    """The name `liveness` is green even so, and whoever does not listen is red."""
    async with _replica("first") as (server, health):
        serving = await asyncio.to_thread(health_probe.main, [server.address])
        await health.drain()
        draining = await asyncio.to_thread(health_probe.main, [server.address])
        alive = await asyncio.to_thread(health_probe.main, [server.address, LIVENESS])

    gone = await asyncio.to_thread(health_probe.main, [server.address])
    assert (serving, draining, alive, gone) == (0, 1, 0, 1)
