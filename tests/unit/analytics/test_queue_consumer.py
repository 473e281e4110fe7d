"""A delivery is acknowledged when what came late in it is marked, and not before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from energy.ingestion.v1 import reading_batch_pb2
from energy.telemetry.v1 import reading_pb2
from prometheus_client import CollectorRegistry

from analytics import consumer as consumer_module
from analytics.batch_intake import BatchIntake
from analytics.consumer import QueueConsumer
from analytics.stream.batch_memory import BatchMemory
from analytics.stream.live_picture import LivePicture
from analytics.stream.reading_metrics import ReadingMetrics
from analytics.stream.reading_rate import ReadingRate
from common.broker import BrokerConnection, Delivery
from common.instants import duration_from_ms, from_ms
from tests.unit.analytics.test_due_windows import LATE_MS, NOON_MS, NOW_MS, Desk


@dataclass
class Subscription:
    """Deliveries of the test's own, and what became of them."""

    deliveries: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)
    acked: list[Any] = field(default_factory=list)

    async def ack(self, delivery: Delivery, *, multiple: bool = False) -> None:
        """Takes an acknowledgement."""
        assert multiple
        self.acked.append(delivery)

    async def stop(self) -> None:
        """Nothing to stop."""


class AllKnown:
    """Every device is known."""

    async def told(self, batches: object) -> None:
        """Waits for nobody."""


@dataclass
class Consuming:
    """A consumer, what comes to it, and where marks go."""

    consumer: QueueConsumer
    subscription: Subscription
    desk: Desk

    async def take(self, number: int, start_ms: int) -> None:
        """One delivery with one reading of a meter."""
        reading = reading_pb2.Reading(
            device_id="m-1",
            start_time=from_ms(start_ms),
            interval=duration_from_ms(60_000),
            meter=reading_pb2.MeterMeasurement(import_kwh=1.5),
        )
        part = reading_batch_pb2.Part(receive_time=from_ms(NOW_MS), readings=[reading])
        batch = reading_batch_pb2.ReadingBatch(batch_id=f"b-{number}", create_time=from_ms(NOW_MS), parts=[part])
        delivery: Any = SimpleNamespace(body=batch.SerializeToString(), message_id=batch.batch_id)
        await self.consumer._take([delivery])


@pytest.fixture
def consuming() -> Consuming:
    """A consumer that was never connected."""
    desk, registry = Desk(), CollectorRegistry()
    intake = BatchIntake(
        LivePicture(),
        ReadingMetrics(registry, lambda _: None),
        ReadingRate(),
        BatchMemory(100),
        desk.late,
        now_ms=lambda: NOW_MS,
    )

    async def declare(channel: object) -> None:
        """Declares nothing."""

    connection = BrokerConnection("amqp://nobody", "test", declare)
    devices: Any = AllKnown()
    consumer = QueueConsumer(connection, 0, 128, intake=intake, devices=devices, learn_partition_count=lambda _: None)
    subscription: Any = Subscription()
    consumer.subscription = subscription
    return Consuming(consumer, subscription, desk)


async def test_marks_are_written_before_the_delivery_is_acknowledged(consuming: Consuming) -> None:
    """While they are being written nothing is."""
    consuming.desk.store.held = asyncio.Event()
    await consuming.take(1, LATE_MS)
    async with asyncio.TaskGroup() as group:
        group.create_task(consuming.consumer.flush())
        await asyncio.sleep(0)
        assert (consuming.subscription.acked, consuming.consumer.unacknowledged_count) == ([], 1)
        consuming.desk.store.held.set()

    assert len(consuming.subscription.acked) == len(consuming.desk.store.marked) == 1
    assert consuming.consumer.unacknowledged_count == 0


async def test_deliveries_wait_for_a_store_that_is_away(consuming: Consuming) -> None:
    """They are acknowledged together when it is back."""
    consuming.desk.store.away = 1
    await consuming.take(1, LATE_MS)
    await consuming.consumer.flush()
    await consuming.take(2, NOON_MS)
    assert (consuming.subscription.acked, consuming.consumer.unacknowledged_count) == ([], 2)

    await consuming.consumer.stop()

    assert [delivery.message_id for delivery in consuming.subscription.acked] == ["b-2"]
    assert (len(consuming.desk.store.marked), consuming.consumer.unacknowledged_count) == (1, 0)


async def test_without_late_readings_the_store_is_not_needed(consuming: Consuming) -> None:
    """As most of the time."""
    consuming.desk.store.away = 1_000
    await consuming.take(1, NOON_MS)

    await consuming.consumer.flush()

    assert len(consuming.subscription.acked) == 1


async def test_two_flushes_at_once_acknowledge_each_delivery_once(consuming: Consuming) -> None:
    """One that was taken while the first waits for the store has its own turn."""
    consuming.desk.store.held = asyncio.Event()
    await consuming.take(1, LATE_MS)
    async with asyncio.TaskGroup() as group:
        group.create_task(consuming.consumer.flush())
        await asyncio.sleep(0)
        await consuming.take(2, LATE_MS)
        group.create_task(consuming.consumer.flush())
        await asyncio.sleep(0)
        consuming.desk.store.held.set()

    assert [delivery.message_id for delivery in consuming.subscription.acked] == ["b-1", "b-2"]


async def test_too_many_marks_that_wait_hold_the_queue_up(
    consuming: Consuming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the store takes them."""
    monkeypatch.setattr("analytics.windows.late_windows._WAITING_MAXIMUM", 1)
    monkeypatch.setattr(consumer_module, "STORE_RETRY_SECONDS", 0.001)
    consuming.desk.store.away = 3
    await consuming.take(1, LATE_MS)

    await consuming.consumer._intake.make_room()

    assert (len(consuming.desk.store.marked), consuming.desk.store.away) == (1, 0)
