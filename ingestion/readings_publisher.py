"""How a sealed batch reaches the queues: on the exchange of the readings, under the key of its partition."""

from __future__ import annotations

import asyncio
import math

from aiormq.exceptions import ChannelNotFoundEntity

from common.broker import BrokerAway, BrokerConnection, Publisher, PublishFailed, Unroutable
from common.broker_failures import broker_failures
from common.topology import READINGS_EXCHANGE, SETTLING_SECONDS, routing_key
from common.trace_context import TRACEPARENT
from ingestion.batch import BATCH_TYPE
from ingestion.broker_queues import PartitionQueues
from ingestion.sealed_batch import SealedBatch


def open_connection(amqp_url: str, queues: PartitionQueues) -> BrokerConnection:
    """A connection that counts as connected only after it has declared the queues of every consuming service."""
    return BrokerConnection(amqp_url, "ingestion", queues.declare)


class ReadingsPublisher:
    """Publishes batches; where an exchange or queue has vanished it declares all of them again before the next try."""

    def __init__(self, connection: BrokerConnection, queues: PartitionQueues, *, timeout_seconds: float) -> None:
        self._connection = connection
        self._publisher = Publisher(connection)
        self._queues = queues
        self._timeout_seconds = timeout_seconds
        self._declaring = asyncio.Lock()
        self._declared_at = -math.inf

    async def declare(self, partitions: int) -> None:
        """Returns when the queues of so many partitions exist and have settled; waits a while for a lost connection.

        Raises:
            PublishFailed: they do not, or it is not known whether they do.
        """
        await self._wait_connected()
        async with self._declaring:
            channel = await self._connection.open_channel(publisher_confirms=False)
            with broker_failures():
                await self._queues.declare_up_to(partitions, channel)
                await channel.close()

    async def publish(self, batch: SealedBatch) -> None:
        """Returns when the queues of every consuming service have the batch; waits a while for a lost connection.

        Raises:
            PublishFailed: they do not, or it is not known whether they do.
        """
        await self._wait_connected()
        try:
            await self._publisher.publish(
                READINGS_EXCHANGE,
                routing_key(batch.partition),
                batch.body,
                message_id=batch.batch_id,
                type_name=BATCH_TYPE,
                headers={TRACEPARENT: batch.traceparent} if batch.traceparent else None,
                timeout=self._timeout_seconds,
            )
        except PublishFailed as failure:
            if _is_topology_gone(failure):
                await self._declare_again()
            raise

    async def _wait_connected(self) -> None:
        # So that the first attempt after a reconnect comes at once, not after a backoff.
        if self._connection.is_connected:
            return
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._connection.wait_connected()
        except TimeoutError as away:
            raise BrokerAway("not connected") from away

    async def _declare_again(self) -> None:
        loop = asyncio.get_running_loop()
        noticed_at = loop.time()
        async with self._declaring:
            # Every partition notices at about the same time; once is enough for all of them.
            if self._declared_at >= noticed_at:
                return
            channel = await self._connection.open_channel(publisher_confirms=False)
            with broker_failures():
                await self._queues.declare(channel)
                await channel.close()
            await asyncio.sleep(SETTLING_SECONDS)
            self._declared_at = loop.time()


def _is_topology_gone(failure: PublishFailed) -> bool:
    # A missing queue returns the message, a missing exchange closes the channel.
    return isinstance(failure, Unroutable) or isinstance(failure.__cause__, ChannelNotFoundEntity)
