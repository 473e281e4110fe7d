"""A wire to the real broker, and a route through it with a publisher and a consumer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest

from common.broker import BrokerConnection, Consumer, Publisher
from common.localstack.mesh import Mesh
from tests.integration.common.broker_route import LIMIT_SECONDS, Eventually, Route, running
from tests.integration.common.wire import Wire


@pytest.fixture
def eventually() -> Eventually:
    """Waits until a condition holds, at most 20 seconds."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - a condition of the broker has no event
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
async def wire(servers: Mesh) -> AsyncIterator[Wire]:
    """The wire, open."""
    address = urlsplit(servers.amqp_url)
    opened = Wire(address.hostname or "127.0.0.1", address.port or 5672)
    await opened.open()
    yield opened
    opened.thaw()
    await opened.refuse()


@pytest.fixture
def broker_url(servers: Mesh, wire: Wire) -> str:
    """The address of the broker behind the wire."""
    address = urlsplit(servers.amqp_url)
    return address._replace(netloc=f"{address.username}:{address.password}@127.0.0.1:{wire.port}").geturl()


@pytest.fixture
def route() -> Route:
    """A route with a fresh name."""
    return Route(f"test-{uuid.uuid4().hex}", {})


@pytest.fixture
async def connection(broker_url: str, route: Route) -> AsyncIterator[BrokerConnection]:
    """A live connection that declares the route."""
    opened = BrokerConnection(broker_url, "test", route.declare)
    async with running(opened.run()):
        async with asyncio.timeout(LIMIT_SECONDS):
            await opened.wait_connected()
        yield opened


@pytest.fixture
def publisher(connection: BrokerConnection) -> Publisher:
    """A publisher on the connection."""
    return Publisher(connection)


@pytest.fixture
async def consumer(connection: BrokerConnection, route: Route, eventually: Eventually) -> AsyncIterator[Consumer]:
    """A consumer of the route's queue that holds at most ten deliveries."""
    subscribed = Consumer(connection, route.name, prefetch=10)
    async with running(subscribed.run()):
        await eventually(lambda: subscribed.is_subscribed)
        yield subscribed
