"""What a killed broker keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import aiormq
import pytest

from common import topology
from common.broker import BrokerConnection, Consumer, Publisher, PublishFailed
from common.localstack.mesh import Mesh

_LIMIT_SECONDS = 60
_MESSAGES = 400
_PARTITIONS = 3
_PARTITION = 2


@pytest.fixture
def broker(servers: Mesh) -> Any:
    """The handle of the broker's process."""
    keepers: Mapping[str, Any] = servers.keepers
    if "rabbitmq" not in keepers:
        pytest.skip("the broker of AMQP_URL is not ours to kill")
    return keepers["rabbitmq"]


async def _publish_until_confirmed(publisher: Publisher, message_id: str) -> None:
    while True:
        try:
            await publisher.publish(
                topology.READINGS_EXCHANGE,
                topology.routing_key(_PARTITION),
                b"batch",
                message_id=message_id,
                type_name="energy.telemetry.v1.ReadingBatch",
                timeout=5,
            )
        except PublishFailed:
            await asyncio.sleep(0.1)
        else:
            return


@pytest.fixture
async def new_queues(servers: Mesh) -> AsyncIterator[None]:
    """Sees to it that the partition's queues do not exist before, nor after."""
    await _delete_queues(servers.amqp_url)
    yield
    await _delete_queues(servers.amqp_url)


async def _delete_queues(url: str) -> None:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.exchange_delete(f"{topology.READINGS_EXCHANGE}.settled-{_PARTITIONS}")
        for service in topology.CONSUMING_SERVICES:
            await channel.queue_delete(topology.queue_name(service, _PARTITION))


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("new_queues")
async def test_a_broker_killed_while_publishing_keeps_everything_it_confirmed(servers: Mesh, broker: Any) -> None:
    """With kill -9, on queues that were declared a moment before; the same objects go on after the restart."""
    connection = BrokerConnection(servers.amqp_url, "test", partial(topology.declare, partitions=_PARTITIONS))
    publisher = Publisher(connection)
    consumer = Consumer(connection, topology.queue_name("billing", _PARTITION), prefetch=2 * _MESSAGES)
    message_ids = {str(number) for number in range(_MESSAGES)}
    received: set[str] = set()

    async with asyncio.timeout(_LIMIT_SECONDS), asyncio.TaskGroup() as lives:
        running = [lives.create_task(connection.run())]
        await connection.wait_connected()
        await asyncio.gather(*(_publish_until_confirmed(publisher, each) for each in sorted(message_ids)[::2]))
        async with asyncio.TaskGroup() as publishes:
            for message_id in sorted(message_ids)[1::2]:
                publishes.create_task(_publish_until_confirmed(publisher, message_id))
            publishes.create_task(broker.kill())
        running.append(lives.create_task(consumer.run()))
        while received != message_ids:
            received.add((await consumer.deliveries.get()).message_id)
        for life in running:
            life.cancel()

    assert connection.epoch == 2
