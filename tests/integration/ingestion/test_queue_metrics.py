"""How much waits for each consuming service is asked of the real broker, and not known while it is away."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiormq.abc import AbstractChannel
from prometheus_client import CollectorRegistry

from common.broker import BrokerConnection
from common.topology import READINGS_EXCHANGE, queue_name, routing_key
from ingestion.consumer_backlog import ConsumerBacklog
from ingestion.queue_metrics import QueueMetrics
from tests.integration.ingestion.conftest import on_channel
from tests.integration.ingestion.running_ingestion import PARTITIONS, eventually
from tests.integration.ingestion.severable_wire import SeverableWire


class Looking:
    """The figures of the queues, looked at when a test says so."""

    def __init__(self, amqp_url: str) -> None:
        self.registry = CollectorRegistry()
        self.connection = BrokerConnection(amqp_url, "test-queue-metrics")
        self.backlog = ConsumerBacklog(behind_messages=2)
        self.metrics = QueueMetrics(self.connection, lambda: PARTITIONS, self.registry, self.backlog)

    def ready(self, service: str) -> list[float | None]:
        """What is told of each partition."""
        name = "ingestion_queue_ready_messages"
        return [
            self.registry.get_sample_value(name, {"queue_service": service, "partition": str(partition)})
            for partition in range(PARTITIONS)
        ]


@pytest.fixture
async def looking(wire_url: str) -> AsyncIterator[Looking]:
    """Connected over a wire that a test can cut."""
    found = Looking(wire_url)
    life = asyncio.ensure_future(found.connection.run())
    await asyncio.wait_for(found.connection.wait_connected(), 20)
    yield found
    life.cancel()
    with suppress(asyncio.CancelledError):
        await life


async def test_what_waits_is_told_by_service_and_partition(broker_url: str, looking: Looking) -> None:
    """Batches go to both services; what one of them took away waits for the other only."""

    async def fill(channel: AbstractChannel) -> None:
        for number in range(5):
            await channel.basic_publish(b"batch", exchange=READINGS_EXCHANGE, routing_key=routing_key(number % 2))

    async def take(channel: AbstractChannel) -> None:
        await channel.queue_purge(queue_name("analytics", 0))

    await on_channel(broker_url, fill)
    await _until(looking, "billing", [3, 2, 0])
    await on_channel(broker_url, take)
    await _until(looking, "analytics", [0, 2, 0])

    assert looking.ready("billing") == [3, 2, 0]
    assert [looking.backlog.is_behind(partition) for partition in range(PARTITIONS)] == [True, True, False]
    assert looking.registry.get_sample_value("ingestion_event_queue_ready_messages", {"queue_service": "billing"}) == 0


async def test_while_the_broker_is_away_nothing_is_known_and_then_it_is_again(
    looking: Looking, wire: SeverableWire
) -> None:
    """Old figures would look like news."""
    await looking.metrics.look()
    assert looking.ready("billing") == [0, 0, 0]

    wire.close()
    await eventually(lambda: not looking.connection.is_connected)
    await looking.metrics.look()
    assert [value is not None and math.isnan(value) for value in looking.ready("billing")] == [True] * 3
    assert not looking.backlog.is_behind(0)

    await wire.open()
    await asyncio.wait_for(looking.connection.wait_connected(), 20)
    await looking.metrics.look()
    assert looking.ready("billing") == [0, 0, 0]


async def test_a_queue_that_is_gone_leaves_all_unknown(bare_broker_url: str) -> None:
    """Whoever publishes declares it again; until then the broker answers with an error and not with 0."""
    looking = Looking(bare_broker_url)
    life = asyncio.ensure_future(looking.connection.run())
    await asyncio.wait_for(looking.connection.wait_connected(), 20)

    await looking.metrics.look()

    life.cancel()
    with suppress(asyncio.CancelledError):
        await life
    assert [value is not None and math.isnan(value) for value in looking.ready("billing")] == [True] * 3
    assert not looking.backlog.is_behind(0)


async def _until(looking: Looking, service: str, depths: list[int]) -> None:
    # A quorum queue counts what it has taken a moment after it has confirmed.
    async with asyncio.timeout(10):
        while looking.ready(service) != depths:
            await looking.metrics.look()
