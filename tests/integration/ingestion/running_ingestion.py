"""The whole service in this process, and a client that hands it frames and writes down what was acked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import grpc
from energy.ingestion.v1.ingestion_service_pb2 import IngestReadingsRequest, PartitionPart
from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import Reading

from common.broker import BrokerConnection, Consumer
from common.lifecycle import Lifecycle
from common.topology import CONSUMING_SERVICES, QueueLimits, queue_name
from ingestion.app import IngestionApp, ingestion_app
from ingestion.config import IngestionConfig

PARTITIONS = 3


@asynccontextmanager
async def running_ingestion(
    amqp_url: str, *, queue_limits: QueueLimits | None = None, **settings: float
) -> AsyncIterator[IngestionApp]:
    """Ingestion with three partitions, quick to give up, on free ports; need not be green yet."""
    chosen = {"away_patience_seconds": 1.0, "stall_seconds": 0.5, **settings}
    environ = {"AMQP_URL": amqp_url, "PARTITIONS": str(PARTITIONS), "GRPC_PORT": "0", "METRICS_PORT": "0"}
    environ |= {name.upper(): str(value) for name, value in chosen.items()}
    config = IngestionConfig.load(environ)
    async with ingestion_app(config, Lifecycle(5.0), queue_limits=queue_limits or QueueLimits()) as app:
        yield app


class FrameSender:
    """Hands over numbered requests on one stream, a Part for each partition, and keeps the answers."""

    def __init__(self, address: str, *, partitions: int = PARTITIONS) -> None:
        self._partitions = range(partitions)
        self._channel = grpc.aio.insecure_channel(address)
        self._call = IngestionServiceStub(self._channel).IngestReadings()
        self._reading = asyncio.ensure_future(self._read())
        self._sent_count = 0
        self.has_ended = False
        self.durable: list[int] = []
        self.failed: dict[int, int] = {}

    async def send(self, count: int, *, filling: str = "") -> None:
        """Sends so many further requests."""
        for _ in range(count):
            self._sent_count += 1
            part = Part(readings=[Reading(device_id=f"{self._sent_count}{filling}")]).SerializeToString()
            parts = [PartitionPart(partition=partition, part=part) for partition in self._partitions]
            await self._call.write(IngestReadingsRequest(sequence=self._sent_count, parts=parts))

    @property
    def is_answered(self) -> bool:
        """Whether every request sent has its answer."""
        return len(self.durable) + len(self.failed) == self._sent_count

    async def close(self) -> None:
        """Ends the stream."""
        self._call.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        await self._channel.close()

    async def _read(self) -> None:
        # How it ends is nothing to go by: a write at that moment hides the server's status behind one of the client's.
        with suppress(grpc.aio.AioRpcError):
            async for response in self._call:
                self.durable += response.durable_sequences
                self.failed |= {failure.sequence: failure.reason for failure in response.failures}
        self.has_ended = True


class QueueReader:
    """Takes the batches of every consuming service's queues, in order, and writes them down."""

    def __init__(self, amqp_url: str, *, partitions: int = PARTITIONS) -> None:
        self._connection = BrokerConnection(amqp_url, "test-reader")
        self._partitions = range(partitions)
        self._life: asyncio.Future[None] | None = None
        self.batches: dict[str, list[ReadingBatch]] = defaultdict(list)

    def start(self) -> None:
        """Begins to read; the queues must exist."""
        self._life = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Ends reading."""
        if self._life is not None:
            self._life.cancel()
            with suppress(asyncio.CancelledError):
                await self._life

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._connection.run())
            for service in CONSUMING_SERVICES:
                for partition in self._partitions:
                    consumer = Consumer(self._connection, queue_name(service, partition), prefetch=100)
                    tasks.create_task(consumer.run())
                    tasks.create_task(self._take(consumer, queue_name(service, partition)))

    async def _take(self, consumer: Consumer, queue: str) -> None:
        while True:
            delivery = await consumer.deliveries.get()
            self.batches[queue].append(ReadingBatch.FromString(delivery.body))
            await consumer.ack(delivery)

    def names(self, service: str, partition: int) -> list[str]:
        """The names of the Parts in the order of their arrival, of each batch only the first copy."""
        seen: dict[str, list[str]] = {}
        for batch in self.batches[queue_name(service, partition)]:
            seen.setdefault(batch.batch_id, [part.readings[0].device_id for part in batch.parts])
        return [name for names in seen.values() for name in names]

    def sequences(self, service: str, partition: int) -> list[int]:
        """The batch numbers in the order of their arrival, of each batch only the first copy."""
        seen = {batch.batch_id: batch.sequence for batch in self.batches[queue_name(service, partition)]}
        return list(seen.values())

    def copies(self, service: str, partition: int) -> int:
        """How many batches arrived, every copy counted."""
        return len(self.batches[queue_name(service, partition)])


async def eventually(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Waits until the condition holds.

    Raises:
        TimeoutError: it does not within `seconds`.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.01)
