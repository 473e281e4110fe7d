"""Empty queues on the real broker, and a wire to it that a test can cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import aiormq
import pytest
from aiormq.abc import AbstractChannel
from yarl import URL

from common.localstack.mesh import Mesh
from common.topology import CONSUMING_SERVICES, READINGS_EXCHANGE, declare, queue_name
from tests.integration.ingestion.running_ingestion import PARTITIONS, QueueReader
from tests.integration.ingestion.severable_wire import SeverableWire


async def on_channel(amqp_url: str, work: Callable[[AbstractChannel], Awaitable[object]]) -> None:
    """Does something on the broker, past the service."""
    connection = await aiormq.connect(amqp_url)
    try:
        await work(await connection.channel(publisher_confirms=False))
    finally:
        await connection.close()


async def delete_queues(channel: AbstractChannel, *, partitions: int = PARTITIONS) -> None:
    """Deletes every queue of the partitions used here."""
    for partition in range(partitions):
        for service in CONSUMING_SERVICES:
            await channel.queue_delete(queue_name(service, partition))
        # So that the next declaration lets its queues settle like new ones.
        await channel.exchange_delete(f"{READINGS_EXCHANGE}.settled-{partition + 1}")


async def empty_queues(channel: AbstractChannel) -> None:
    """Declares every queue, where it is not there, and takes everything out of it."""
    await declare(channel, PARTITIONS)
    for service in CONSUMING_SERVICES:
        for partition in range(PARTITIONS):
            await channel.queue_purge(queue_name(service, partition))


@pytest.fixture
async def broker_url(servers: Mesh) -> str:
    """The real broker with empty queues."""
    await on_channel(servers.amqp_url, empty_queues)
    return servers.amqp_url


@pytest.fixture
async def bare_broker_url(servers: Mesh) -> AsyncIterator[str]:
    """The real broker without queues, for a test that wants others."""
    await on_channel(servers.amqp_url, delete_queues)
    yield servers.amqp_url
    await on_channel(servers.amqp_url, delete_queues)


@pytest.fixture
async def wire(broker_url: str) -> AsyncIterator[SeverableWire]:
    """The wire to the broker, whole at first."""
    target = URL(broker_url)
    found = SeverableWire(target.host or "", target.port or 0)
    await found.open()
    yield found
    found.close()


@pytest.fixture
def wire_url(broker_url: str, wire: SeverableWire) -> str:
    """The broker at the other end of the wire."""
    return str(URL(broker_url).with_host("127.0.0.1").with_port(wire.port))


@pytest.fixture
async def queues(servers: Mesh) -> AsyncIterator[QueueReader]:
    """What arrives in the queues of every consuming service; reads once a test calls `start`."""
    reader = QueueReader(servers.amqp_url)
    yield reader
    await reader.stop()
