"""Analytics as a whole on the real broker, with a hand on what goes into its queues and an eye on what comes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiormq
import grpc
from aiormq.abc import AbstractChannel
from energy.ingestion.v1 import reading_batch_pb2
from energy.telemetry.v1 import reading_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from analytics.app import AnalyticsApp, analytics_app
from analytics.config import AnalyticsConfig
from common.broker import BrokerConnection, Publisher
from common.instants import duration_from_ms, from_ms
from common.lifecycle import Lifecycle
from common.topology import CONSUMING_SERVICES, READINGS_EXCHANGE, declare, queue_name, routing_key

PARTITIONS = 2
MINUTE_MS = 60_000
BATCH_TYPE = "energy.ingestion.v1.ReadingBatch"

# Nothing listens on the discard port: peers that are away.
NOBODY = "127.0.0.1:9"


async def eventually(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Waits until the condition holds.

    Raises:
        TimeoutError: it does not within `seconds`.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.01)


def batch_of(batch_id: str, receive_ms: int, *readings: reading_pb2.Reading) -> reading_batch_pb2.ReadingBatch:
    """A batch of one part; of none without readings."""
    part = reading_batch_pb2.Part(receive_time=from_ms(receive_ms), readings=readings)
    return reading_batch_pb2.ReadingBatch(batch_id=batch_id, parts=[part] if readings else [])


def reading_of(device_id: str, start_ms: int, **measurement: Any) -> reading_pb2.Reading:
    """A reading of one minute."""
    return reading_pb2.Reading(
        device_id=device_id, start_time=from_ms(start_ms), interval=duration_from_ms(MINUTE_MS), **measurement
    )


class Queues:
    """The way into the queues, as ingestion goes it, and a look at what is left in them."""

    def __init__(self, amqp_url: str, publisher: Publisher) -> None:
        self._amqp_url = amqp_url
        self._publisher = publisher

    async def publish(self, body: bytes, *, message_id: str, partition: int = 0) -> None:
        """Returns when the queues have the message."""
        await self._publisher.publish(
            READINGS_EXCHANGE, routing_key(partition), body, message_id=message_id, type_name=BATCH_TYPE
        )

    async def left_for_analytics(self) -> int:
        """Messages that wait in the queues of analytics; those that a consumer holds are not among them."""
        counts: list[int] = []

        async def count(channel: AbstractChannel) -> None:
            for partition in range(PARTITIONS):
                declared = await channel.queue_declare(queue_name("analytics", partition), passive=True)
                counts.append(declared.message_count or 0)

        await on_channel(self._amqp_url, count)
        return sum(counts)

    async def lose_for_analytics(self) -> int:
        """Drops what waits in the queues of analytics, as a queue that is too long does; returns how many messages."""
        lost = 0

        async def purge(channel: AbstractChannel) -> None:
            nonlocal lost
            for partition in range(PARTITIONS):
                lost += (await channel.queue_purge(queue_name("analytics", partition))).message_count or 0

        await on_channel(self._amqp_url, purge)
        return lost


async def on_channel(amqp_url: str, work: Callable[[AbstractChannel], Any]) -> None:
    """Does something on the broker, past every service."""
    connection = await aiormq.connect(amqp_url)
    try:
        await work(await connection.channel(publisher_confirms=False))
    finally:
        await connection.close()


async def delete_queues(channel: AbstractChannel) -> None:
    """Deletes every queue of the partitions used here."""
    for service in CONSUMING_SERVICES:
        for partition in range(PARTITIONS):
            await channel.queue_delete(queue_name(service, partition))


@asynccontextmanager
async def open_queues(amqp_url: str) -> AsyncIterator[Queues]:
    """Empty queues."""
    await on_channel(amqp_url, delete_queues)
    connection = BrokerConnection(amqp_url, "test", lambda channel: declare(channel, PARTITIONS))
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(connection.run())
        async with asyncio.timeout(20):
            await connection.wait_connected()
        try:
            yield Queues(amqp_url, Publisher(connection))
        finally:
            keeping.cancel()
    await on_channel(amqp_url, delete_queues)


class RunningAnalytics:
    """A running analytics."""

    def __init__(self, app: AnalyticsApp, channel: grpc.aio.Channel) -> None:
        self.app = app
        self.channel = channel

    def value(self, name: str, **labels: str) -> float:
        """A metric; 0 if there is none yet."""
        return self.app.metrics_registry.get_sample_value(name, labels) or 0.0

    async def is_serving(self, name: str) -> bool:
        """What health says under a name."""
        health: Any = health_pb2_grpc.HealthStub(self.channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def wait_serving(self) -> None:
        """Returns when the service is green."""
        async with asyncio.timeout(20):
            while not await self.is_serving(""):  # noqa: ASYNC110 - a test looks from outside
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running_analytics(
    amqp_url: str, mongo_url: str, *, gateway_address: str = NOBODY, billing_address: str = NOBODY
) -> AsyncIterator[RunningAnalytics]:
    """Analytics, on ports of its own; not necessarily green yet."""
    config = AnalyticsConfig(
        grpc_port=0,
        metrics_port=0,
        amqp_url=amqp_url,  # type: ignore[arg-type]
        mongo_url=mongo_url,  # type: ignore[arg-type]
        partitions=PARTITIONS,
        gateway_address=gateway_address,
        billing_address=billing_address,
        fleet_refresh_seconds=0.05,
        window_check_seconds=0.2,
        shutdown_grace_seconds=5.0,
    )
    async with (
        analytics_app(config, Lifecycle(config.shutdown_grace_seconds)) as app,
        grpc.aio.insecure_channel(app.server.address) as channel,
    ):
        yield RunningAnalytics(app, channel)
