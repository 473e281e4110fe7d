"""Empty queues on the real broker, and a wire to it that a test can cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiormq
import grpc
import pytest
from aiormq.abc import AbstractChannel
from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from prometheus_client import CollectorRegistry
from yarl import URL

from common.dead_letters import DeadLetters
from common.localstack.mesh import Mesh
from common.topology import CONSUMING_SERVICES, DEAD_LETTER_QUEUE, READINGS_EXCHANGE, declare, queue_name
from tests.integration.ingestion.desk import Desk
from tests.integration.ingestion.running_ingestion import PARTITIONS, QueueReader, eventually, running_ingestion
from tests.integration.ingestion.severable_wire import SeverableWire

PARTITIONS_OF_OTHERS = 16


async def on_channel(amqp_url: str, work: Callable[[AbstractChannel], Awaitable[object]]) -> None:
    """Does something on the broker, past the service."""
    connection = await aiormq.connect(amqp_url)
    try:
        await work(await connection.channel(publisher_confirms=False))
    finally:
        await connection.close()


async def delete_queues(channel: AbstractChannel, *, first: int = 0, partitions: int = PARTITIONS) -> None:
    """Deletes every queue of the partitions used here, from the first one to be deleted on."""
    for partition in range(first, partitions):
        for service in CONSUMING_SERVICES:
            await channel.queue_delete(queue_name(service, partition))
        # So that the next declaration lets its queues settle like new ones.
        await channel.exchange_delete(f"{READINGS_EXCHANGE}.settled-{partition + 1}")


async def empty_queues(channel: AbstractChannel) -> None:
    """Declares every queue, where it is not there, and takes everything out of it.

    Those of partitions that other tests have left go: a service that finds them declares all queues anew while it runs.
    """
    await delete_queues(channel, first=PARTITIONS, partitions=PARTITIONS_OF_OTHERS)
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


@pytest.fixture
async def desk(broker_url: str) -> AsyncIterator[Desk]:
    """Serves with an empty dead-letter queue, and leaves it empty."""

    async def purge(channel: AbstractChannel) -> None:
        await channel.queue_purge(DEAD_LETTER_QUEUE)

    await on_channel(broker_url, purge)
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running_ingestion(broker_url))
        await eventually(lambda: app.connection.is_connected)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(app.server.address))
        letters = DeadLetters(app.connection, CollectorRegistry())
        yield Desk(IngestionServiceStub(channel), letters, broker_url)
    await on_channel(broker_url, purge)
