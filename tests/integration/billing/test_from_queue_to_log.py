"""Batches on their way from the real queues into the real log."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch, UndecodedReadingBatch
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect

from billing.consumer import ReadingsConsumer
from billing.log.batch_codec import BatchDecoder
from billing.log.completeness import Position
from billing.log.consumer_metrics import ConsumerMetrics
from billing.log.log_store import LogStore
from billing.log.segment import Segment
from billing.log.tail import Tail
from billing.log.watermark_store import WatermarkStore
from billing.log.watermarks import Watermarks
from common.broker import BrokerConnection, Publisher
from common.dead_letters import DeadLetter, DeadLetters
from common.instants import duration_from_ms, from_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from common.topology import DEAD_LETTER_QUEUE, READINGS_EXCHANGE, declare, queue_name, routing_key

PARTITION = 0
START_MS = 1_767_225_600_000
LIMIT_SECONDS = 20


def batch(number: int, minutes: range) -> ReadingBatch:
    """A batch of one meter's readings of some minutes."""
    readings = [
        Reading(
            device_id="m-1",
            start_time=from_ms(START_MS + minute * 60_000),
            interval=duration_from_ms(60_000),
            meter=MeterMeasurement(import_kwh=0.5),
        )
        for minute in minutes
    ]
    return ReadingBatch(
        batch_id=f"b-{number}",
        writer="w",
        sequence=number,
        partition=PARTITION,
        create_time=from_ms(START_MS),
        parts=[Part(receive_time=from_ms(START_MS), readings=readings)],
    )


BATCHES = [batch(number, range(number * 10, number * 10 + 10)) for number in range(1, 13)]


class Broker:
    """The test's own way to the queues."""

    def __init__(self, connection: BrokerConnection) -> None:
        self.connection = connection
        self._publisher = Publisher(connection)
        self._ids = itertools.count()

    async def send(self, body: bytes) -> None:
        """Publishes a message to the partition, as ingestion does."""
        await self._publisher.publish(
            READINGS_EXCHANGE,
            routing_key(PARTITION),
            body,
            message_id=f"m-{next(self._ids)}",
            type_name=ReadingBatch.DESCRIPTOR.full_name,
        )

    async def count(self, queue: str) -> int:
        """Messages that wait in a queue, those delivered and not acknowledged left out."""
        channel = await self.connection.open_channel(publisher_confirms=False)
        declared = await channel.queue_declare(queue, passive=True)
        await channel.close()
        return declared.message_count or 0


@pytest_asyncio.fixture(loop_scope="session")
async def broker(servers: Mesh) -> AsyncIterator[Broker]:
    """A connection with every queue declared and the ones used here empty."""
    connection = BrokerConnection(servers.amqp_url, "test", lambda channel: declare(channel, 8))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(connection.run())
        await asyncio.wait_for(connection.wait_connected(), LIMIT_SECONDS)
        channel = await connection.open_channel(publisher_confirms=False)
        for queue in (queue_name("billing", PARTITION), queue_name("analytics", PARTITION), DEAD_LETTER_QUEUE):
            await channel.queue_purge(queue)
        yield Broker(connection)
        running.cancel()


@asynccontextmanager
async def consuming(broker: Broker, database: Database, log: LogStore, tail: Tail) -> AsyncIterator[ReadingsConsumer]:
    """A consumer of the partition, stopped in order at the end."""
    watermarks = Watermarks(
        WatermarkStore(database), CollectorRegistry(), steady_clock=time.monotonic, now_ms=lambda: START_MS
    )
    consumer = ReadingsConsumer(
        broker=broker.connection,
        partition=PARTITION,
        prefetch=8,
        log=log,
        tail=tail,
        decoder=BatchDecoder(),
        dead_letters=DeadLetters(broker.connection, CollectorRegistry()),
        publish=lambda _: None,
        learn_partition_count=lambda _: None,
        watermarks=watermarks,
        metrics=ConsumerMetrics(CollectorRegistry()),
        clock=lambda: 0.0,
    )
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(task) for task in (consumer.subscribe(), consumer.run(), watermarks.run())]
        yield consumer
        await consumer.stop()
        for task in running:
            task.cancel()


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits until a condition holds, within a limit."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not await condition():  # noqa: ASYNC110 - the state of a server has no event
            await asyncio.sleep(0.02)


async def logged(database: Database) -> dict[str, int]:
    """Readings of each batch in the log."""
    return {found["_id"]: found["reading_count"] async for found in database["readings_log"].find()}


async def test_every_message_twice_and_in_reverse_is_logged_once(broker: Broker, database: Database) -> None:
    """The log has each batch once whatever is redelivered, and nothing stays in the queue."""
    log, tail = LogStore(database), Tail(100_000)
    for one in [*BATCHES, *reversed(BATCHES)]:
        await broker.send(one.SerializeToString())

    async with consuming(broker, database, log, tail):

        async def is_done() -> bool:
            return await broker.count(queue_name("billing", PARTITION)) == 0 and len(await logged(database)) == 12

        await eventually(is_done)

    assert await logged(database) == {f"b-{number}": 10 for number in range(1, 13)}
    assert tail.reading_count == 120


async def test_poison_goes_to_the_dead_letters_and_its_neighbours_to_the_log(
    broker: Broker, database: Database
) -> None:
    """What cannot be decoded is set aside; what stands before and behind it is kept."""
    log, tail = LogStore(database), Tail(100_000)
    for body in (BATCHES[0].SerializeToString(), b"\xff\xfe poison", BATCHES[1].SerializeToString()):
        await broker.send(body)

    async with consuming(broker, database, log, tail):

        async def is_done() -> bool:
            return await broker.count(DEAD_LETTER_QUEUE) == 1 and len(await logged(database)) == 2

        await eventually(is_done)

    assert await logged(database) == {"b-1": 10, "b-2": 10}


