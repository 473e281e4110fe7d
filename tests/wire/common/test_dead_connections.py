"""A connection between services that dies without a word is noticed, and the next call takes another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from common.grpc_client import channel_options, open_channel
from common.grpc_server import server_options
from common.health import Health
from common.metrics import create_registry
from tests.faults.wire import Wire

NOTICED_SECONDS = 10


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A wire to a server that answers health checks and watches."""
    health = Health([], {}, create_registry())
    server = grpc.aio.server(options=server_options(1 << 20))
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await health.open()
    await server.start()
    opened = Wire("127.0.0.1", port)
    await opened.open()
    yield opened
    await opened.close()
    await server.stop(None)


async def test_a_stream_on_a_dead_connection_ends_and_the_next_one_works(wire: Wire) -> None:
    """Within ten seconds, although the stream itself would wait for ever."""
    async with open_channel(f"127.0.0.1:{wire.port}") as channel:
        # The typed stubs leave out the methods, which grpc adds when the object is made.
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watching = stub.Watch(health_pb2.HealthCheckRequest())
        await watching.read()

        wire.swallow()
        await wire.heal()
        async with asyncio.timeout(NOTICED_SECONDS):
            with pytest.raises(grpc.aio.AioRpcError) as lost:
                await watching.read()

        assert lost.value.code() is grpc.StatusCode.UNAVAILABLE
        again = await stub.Check(health_pb2.HealthCheckRequest(service="liveness"), timeout=NOTICED_SECONDS)
        assert again.status == health_pb2.HealthCheckResponse.SERVING


def test_servers_allow_the_pings_that_clients_send() -> None:
    """Else a quiet connection would count as a flood and be closed."""
    allowed_ms = dict(server_options(1))["grpc.http2.min_ping_interval_without_data_ms"]

    assert int(dict(channel_options())["grpc.keepalive_time_ms"]) > allowed_ms
