"""Consuming from a real broker: in order, in bounds, and again after every loss."""

from __future__ import annotations

from typing import Any

import pytest

from common import broker_consumer
from common.broker import BrokerConnection, Consumer, Publisher
from common.progress import NoProgress
from tests.integration.common.broker_route import (
    Eventually,
    Route,
    next_delivery,
    publish,
    running,
    take_all,
)


async def test_a_consumer_holds_no_more_than_its_prefetch(
    publisher: Publisher, consumer: Consumer, route: Route, eventually: Eventually
) -> None:
    """Eleven messages, ten in hand; one acknowledgement brings the next."""
    for number in range(11):
        await publish(publisher, route, b"%d" % number)
    await eventually(lambda: consumer.deliveries.qsize() == 10)

    first = await next_delivery(consumer)
    await consumer.ack(first)
    await eventually(lambda: consumer.deliveries.qsize() == 10)

    bodies = [(await next_delivery(consumer)).body for _ in range(10)]
    assert bodies == [b"%d" % number for number in range(1, 11)]


async def test_one_acknowledgement_can_settle_all_before_it(
    publisher: Publisher, consumer: Consumer, route: Route, wire: Any
) -> None:
    """What was acknowledged does not come again, what was not does."""
    for number in range(5):
        await publish(publisher, route, b"%d" % number)
    deliveries = [await next_delivery(consumer) for _ in range(5)]

    assert await consumer.ack(deliveries[3], multiple=True)
    # Comes back behind the acknowledgement on the same channel, so that has arrived too.
    await consumer.nack_requeue(deliveries[4])
    given_back = await next_delivery(consumer)
    wire.cut()
    again = await next_delivery(consumer)
    await publish(publisher, route, b"5")

    assert (given_back.body, given_back.redelivered) == (b"4", True)
    assert [again.body, (await next_delivery(consumer)).body] == [b"4", b"5"]


async def test_a_consumer_whose_deliveries_are_not_settled_is_not_well(
    publisher: Publisher, consumer: Consumer, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connected and subscribed, it makes no progress; one settled delivery shows that it does again."""
    for number in range(3):
        await publish(publisher, route, b"%d" % number)
    deliveries = [await next_delivery(consumer) for _ in range(3)]
    consumer.require_progress()
    assert consumer.in_hand_count == 3
    monkeypatch.setattr(broker_consumer, "_STALL_SECONDS", 0.0)

    with pytest.raises(NoProgress):
        consumer.require_progress()
    await consumer.ack(deliveries[1], multiple=True)
    assert consumer.in_hand_count == 1
    await consumer.reject(deliveries[2])

    consumer.require_progress()
    assert consumer.in_hand_count == 0


async def test_after_a_cut_what_was_in_hand_comes_again_and_old_tags_mean_nothing(
    publisher: Publisher, consumer: Consumer, route: Route, wire: Any
) -> None:
    """An old tag on the new channel would acknowledge another message."""
    await publish(publisher, route, b"batch")
    old = await next_delivery(consumer)

    wire.cut()
    new = await next_delivery(consumer)

    assert (new.body, new.redelivered) == (b"batch", True)
    assert new.epoch > old.epoch
    assert not await consumer.ack(old)
    assert await consumer.ack(new)


async def test_deliveries_that_waited_when_the_wire_broke_are_not_handed_out_twice(
    publisher: Publisher, consumer: Consumer, route: Route, wire: Any, eventually: Eventually
) -> None:
    """What nobody had taken yet is forgotten, for it comes again."""
    await publish(publisher, route, b"batch")
    await eventually(lambda: consumer.deliveries.qsize() == 1)

    wire.cut()
    await eventually(lambda: not consumer.is_subscribed)
    await eventually(lambda: consumer.is_subscribed and consumer.deliveries.qsize() == 1)

    assert (await next_delivery(consumer)).redelivered
    assert consumer.deliveries.empty()


async def test_a_rejected_delivery_goes_to_the_dead_letters(
    publisher: Publisher, consumer: Consumer, route: Route, connection: BrokerConnection
) -> None:
    """The consumer decides what is poison."""
    dead = Consumer(connection, route.dead, prefetch=1)
    await publish(publisher, route, b"poison")

    async with running(dead.run()):
        await consumer.reject(await next_delivery(consumer))
        letter = await next_delivery(dead)

    assert letter.body == b"poison"


async def test_a_stopped_consumer_takes_no_more_but_settles_what_it_holds(
    publisher: Publisher, consumer: Consumer, route: Route, connection: BrokerConnection
) -> None:
    """So that a shutdown finishes what is in hand."""
    await publish(publisher, route, b"in hand")
    held = await next_delivery(consumer)

    await consumer.stop()
    await publish(publisher, route, b"later")

    assert await consumer.ack(held)
    assert consumer.deliveries.empty()
    assert await take_all(connection, route.name) == [b"later"]


async def test_a_deleted_queue_is_declared_and_consumed_again(
    publisher: Publisher, consumer: Consumer, route: Route, connection: BrokerConnection, eventually: Eventually
) -> None:
    """The broker cancels the consumer without a word on the connection; consumption must not end silently."""
    channel = await connection.open_channel(publisher_confirms=False)

    await channel.queue_delete(route.name)
    await eventually(lambda: connection.epoch == 2 and consumer.is_subscribed)
    await publish(publisher, route, b"batch")

    assert (await next_delivery(consumer)).body == b"batch"