@pytest.mark.parametrize(
    "poison",
    [
        b"\xff\xfe poison",
        Part(
            receive_time=from_ms(START_MS),
            readings=[Reading(device_id="m-1", start_time=from_ms(START_MS), meter=MeterMeasurement(import_kwh=1e13))],
        ).SerializeToString(),
    ],
    ids=["no protobuf", "an energy beyond 64 bits"],
)
async def test_a_part_that_cannot_be_decoded_is_set_aside_alone(
    poison: bytes, broker: Broker, database: Database
) -> None:
    """The Parts around it are logged, and it waits among the dead letters with its reason."""
    log, tail = LogStore(database), Tail(100_000)
    sound = BATCHES[0].parts[0].SerializeToString()
    poisoned = UndecodedReadingBatch(
        batch_id="b-poisoned", create_time=from_ms(START_MS), parts=[sound, poison, sound]
    ).SerializeToString()
    await broker.send(poisoned)

    async with consuming(broker, database, log, tail):

        async def is_done() -> bool:
            return await broker.count(DEAD_LETTER_QUEUE) == 1 and len(await logged(database)) == 1

        await eventually(is_done)

    channel = await broker.connection.open_channel(publisher_confirms=False)
    message = await channel.basic_get(DEAD_LETTER_QUEUE, no_ack=True)
    await channel.close()
    letter = DeadLetter.decode(message.body, message.header.properties.headers or {}, "")
    assert await logged(database) == {"b-poisoned": 20}
    assert (letter.body, letter.batch_id, letter.part_index) == (poison, "b-poisoned", 1)
    assert letter.reason


class StumblingLog(LogStore):
    """The real log behind a store that fails the first writes."""

    failures = 1

    async def append(self, segments: list[Segment]) -> set[str]:  # type: ignore[override]
        """Fails as a driver does whose server went away after the write, then writes again."""
        known = await super().append(segments)
        if self.failures:
            self.failures -= 1
            raise AutoReconnect("gone")
        return known


async def test_a_store_that_fails_is_written_again_and_nothing_is_requeued(broker: Broker, database: Database) -> None:
    """A write whose answer was lost is repeated and recognised; every batch stays once in the log."""
    log, tail = StumblingLog(database), Tail(100_000)
    for one in BATCHES:
        await broker.send(one.SerializeToString())

    async with consuming(broker, database, log, tail):

        async def is_done() -> bool:
            return await broker.count(queue_name("billing", PARTITION)) == 0 and len(await logged(database)) == 12

        await eventually(is_done)

    assert log.failures == 0
    assert len(await log.unmerged_ids([PARTITION])) == 12


async def test_ticks_move_the_watermark_and_leave_the_log_alone(broker: Broker, database: Database) -> None:
    """A batch without readings costs no document of the log, and is gone from the queue only once it is kept."""
    watermarks = WatermarkStore(database)
    for number in range(1, 6):
        one = batch(number, range(2))
        one.create_time.CopyFrom(from_ms(START_MS + number))
        if number != 2:
            del one.parts[:]
        await broker.send(one.SerializeToString())

    async with consuming(broker, database, LogStore(database), Tail(100_000)):

        async def is_done() -> bool:
            return (await watermarks.load(PARTITION)).positions.get("w") == Position(5, START_MS + 5)

        await eventually(is_done)

    assert (await watermarks.load(PARTITION)).complete_through_ms == START_MS + 5
    assert await logged(database) == {"b-2": 2}
    assert await broker.count(queue_name("billing", PARTITION)) == 0


async def test_a_tick_behind_a_gap_is_kept_by_its_number(broker: Broker, database: Database) -> None:
    """Whoever owns the partition next has to know that it came."""
    for number in (1, 3):
        one = batch(number, range(1))
        if number == 3:
            del one.parts[:]
        await broker.send(one.SerializeToString())

    async with consuming(broker, database, LogStore(database), Tail(100_000)):

        async def is_done() -> bool:
            return (await WatermarkStore(database).load(PARTITION)).beyond == {"w": {3: START_MS}}

        await eventually(is_done)

    known = await WatermarkStore(database).load(PARTITION)
    assert (known.positions, known.complete_through_ms) == ({"w": Position(1, START_MS)}, START_MS)
    assert await logged(database) == {"b-1": 1}
    assert await broker.count(queue_name("billing", PARTITION)) == 0


async def test_what_is_recorded_is_recorded_after_the_instant_that_was_complete(
    broker: Broker, database: Database
) -> None:
    """However far ahead the clock of a writer is, what comes later is not among what was complete before."""
    ahead_ms = time.time_ns() // 1_000_000 + 3_600_000
    first, second = batch(1, range(1)), batch(2, range(1, 2))
    first.create_time.CopyFrom(from_ms(ahead_ms))
    second.create_time.CopyFrom(from_ms(ahead_ms))
    log, tail = LogStore(database), Tail(100_000)
    await broker.send(first.SerializeToString())
    async with consuming(broker, database, log, tail):

        async def is_complete() -> bool:
            return (await WatermarkStore(database).load(PARTITION)).complete_through_ms == ahead_ms

        await eventually(is_complete)
    await broker.send(second.SerializeToString())
    async with consuming(broker, database, log, tail):

        async def is_logged() -> bool:
            return len(await logged(database)) == 2

        await eventually(is_logged)

    recorded_ms = {segment.batch_id: segment.record_ms for segment in await log.load(["b-1", "b-2"])}
    assert recorded_ms == {"b-1": ahead_ms + 1, "b-2": ahead_ms + 1}
