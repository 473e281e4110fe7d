"""A route through the broker of a test's own, and what tests do along it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiormq
from pamqp import commands

from common.broker import BrokerConnection, Consumer, Delivery, Publisher

TYPE_NAME = "energy.telemetry.v1.ReadingBatch"
LIMIT_SECONDS = 20

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


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


@asynccontextmanager
async def running(*lives: Awaitable[None]) -> AsyncIterator[None]:
    """Runs background work for as long as the block lasts."""
    tasks = [asyncio.ensure_future(life) for life in lives]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def publish(publisher: Publisher, route: Route, body: bytes, **options: Any) -> None:
    """Publishes along the route; the body is also the id, unless another is given."""
    message_id = options.pop("message_id", body.decode())
    await publisher.publish(route.name, "0", body, message_id=message_id, type_name=TYPE_NAME, **options)


async def next_delivery(consumer: Consumer) -> Delivery:
    """The next delivery, which must come within the limit."""
    async with asyncio.timeout(LIMIT_SECONDS):
        return await consumer.deliveries.get()


async def take_all(connection: BrokerConnection, queue: str) -> list[bytes]:
    """Takes everything out of a queue."""
    channel = await connection.open_channel(publisher_confirms=False)
    bodies: list[bytes] = []
    while isinstance((message := await channel.basic_get(queue, no_ack=True)).delivery, commands.Basic.GetOk):
        bodies.append(message.body)
    await channel.close()
    return bodies
