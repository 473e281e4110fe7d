"""The declared topology on a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiormq
import pytest
from pamqp import commands

from common.localstack.mesh import Mesh
from common.topology import (
    DEAD_LETTER_EXCHANGE,
    DEAD_LETTER_QUEUE,
    READINGS_EXCHANGE,
    QueueLimits,
    declare,
    queue_name,
    routing_key,
)

_PARTITIONS = 2


@pytest.fixture
async def channel(servers: Mesh) -> AsyncIterator[aiormq.Channel]:
    """A channel on the broker, with the topology declared and what other tests left taken out."""
    async with aiormq.connect(servers.amqp_url) as connection:
        opened = await connection.channel()
        assert isinstance(opened, aiormq.Channel)
        await declare(opened, _PARTITIONS)
        for service in ("billing", "analytics"):
            for partition in range(_PARTITIONS):
                await opened.queue_purge(queue_name(service, partition))
        yield opened


async def _publish(channel: aiormq.Channel, exchange: str, key: str, body: bytes) -> None:
    properties = aiormq.spec.Basic.Properties(delivery_mode=2)
    await channel.basic_publish(body, exchange=exchange, routing_key=key, mandatory=True, properties=properties)


async def _take(channel: aiormq.Channel, queue: str) -> bytes | None:
    message = await channel.basic_get(queue, no_ack=True)
    return message.body if isinstance(message.delivery, commands.Basic.GetOk) else None


@pytest.mark.parametrize("partition", range(_PARTITIONS))
async def test_a_batch_reaches_the_queue_of_its_partition_in_every_consuming_service(
    channel: aiormq.Channel, partition: int
) -> None:
    """One confirmed publish, one copy a service, none in another partition."""
    await _publish(channel, READINGS_EXCHANGE, routing_key(partition), b"batch")

    for service in ("billing", "analytics"):
        counts = [await channel.queue_purge(queue_name(service, other)) for other in range(_PARTITIONS)]
        assert [count.message_count for count in counts] == [int(other == partition) for other in range(_PARTITIONS)]


async def test_every_dead_letter_is_kept_whatever_its_key(channel: aiormq.Channel) -> None:
    """One queue for all of them."""
    await _publish(channel, DEAD_LETTER_EXCHANGE, "any.key", b"letter")

    assert await _take(channel, DEAD_LETTER_QUEUE) == b"letter"


async def test_declaring_again_changes_nothing(channel: aiormq.Channel) -> None:
    """Every service declares everything at each connect; more partitions are added without a drain."""
    await declare(channel, _PARTITIONS)
    await declare(channel, _PARTITIONS + 1)

    name = queue_name("billing", _PARTITIONS)
    assert (await channel.queue_declare(name, passive=True)).queue == name


async def test_other_limits_for_an_existing_queue_are_an_error(channel: aiormq.Channel) -> None:
    """A queue keeps the arguments it was born with; a silent difference would be worse."""
    with pytest.raises(aiormq.exceptions.ChannelPreconditionFailed):
        await declare(channel, _PARTITIONS, QueueLimits(billing_bytes=1))
