"""Publishing and consuming against a real broker, over a wire that breaks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiormq
import pytest
from pamqp import commands

from common.broker import BrokerAway, BrokerConnection, Consumer, Delivery, Publisher, Rejected, Unroutable
from common.localstack.mesh import Mesh

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
_TYPE = "energy.telemetry.v1.ReadingBatch"
_LIMIT_SECONDS = 20


@dataclass
class Route:
    """An exchange of a test's own with one quorum queue, whose dead letters go to another queue."""

    name: str
    arguments: dict[str, Any]

    @property
    def dead(self) -> str:
        """The queue of dead letters."""
        return f"{self.name}.dead"

    async def declare(self, channel: aiormq.Channel) -> None:
        """Declares everything; harmless when it exists."""
        await channel.exchange_declare(self.name, exchange_type="direct", durable=True)
        await channel.queue_declare(self.dead, durable=True, arguments={"x-queue-type": "quorum"})
        arguments = {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.dead,
            **self.arguments,
        }
        await channel.queue_declare(self.name, durable=True, arguments=arguments)
        await channel.queue_bind(self.name, self.name, "0")


@pytest.fixture
def route() -> Route:
    """A route with a fresh name."""
    return Route(f"test-{uuid.uuid4().hex}", {})


@asynccontextmanager
async def _running(*lives: Awaitable[None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(life) for life in lives]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture
async def connection(broker_url: str, route: Route) -> AsyncIterator[BrokerConnection]:
    """A live connection that declares the route."""
    opened = BrokerConnection(broker_url, "test", route.declare)
    async with _running(opened.run()):
        async with asyncio.timeout(_LIMIT_SECONDS):
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
    async with _running(subscribed.run()):
        await eventually(lambda: subscribed.is_subscribed)
        yield subscribed


async def _publish(publisher: Publisher, route: Route, body: bytes, **options: Any) -> None:
    message_id = options.pop("message_id", body.decode())
    await publisher.publish(route.name, "0", body, message_id=message_id, type_name=_TYPE, **options)


async def _next(consumer: Consumer) -> Delivery:
    async with asyncio.timeout(_LIMIT_SECONDS):
        return await consumer.deliveries.get()


async def _bodies(connection: BrokerConnection, queue: str) -> list[bytes]:
    """Takes everything out of a queue."""
    channel = await connection.open_channel(publisher_confirms=False)
    bodies: list[bytes] = []
    while isinstance((message := await channel.basic_get(queue, no_ack=True)).delivery, commands.Basic.GetOk):
        bodies.append(message.body)
    await channel.close()
    return bodies


async def test_a_published_message_arrives_as_it_was_sent(
    publisher: Publisher, consumer: Consumer, route: Route
) -> None:
    """Body, id, key and headers."""
    await _publish(publisher, route, b"batch", message_id="id-1", headers={"attempt": 1})

    delivery = await _next(consumer)
    assert (delivery.body, delivery.message_id, delivery.routing_key) == (b"batch", "id-1", "0")
    assert dict(delivery.headers) == {"attempt": 1}
    assert not delivery.redelivered


async def test_many_publishes_in_flight_are_all_confirmed_and_kept_in_order(
    publisher: Publisher, connection: BrokerConnection, route: Route
) -> None:
    """Waiting for each confirm before the next publish would be five times slower."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(300):
            tasks.create_task(_publish(publisher, route, b"%d" % number))

    assert await _bodies(connection, route.name) == [b"%d" % number for number in range(300)]


async def test_a_message_that_no_queue_takes_is_an_error(publisher: Publisher, route: Route) -> None:
    """Without `mandatory` the broker would confirm it and drop it."""
    with pytest.raises(Unroutable):
        await publisher.publish(route.name, "no such key", b"x", message_id="1", type_name=_TYPE)


async def test_an_unroutable_message_does_not_harm_its_neighbours(
    publisher: Publisher, connection: BrokerConnection, route: Route
) -> None:
    """Each publish in flight has its own outcome."""

    async def publish(number: int) -> type[BaseException] | None:
        key = "0" if number % 2 else "no such key"
        try:
            await publisher.publish(route.name, key, b"%d" % number, message_id=str(number), type_name=_TYPE)
        except Unroutable as returned:
            return type(returned)
        return None

    outcomes = await asyncio.gather(*(publish(number) for number in range(20)))

    assert outcomes == [None if number % 2 else Unroutable for number in range(20)]
    assert len(await _bodies(connection, route.name)) == 10


async def test_a_full_queue_refuses(broker_url: str) -> None:
    """basic.nack becomes Rejected, which slows the producer down; nothing in the queue is dropped."""
    route = Route(f"test-{uuid.uuid4().hex}", {"x-max-length": 1, "x-overflow": "reject-publish"})
    connection = BrokerConnection(broker_url, "test", route.declare)
    publisher = Publisher(connection)
    confirmed = 0

    async with _running(connection.run()), asyncio.timeout(_LIMIT_SECONDS):
        await connection.wait_connected()
        with pytest.raises(Rejected):  # noqa: PT012 - which of the publishes is refused is the broker's business
            while True:
                await _publish(publisher, route, b"%d" % confirmed)
                confirmed += 1
        kept = await _bodies(connection, route.name)

    assert kept == [b"%d" % number for number in range(confirmed)]


async def test_publishing_without_a_connection_fails_at_once(servers: Mesh) -> None:
    """The caller decides what to do; nothing is queued behind its back."""
    publisher = Publisher(BrokerConnection(servers.amqp_url, "test"))

    with pytest.raises(BrokerAway):
        await publisher.publish("x", "0", b"x", message_id="1", type_name=_TYPE)


async def test_a_broken_wire_loses_nothing_that_was_confirmed(
    publisher: Publisher, connection: BrokerConnection, route: Route, wire: Any, eventually: Eventually
) -> None:
    """With publishes in flight each ends, confirmed or BrokerAway; after the reconnect the rest go through."""
    confirmed: set[bytes] = set()
    failures = 0

    async def publish(body: bytes) -> None:
        nonlocal failures
        while body not in confirmed:
            try:
                await _publish(publisher, route, body, timeout=5)
                confirmed.add(body)
            except BrokerAway:
                failures += 1
                await connection.wait_connected()
        if len(confirmed) == 50:
            wire.cut()

    bodies = {b"%d" % number for number in range(300)}
    async with asyncio.timeout(_LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
        for body in bodies:
            tasks.create_task(publish(body))

    assert connection.epoch == 2
    assert failures > 0
    assert set(await _bodies(connection, route.name)) == bodies


async def test_a_silent_broker_ends_the_publish_with_its_time_limit_and_is_usable_after(
    publisher: Publisher, route: Route, consumer: Consumer, wire: Any
) -> None:
    """The channel survives the time limit, and the same id may be published again."""
    await _publish(publisher, route, b"before")
    wire.freeze()

    with pytest.raises(BrokerAway):
        await _publish(publisher, route, b"batch", timeout=0.2)
    wire.thaw()
    await _publish(publisher, route, b"batch")

    received = [(await _next(consumer)).body for _ in range(3)]
    assert received == [b"before", b"batch", b"batch"]


async def test_a_blocked_connection_refuses_at_once_until_it_is_unblocked(
    publisher: Publisher, connection: BrokerConnection, route: Route, wire: Any, eventually: Eventually
) -> None:
    """The broker's memory or disk alarm; without this a publish would hang on the socket."""
    wire.whisper(commands.Connection.Blocked("low on memory"))
    await eventually(lambda: _is_blocked(connection))

    with pytest.raises(BrokerAway, match="alarm"):
        await _publish(publisher, route, b"x")

    wire.whisper(commands.Connection.Unblocked())
    await eventually(lambda: not _is_blocked(connection))
    await _publish(publisher, route, b"x")


def _is_blocked(connection: BrokerConnection) -> bool:
    try:
        connection.require_unblocked()
    except BrokerAway:
        return True
    return False


async def test_a_cancelled_publish_is_cancelled_and_not_a_failure(
    publisher: Publisher, route: Route, wire: Any
) -> None:
    """A shutdown must not look like a broker that is away; the channel goes on."""
    await _publish(publisher, route, b"before")
    wire.freeze()
    task = asyncio.ensure_future(_publish(publisher, route, b"cancelled"))
    await asyncio.sleep(0)

    task.cancel()
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    wire.thaw()
    await _publish(publisher, route, b"after")

    assert isinstance(outcome, asyncio.CancelledError)


async def test_one_id_cannot_be_in_flight_twice(publisher: Publisher, route: Route) -> None:
    """The driver tells returned messages apart by their id alone."""
    outcomes = await asyncio.gather(
        _publish(publisher, route, b"1", message_id="same"),
        _publish(publisher, route, b"2", message_id="same"),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [type(None), ValueError]


async def test_a_consumer_holds_no_more_than_its_prefetch(
    publisher: Publisher, consumer: Consumer, route: Route, eventually: Eventually
) -> None:
    """Eleven messages, ten in hand; one acknowledgement brings the next."""
    for number in range(11):
        await _publish(publisher, route, b"%d" % number)
    await eventually(lambda: consumer.deliveries.qsize() == 10)

    first = await _next(consumer)
    await consumer.ack(first)
    await eventually(lambda: consumer.deliveries.qsize() == 10)

    bodies = [(await _next(consumer)).body for _ in range(10)]
    assert bodies == [b"%d" % number for number in range(1, 11)]


async def test_one_acknowledgement_can_settle_all_before_it(
    publisher: Publisher, consumer: Consumer, route: Route, connection: BrokerConnection, wire: Any
) -> None:
    """What was acknowledged does not come again, what was not does."""
    for number in range(5):
        await _publish(publisher, route, b"%d" % number)
    deliveries = [await _next(consumer) for _ in range(5)]

    assert await consumer.ack(deliveries[3], multiple=True)
    # Behind the acknowledgement on the same channel, so it has arrived when this has.
    await consumer.nack_requeue(deliveries[4])
    again = await _next(consumer)

    assert (again.body, again.redelivered) == (b"4", True)


async def test_after_a_cut_what_was_in_hand_comes_again_and_old_tags_mean_nothing(
    publisher: Publisher, consumer: Consumer, route: Route, wire: Any
) -> None:
    """An old tag on the new channel would acknowledge another message."""
    await _publish(publisher, route, b"batch")
    old = await _next(consumer)

    wire.cut()
    new = await _next(consumer)

    assert (new.body, new.redelivered) == (b"batch", True)
    assert new.epoch > old.epoch
    assert not await consumer.ack(old)
    assert await consumer.ack(new)


async def test_deliveries_that_waited_when_the_wire_broke_are_not_handed_out_twice(
    publisher: Publisher, consumer: Consumer, route: Route, wire: Any, eventually: Eventually
) -> None:
    """What nobody had taken yet is forgotten, for it comes again."""
    await _publish(publisher, route, b"batch")
    await eventually(lambda: consumer.deliveries.qsize() == 1)

    wire.cut()
    await eventually(lambda: not consumer.is_subscribed)
    await eventually(lambda: consumer.is_subscribed and consumer.deliveries.qsize() == 1)

    assert (await _next(consumer)).redelivered
    assert consumer.deliveries.empty()


async def test_a_rejected_delivery_goes_to_the_dead_letters(
    publisher: Publisher, consumer: Consumer, route: Route, connection: BrokerConnection
) -> None:
    """The consumer decides what is poison."""
    dead = Consumer(connection, route.dead, prefetch=1)
    await _publish(publisher, route, b"poison")

    async with _running(dead.run()):
        await consumer.reject(await _next(consumer))
        letter = await _next(dead)

    assert letter.body == b"poison"


async def test_a_stopped_consumer_takes_no_more_but_settles_what_it_holds(
    publisher: Publisher, consumer: Consumer, route: Route, connection: BrokerConnection
) -> None:
    """So that a shutdown finishes what is in hand."""
    await _publish(publisher, route, b"in hand")
    held = await _next(consumer)

    await consumer.stop()
    await _publish(publisher, route, b"later")

    assert await consumer.ack(held)
    assert consumer.deliveries.empty()
    assert await _bodies(connection, route.name) == [b"later"]


async def test_a_deleted_queue_is_declared_and_consumed_again(
    publisher: Publisher, consumer: Consumer, route: Route, connection: BrokerConnection, eventually: Eventually
) -> None:
    """The broker cancels the consumer without a word on the connection; consumption must not end silently."""
    channel = await connection.open_channel(publisher_confirms=False)

    await channel.queue_delete(route.name)
    await eventually(lambda: connection.epoch == 2 and consumer.is_subscribed)
    await _publish(publisher, route, b"batch")

    assert (await _next(consumer)).body == b"batch"


async def test_a_broker_that_is_away_at_the_start_is_met_when_it_comes(
    broker_url: str, route: Route, wire: Any
) -> None:
    """A service may start before its broker."""
    await wire.refuse()
    connection = BrokerConnection(broker_url, "test", route.declare)

    async with _running(connection.run()), asyncio.timeout(_LIMIT_SECONDS):
        with pytest.raises(BrokerAway):
            await connection.ping()
        await wire.open()
        await connection.wait_connected()
        await connection.ping()

    assert not connection.is_connected


async def test_a_password_shows_in_no_representation(broker_url: str) -> None:
    """Neither of the connection nor of its failure."""
    secret = broker_url.replace("guest:guest@", "guest:hunter2@")
    connection = BrokerConnection(secret, "test")

    with pytest.raises(BrokerAway) as refused:
        await connection._connect_once()

    assert "hunter2" not in repr(connection) + repr(refused.value) + repr(refused.value.__cause__)
