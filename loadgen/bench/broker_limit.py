"""The bare limit of the broker: messages of one size, published and confirmed, consumed by nobody."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiormq.abc import AbstractChannel

from common.broker import BrokerConnection, Publisher
from common.topology import CONSUMING_SERVICES, queue_arguments

PARTITIONS = 8
WINDOWS = (1, 100)
"""Messages of a partition without a confirm: as many as ingestion has, and more than could help."""

# More bytes than these without a confirm would measure the memory of both sides.
_IN_FLIGHT_BYTES = 64 << 20
_CONNECT_SECONDS = 20.0
_RPC_SECONDS = 20.0
_TYPE_NAME = "energy.ingestion.v1.ReadingBatch"


class PublishLimit(NamedTuple):
    """Messages confirmed in a second, and how many of each partition were without a confirm at a time."""

    messages_a_second: float
    window: int


class BareBroker:
    """Queues of its own, bound as those of the readings are; empty before and after every measurement."""

    def __init__(self, connection: BrokerConnection, exchange: str) -> None:
        self._connection = connection
        self._publisher = Publisher(connection)
        self._exchange = exchange

    async def limit(self, body_bytes: int, seconds: float) -> PublishLimit:
        """The most messages of `body_bytes` that the queues confirm in a second, by whichever window gives most.

        Raises:
            PublishFailed: they did not confirm.
        """
        most = max(1, _IN_FLIGHT_BYTES // PARTITIONS // body_bytes)
        windows = sorted({min(window, most) for window in WINDOWS})
        found = [
            PublishLimit(await self._messages_a_second(body_bytes, window, seconds / len(windows)), window)
            for window in windows
        ]
        return max(found)

    async def _messages_a_second(self, body_bytes: int, window: int, seconds: float) -> float:
        body = os.urandom(body_bytes)
        ends_at = time.monotonic() + seconds

        async def publish(partition: int) -> int:
            confirmed = 0
            while time.monotonic() < ends_at:
                await self._publisher.publish(
                    self._exchange, str(partition), body, message_id=str(uuid.uuid4()), type_name=_TYPE_NAME
                )
                confirmed += 1
            return confirmed

        began = time.monotonic()
        lanes = [partition for partition in range(PARTITIONS) for _ in range(window)]
        confirmed = await asyncio.gather(*(publish(partition) for partition in lanes))
        rate = sum(confirmed) / (time.monotonic() - began)
        channel = await self._connection.open_channel(publisher_confirms=False)
        for queue, _, _ in _queues(self._exchange):
            await channel.queue_purge(queue, timeout=_RPC_SECONDS)
        await channel.close()
        return rate


@asynccontextmanager
async def bare_broker(amqp_url: str) -> AsyncIterator[BareBroker]:
    """The queues, deleted in the end.

    Raises:
        TimeoutError: the broker is away.
    """
    exchange = f"bench.{uuid.uuid4().hex}"
    connection = BrokerConnection(amqp_url, "bench", lambda channel: _declare(channel, exchange))
    living = asyncio.create_task(connection.run(), name="bench-broker")
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await connection.wait_connected()
        yield BareBroker(connection, exchange)
        channel = await connection.open_channel(publisher_confirms=False)
        await _delete(channel, exchange)
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)


async def _declare(channel: AbstractChannel, exchange: str) -> None:
    await channel.exchange_declare(exchange, exchange_type="direct", timeout=_RPC_SECONDS)
    arguments = queue_arguments()
    for queue, service, key in _queues(exchange):
        await channel.queue_declare(queue, durable=True, arguments=dict(arguments[service]), timeout=_RPC_SECONDS)
        await channel.queue_bind(queue, exchange, key, timeout=_RPC_SECONDS)


async def _delete(channel: AbstractChannel, exchange: str) -> None:
    for queue, _, _ in _queues(exchange):
        await channel.queue_delete(queue, timeout=_RPC_SECONDS)
    await channel.exchange_delete(exchange, timeout=_RPC_SECONDS)


def _queues(exchange: str) -> list[tuple[str, str, str]]:
    return [
        (f"{exchange}.{service}.{partition}", service, str(partition))
        for service in CONSUMING_SERVICES
        for partition in range(PARTITIONS)
    ]
