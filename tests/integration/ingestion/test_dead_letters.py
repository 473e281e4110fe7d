"""Dead letters on the real broker: looked at without loss, replayed once, and never held by the dead."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiormq.abc import AbstractChannel
from energy.ingestion.v1.ingestion_service_pb2 import ReplayDeadLettersRequest
from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import Reading

from common.broker import BrokerAway, BrokerConnection, Consumer, Publisher
from common.topology import READINGS_EXCHANGE, queue_name, routing_key
from ingestion.dead_letter_store import DeadLetterStore
from tests.integration.ingestion.conftest import on_channel
from tests.integration.ingestion.desk import Desk, letter
from tests.integration.ingestion.running_ingestion import QueueReader, eventually

if TYPE_CHECKING:
    # Exists only for the type checker.
    pass


async def reject_whole(desk: Desk, *bodies: bytes) -> None:
    """Publishes messages to partition 2 and rejects them as a consumer does; the broker sets them aside."""
    connection = BrokerConnection(desk.amqp_url, "rejecting")
    consumer = Consumer(connection, queue_name("billing", 2), prefetch=10)
    lives = [asyncio.ensure_future(life) for life in (connection.run(), consumer.run())]
    await eventually(lambda: consumer.is_subscribed)
    for number, body in enumerate(bodies):
        await Publisher(connection).publish(
            READINGS_EXCHANGE, routing_key(2), body, message_id=f"rejected-{number}", type_name="unknown"
        )
    async with asyncio.timeout(20):
        while await DeadLetterStore(connection).count() < len(bodies):
            if not consumer.deliveries.empty() and (delivery := consumer.deliveries.get_nowait()).body in bodies:
                await consumer.reject(delivery)
            await asyncio.sleep(0.01)
    for life in lives:
        life.cancel()
    await asyncio.wait(lives)

    async def purge(channel: AbstractChannel) -> None:
        await channel.queue_purge(queue_name("analytics", 2))

    await on_channel(desk.amqp_url, purge)


async def test_listing_shows_every_letter_in_order_and_keeps_it(desk: Desk) -> None:
    """Twenty letters, pages of seven, three times over; what arrives meanwhile comes at its place."""
    sent = [letter(number) for number in range(20)]
    for one in reversed(sent):
        await desk.letters.publish(one)

    first, second = await desk.listed(), await desk.listed()
    late = letter(20)
    await desk.letters.publish(late)
    third = await desk.listed()

    assert first == second == sent
    assert third == [*sent, late]
    assert await desk.waiting() == 21


async def test_a_letter_set_aside_twice_is_shown_once_and_removed_whole(desk: Desk, queues: QueueReader) -> None:
    """A redelivery after a crash sets the same Part aside again."""
    sent = letter(1)
    for _ in range(3):
        await desk.letters.publish(sent)

    shown = await desk.listed()
    answer = await desk.stub.ReplayDeadLetters(ReplayDeadLettersRequest(all=True))
    queues.start()
    await eventually(lambda: queues.names("billing", 1))

    assert shown == [sent]
    assert (list(answer.replayed_ids), answer.waiting_count) == ([sent.dead_letter_id], 0)
    assert await desk.waiting() == 0
    assert queues.names("billing", 1) == ["1"]


async def test_named_letters_are_published_again_in_numbered_batches(desk: Desk, queues: QueueReader) -> None:
    """They reach every consuming service of their partition, say that they are replays, and the others stay."""
    sent = [letter(number, partition=number % 3) for number in range(6)]
    for one in sent:
        await desk.letters.publish(one)
    ids = [sent[1].dead_letter_id, sent[4].dead_letter_id, "unknown"]

    answer = await desk.stub.ReplayDeadLetters(ReplayDeadLettersRequest(dead_letter_ids=ids))
    queues.start()
    await eventually(lambda: len(queues.names("billing", 1)) == len(queues.names("analytics", 1)) == 2)

    assert list(answer.replayed_ids) == ids[:2]
    assert list(answer.not_found_ids) == ["unknown"]
    assert await desk.listed() == [sent[0], sent[2], sent[3], sent[5]]
    assert queues.names("billing", 1) == queues.names("analytics", 1) == ["1", "4"]
    assert queues.sequences("billing", 1) == list(range(1, len(queues.sequences("billing", 1)) + 1))
    parts = [part for batch in queues.batches[queue_name("billing", 1)] for part in batch.parts]
    assert {part.replay_count for part in parts} == {1}


async def test_a_batch_that_the_broker_set_aside_is_replayed_and_garbage_stays(desk: Desk, queues: QueueReader) -> None:
    """What a consumer has rejected whole carries no header of ours; its Parts are taken one by one."""
    good = ReadingBatch(parts=[Part(readings=[Reading(device_id=name)]) for name in ("a", "b")]).SerializeToString()

    await reject_whole(desk, good, b"\xff\xfe garbage")
    shown = await desk.listed()
    answer = await desk.stub.ReplayDeadLetters(ReplayDeadLettersRequest(all=True))
    queues.start()
    await eventually(lambda: "b" in queues.names("billing", 2))

    assert [(one.reason, one.queue, one.part_index) for one in shown] == [
        ("broker: rejected", "billing.readings.2", None)
    ] * 2
    by_body = {one.body: one.dead_letter_id for one in shown}
    assert list(answer.replayed_ids) == [by_body[good]]
    assert list(answer.malformed_ids) == [by_body[b"\xff\xfe garbage"]]
    assert [one.body for one in await desk.listed()] == [b"\xff\xfe garbage"]


async def test_what_a_dead_process_had_in_hand_comes_back(desk: Desk) -> None:
    """A connection that ends amid a look leaves every letter, and the next one need not wait for it."""
    sent = [letter(number) for number in range(5)]
    for one in sent:
        await desk.letters.publish(one)
    connection = BrokerConnection(desk.amqp_url, "dying")
    life = asyncio.ensure_future(connection.run())
    await connection.wait_connected()

    async def look_until_dead() -> None:
        async with DeadLetterStore(connection).hold() as held:
            assert held.looked_at_count == 5
            life.cancel()
            await asyncio.wait([life])

    with pytest.raises(BrokerAway):
        await look_until_dead()

    assert await desk.listed() == sent


async def test_two_processes_look_one_after_the_other(desk: Desk) -> None:
    """Neither sees a queue half in the hands of the other."""
    sent = [letter(number) for number in range(30)]
    for one in sent:
        await desk.letters.publish(one)
    connection = BrokerConnection(desk.amqp_url, "second")
    life = asyncio.ensure_future(connection.run())
    await connection.wait_connected()
    store = DeadLetterStore(connection)

    async def look() -> int:
        async with store.hold() as held:
            return held.looked_at_count

    counts = await asyncio.gather(look(), desk.waiting(), look(), desk.waiting())
    life.cancel()
    await asyncio.wait([life])

    assert set(counts) == {30}
