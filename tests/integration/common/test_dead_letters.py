"""Dead letters on the real broker: kept with all they say, and known again."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest
from energy.ingestion.v1.reading_batch_pb2 import Part
from pamqp import commands
from prometheus_client import CollectorRegistry

from common.broker import BrokerConnection, Unroutable
from common.dead_letters import DeadLetter, DeadLetters
from common.localstack.mesh import Mesh
from common.topology import DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE, declare
from tests.integration.common.broker_route import LIMIT_SECONDS, running


@pytest.fixture
async def dead_letter_connection(servers: Mesh) -> AsyncIterator[BrokerConnection]:
    """A live connection with the topology declared and no dead letter waiting."""
    opened = BrokerConnection(servers.amqp_url, "test", partial(declare, partitions=1))
    async with running(opened.run()):
        async with asyncio.timeout(LIMIT_SECONDS):
            await opened.wait_connected()
        channel = await opened.open_channel(publisher_confirms=False)
        await channel.queue_purge(DEAD_LETTER_QUEUE)
        yield opened
        if not channel.is_closed:
            await channel.queue_purge(DEAD_LETTER_QUEUE)


def letter() -> DeadLetter:
    """The third Part of a batch, which nobody has set aside before."""
    return DeadLetter(
        body=b"\xff part",
        reason="a reading has no measurement",
        queue="billing.readings.0",
        partition=0,
        set_aside_ms=1_700_000_000_000,
        batch_id=str(uuid.uuid4()),
        writer="writer-1",
        sequence=7,
        part_index=2,
    )


async def take(connection: BrokerConnection) -> tuple[str, str, int, DeadLetter] | None:
    """The next message of the queue: its id, its type, how it is kept, and the letter in it."""
    channel = await connection.open_channel(publisher_confirms=False)
    message = await channel.basic_get(DEAD_LETTER_QUEUE, no_ack=True)
    await channel.close()
    if not isinstance(message.delivery, commands.Basic.GetOk):
        return None
    properties = message.header.properties
    found = DeadLetter.decode(message.body, properties.headers or {}, properties.message_id or "")
    return properties.message_id or "", properties.message_type or "", properties.delivery_mode or 0, found


async def test_a_letter_lies_in_the_queue_with_all_it_says(dead_letter_connection: BrokerConnection) -> None:
    """Persistent, under its own id, as a Part."""
    sent = letter()
    registry = CollectorRegistry()

    await DeadLetters(dead_letter_connection, registry).publish(sent)

    expected = replace(sent, routing_key="0")
    assert await take(dead_letter_connection) == (sent.dead_letter_id, Part.DESCRIPTOR.full_name, 2, expected)
    assert await take(dead_letter_connection) is None
    assert registry.get_sample_value("dead_letters_total") == 1


async def test_the_same_letter_twice_at_once_comes_under_one_id(dead_letter_connection: BrokerConnection) -> None:
    """Two deliveries of one batch in hand at a time are no error."""
    sent = letter()
    letters = DeadLetters(dead_letter_connection, CollectorRegistry())

    await asyncio.gather(letters.publish(sent), letters.publish(sent))

    found = [await take(dead_letter_connection) for _ in range(2)]
    assert [message[0] for message in found if message] == [sent.dead_letter_id] * 2


async def test_a_letter_that_nobody_keeps_is_a_failure(dead_letter_connection: BrokerConnection) -> None:
    """Without a queue the publisher hears of it, so that its delivery is not acknowledged."""
    channel = await dead_letter_connection.open_channel(publisher_confirms=False)
    await channel.queue_unbind(DEAD_LETTER_QUEUE, DEAD_LETTER_EXCHANGE, "#")

    try:
        with pytest.raises(Unroutable):
            await DeadLetters(dead_letter_connection, CollectorRegistry()).publish(letter())
    finally:
        await channel.queue_bind(DEAD_LETTER_QUEUE, DEAD_LETTER_EXCHANGE, "#")
