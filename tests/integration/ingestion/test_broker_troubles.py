"""What the service says while the broker cannot take batches, and that it mends by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from aiormq.abc import AbstractChannel
from energy.common.v1.error_reason_pb2 import ErrorReason
from grpc_health.v1 import health_pb2, health_pb2_grpc

from common.topology import READINGS_EXCHANGE, QueueLimits, queue_name
from ingestion.app import SERVICE_NAME
from tests.integration.ingestion.conftest import delete_queues, on_channel
from tests.integration.ingestion.running_ingestion import FrameSender, QueueReader, eventually, running_ingestion
from tests.integration.ingestion.severable_wire import SeverableWire


async def is_green(address: str, name: str = SERVICE_NAME) -> bool:
    """Whether the gRPC health of a name says SERVING."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def becomes_green(address: str, *, green: bool) -> None:
    """Returns when the health has that colour.

    Raises:
        TimeoutError: it does not get it.
    """
    async with asyncio.timeout(20):
        while await is_green(address) is not green:  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.05)


async def test_red_without_the_broker_green_with_it(wire: SeverableWire, wire_url: str) -> None:
    """The service starts without a broker, red but alive, turns green when it comes and red when it goes."""
    wire.close()
    async with running_ingestion(wire_url) as app:
        at_start = (await is_green(app.server.address), await is_green(app.server.address, "liveness"))
        await wire.open()
        await becomes_green(app.server.address, green=True)
        wire.close()
        await becomes_green(app.server.address, green=False)
        alive_at_end = await is_green(app.server.address, "liveness")

    assert at_start == (False, True)
    assert alive_at_end


async def test_red_while_confirms_stay_away(wire: SeverableWire, wire_url: str) -> None:
    """A connection that is open and says nothing turns the service red, and its requests fail; then both recover."""
    async with running_ingestion(wire_url, publish_timeout_seconds=0.2) as app:
        await becomes_green(app.server.address, green=True)
        sender = FrameSender(app.server.address)

        wire.silence(on=True)
        await sender.send(2)
        await becomes_green(app.server.address, green=False)
        await eventually(lambda: sender.is_answered)
        failed = dict(sender.failed)
        wire.silence(on=False)
        wire.cut()
        await becomes_green(app.server.address, green=True)
        await sender.send(1)
        await eventually(lambda: sender.durable == [3])
        await sender.close()

    unavailable = ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE
    assert failed == {1: unavailable, 2: unavailable}


async def test_deleted_queues_are_declared_again(broker_url: str, queues: QueueReader) -> None:
    """A batch that no queue takes is not acked before the queues are back."""
    async with running_ingestion(broker_url, away_patience_seconds=15) as app:
        await eventually(lambda: app.connection.is_connected)
        await on_channel(broker_url, delete_queues)
        sender = FrameSender(app.server.address)

        await sender.send(1)
        await eventually(lambda: sender.is_answered)
        queues.start()
        await eventually(lambda: queues.names("billing", 0) and queues.names("analytics", 0))
        await sender.close()

    assert sender.durable == [1]
    assert queues.names("billing", 0) == queues.names("analytics", 0) == ["1"]


async def test_a_deleted_exchange_is_declared_again(broker_url: str) -> None:
    """A publish to nowhere closes the channel; the service mends the topology and acks."""

    async def delete_exchange(channel: AbstractChannel) -> None:
        await channel.exchange_delete(READINGS_EXCHANGE)

    async with running_ingestion(broker_url, away_patience_seconds=15) as app:
        await eventually(lambda: app.connection.is_connected)
        await on_channel(broker_url, delete_exchange)
        sender = FrameSender(app.server.address)

        await sender.send(1)
        await eventually(lambda: sender.is_answered)
        await sender.close()

    assert sender.durable == [1]


async def test_a_full_queue_is_overloaded_until_it_is_read(bare_broker_url: str, queues: QueueReader) -> None:
    """What billing's queue cannot hold fails as OVERLOADED; the service stays green, and acks again when it is read."""
    limits = QueueLimits(billing_bytes=20_000)
    async with running_ingestion(bare_broker_url, queue_limits=limits, overload_patience_seconds=0.3) as app:
        await becomes_green(app.server.address, green=True)
        sender = FrameSender(app.server.address)

        while not sender.failed:
            await sender.send(1, filling="x" * 5_000)
            await eventually(lambda: sender.is_answered)
        green_when_full = await app.health.evaluate()
        acked_count = len(sender.durable)
        queues.start()
        await eventually(lambda: len(queues.names("billing", 0)) >= acked_count)
        while len(sender.durable) == acked_count:
            await sender.send(1)
            await eventually(lambda: sender.is_answered)
        await sender.close()
        acked = set(sender.durable)
        await eventually(lambda: acked <= {int(name.strip("x")) for name in queues.names("billing", 0)})

    assert set(sender.failed.values()) == {ErrorReason.ERROR_REASON_OVERLOADED}
    assert acked_count >= 1
    assert green_when_full
    assert queue_name("billing", 0) in queues.batches
