"""A look at what is published, beside those who consume it: a queue that goes with its channel and holds nobody up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import aiormq
from aiormq.abc import DeliveredMessage

from common.broker_connection import RPC_TIMEOUT_SECONDS, BrokerConnection
from common.broker_failures import BrokerAway, broker_failures
from common.topology import READINGS_EXCHANGE, routing_key

Look = Callable[[str, bytes], None]
"""Gets the routing key and the body of each message."""


class BrokerTap:
    """One open tap; made by `open_tap`."""

    def __init__(self, channel: aiormq.Channel, queue: str) -> None:
        self._channel = channel
        self._queue = queue
        self._bound = 0

    async def bind(self, partition_count: int) -> None:
        """Sees the readings of all partitions up to a number from now on, those bound before still.

        Raises:
            BrokerAway: the channel is lost.
        """
        if self._channel.is_closed:
            raise BrokerAway("the channel was closed")
        with broker_failures():
            for partition in range(self._bound, partition_count):
                await self._channel.queue_bind(
                    self._queue, READINGS_EXCHANGE, routing_key=routing_key(partition), timeout=RPC_TIMEOUT_SECONDS
                )
        self._bound = max(self._bound, partition_count)


@asynccontextmanager
async def open_tap(connection: BrokerConnection, look: Look, *, queue_bytes: int) -> AsyncIterator[BrokerTap]:
    """A tap that takes no acknowledgement and drops its oldest when so many bytes wait.

    Raises:
        BrokerAway: there is no connection, or it broke meanwhile.
    """
    channel = await connection.open_channel(publisher_confirms=False)

    async def take(message: DeliveredMessage) -> None:
        look(str(message.routing_key), bytes(message.body))

    try:
        with broker_failures():
            declared = await channel.queue_declare(
                "",
                exclusive=True,
                auto_delete=True,
                arguments={"x-max-length-bytes": queue_bytes, "x-overflow": "drop-head"},
                timeout=RPC_TIMEOUT_SECONDS,
            )
            queue = declared.queue or ""
            await channel.basic_consume(queue, take, no_ack=True, timeout=RPC_TIMEOUT_SECONDS)
        yield BrokerTap(channel, queue)
    finally:
        with suppress(Exception):
            await channel.close(timeout=RPC_TIMEOUT_SECONDS)
