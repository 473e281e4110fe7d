"""Queues for as many partitions as are known: declared on every connect, and again when there are more of them."""

from __future__ import annotations

import asyncio

import aiormq
from aiormq.abc import AbstractChannel

from common.broker_connection import BrokerConnection
from common.broker_failures import BrokerAway, broker_failures
from common.logs import get_logger
from common.topology import QueueLimits, declare

_RETRY_SECONDS = 0.5
# A quorum queue takes some hundredths of a second, and there may be hundreds.
_ONCE_SECONDS = 600.0
_DEFAULT_LIMITS = QueueLimits()

_log = get_logger(__name__)


class GrowingTopology:
    """The topology of at least `partitions` partitions; `declare` is what a `BrokerConnection` does on each connect."""

    def __init__(self, partitions: int, limits: QueueLimits = _DEFAULT_LIMITS) -> None:
        self._partitions = partitions
        self._limits = limits
        self._declared = 0
        self._one_at_a_time = asyncio.Lock()

    async def declare(self, channel: AbstractChannel) -> None:
        """Declares everything that is known to be needed.

        Raises:
            aiormq.exceptions.ChannelPreconditionFailed: something exists with other arguments.
        """
        partitions = self._partitions
        await declare(channel, partitions, self._limits)
        self._declared = max(self._declared, partitions)

    async def require(self, connection: BrokerConnection, partition: int) -> None:
        """Returns when the queues of a partition are there; waits for a broker that is away."""
        self._partitions = max(self._partitions, partition + 1)
        async with self._one_at_a_time:
            while self._declared <= partition:
                await connection.wait_connected()
                try:
                    await self._declare_on(connection)
                except BrokerAway as away:
                    _log.warning("declaration_retried", partitions=self._partitions, cause=str(away))
                    await asyncio.sleep(_RETRY_SECONDS)

    async def _declare_on(self, connection: BrokerConnection) -> None:
        channel = await connection.open_channel(publisher_confirms=False)
        with broker_failures():
            await self.declare(channel)
            await channel.close()


async def declare_once(amqp_url: str, partitions: int) -> None:
    """Declares everything by a connection of its own; harmless when it is there with the same arguments.

    Raises:
        aiormq.exceptions.ChannelPreconditionFailed: something is there with other arguments; its text says what.
        aiormq.exceptions.AMQPError, OSError, TimeoutError: the broker is away.
    """
    async with asyncio.timeout(_ONCE_SECONDS):
        connection = await aiormq.connect(amqp_url)
        try:
            await declare(await connection.channel(publisher_confirms=False), partitions)
        finally:
            await connection.close()
