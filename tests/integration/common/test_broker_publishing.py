"""Publishing to a real broker: one outcome for each message, never silence."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from common.broker import BrokerAway, BrokerConnection, Consumer, Publisher, Rejected, Unroutable
from common.localstack.mesh import Mesh
from tests.integration.common.broker_route import (
    LIMIT_SECONDS,
    TYPE_NAME,
    Route,
    next_delivery,
    publish,
    running,
    take_all,
)


async def test_a_published_message_arrives_as_it_was_sent(
    publisher: Publisher, consumer: Consumer, route: Route
) -> None:
    """Body, id, key and headers."""
    await publish(publisher, route, b"batch", message_id="id-1", headers={"attempt": 1})

    delivery = await next_delivery(consumer)
    assert (delivery.body, delivery.message_id, delivery.routing_key) == (b"batch", "id-1", "0")
    assert dict(delivery.headers) == {"attempt": 1}
    assert not delivery.redelivered


async def test_many_publishes_in_flight_are_all_confirmed_and_kept_in_order(
    publisher: Publisher, connection: BrokerConnection, route: Route
) -> None:
    """Waiting for each confirm before the next publish would be five times slower."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(300):
            tasks.create_task(publish(publisher, route, b"%d" % number))

    assert await take_all(connection, route.name) == [b"%d" % number for number in range(300)]


async def test_a_message_that_no_queue_takes_is_an_error(publisher: Publisher, route: Route) -> None:
    """Without `mandatory` the broker would confirm it and drop it."""
    with pytest.raises(Unroutable):
        await publisher.publish(route.name, "no such key", b"x", message_id="1", type_name=TYPE_NAME)


async def test_an_unroutable_message_does_not_harm_its_neighbours(
    publisher: Publisher, connection: BrokerConnection, route: Route
) -> None:
    """Each publish in flight has its own outcome."""

    async def outcome_of(number: int) -> type[BaseException] | None:
        key = "0" if number % 2 else "no such key"
        try:
            await publisher.publish(route.name, key, b"%d" % number, message_id=str(number), type_name=TYPE_NAME)
        except Unroutable as returned:
            return type(returned)
        return None

    outcomes = await asyncio.gather(*(outcome_of(number) for number in range(20)))

    assert outcomes == [None if number % 2 else Unroutable for number in range(20)]
    assert len(await take_all(connection, route.name)) == 10


async def test_a_full_queue_refuses(broker_url: str) -> None:
    """basic.nack becomes Rejected, which slows the producer down; nothing in the queue is dropped."""
    route = Route(f"test-{uuid.uuid4().hex}", {"x-max-length": 1, "x-overflow": "reject-publish"})
    connection = BrokerConnection(broker_url, "test", route.declare)
    publisher = Publisher(connection)
    confirmed = 0

    async with running(connection.run()), asyncio.timeout(LIMIT_SECONDS):
        await connection.wait_connected()
        with pytest.raises(Rejected):  # noqa: PT012 - which of the publishes is refused is the broker's business
            while True:
                await publish(publisher, route, b"%d" % confirmed)
                confirmed += 1
        kept = await take_all(connection, route.name)

    assert kept == [b"%d" % number for number in range(confirmed)]


async def test_publishing_without_a_connection_fails_at_once(servers: Mesh) -> None:
    """The caller decides what to do; nothing is queued behind its back."""
    publisher = Publisher(BrokerConnection(servers.amqp_url, "test"))

    with pytest.raises(BrokerAway):
        await publisher.publish("x", "0", b"x", message_id="1", type_name=TYPE_NAME)


async def test_a_silent_broker_ends_the_publish_with_its_time_limit_and_is_usable_after(
    publisher: Publisher, route: Route, consumer: Consumer, wire: Any
) -> None:
    """The channel survives the time limit, and the same id may be published again."""
    await publish(publisher, route, b"before")
    wire.freeze()

    with pytest.raises(BrokerAway):
        await publish(publisher, route, b"batch", timeout=0.2)
    wire.thaw()
    await publish(publisher, route, b"batch")

    received = [(await next_delivery(consumer)).body for _ in range(3)]
    assert received == [b"before", b"batch", b"batch"]


async def test_a_cancelled_publish_is_cancelled_and_not_a_failure(
    publisher: Publisher, route: Route, wire: Any
) -> None:
    """A shutdown must not look like a broker that is away; the channel goes on."""
    await publish(publisher, route, b"before")
    wire.freeze()
    task = asyncio.ensure_future(publish(publisher, route, b"cancelled"))
    await asyncio.sleep(0)

    task.cancel()
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    wire.thaw()
    await publish(publisher, route, b"after")

    assert isinstance(outcome, asyncio.CancelledError)


async def test_one_id_cannot_be_in_flight_twice(publisher: Publisher, route: Route) -> None:
    """The driver tells returned messages apart by their id alone."""
    outcomes = await asyncio.gather(
        publish(publisher, route, b"1", message_id="same"),
        publish(publisher, route, b"2", message_id="same"),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [type(None), ValueError]
