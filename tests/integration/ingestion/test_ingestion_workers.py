"""Two ingestion processes behind one port, and a gateway that reaches both."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

import pytest
from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from energy.ingestion.v1.reading_batch_pb2 import Part
from energy.telemetry.v1.reading_pb2 import Reading

from common.grpc_client import open_channel
from common.localstack.mesh import Mesh
from common.topology import CONSUMING_SERVICES, queue_name
from gateway.ingestion_client import IngestionClient
from gateway.ingestion_streams import IngestionStreams
from tests.integration.ingestion.conftest import delete_queues, on_channel
from tests.integration.ingestion.running_ingestion import QueueReader, eventually
from tests.integration.worker_processes import Workers

# So many, each on a stream of its own, that both workers get some.
PARTITIONS = 16


@pytest.fixture
async def workers_broker_url(servers: Mesh) -> AsyncIterator[str]:
    """The real broker without a queue of any partition used here, before and after."""
    await on_channel(servers.amqp_url, partial(delete_queues, partitions=PARTITIONS))
    yield servers.amqp_url
    await on_channel(servers.amqp_url, partial(delete_queues, partitions=PARTITIONS))


@pytest.fixture
async def all_queues(servers: Mesh) -> AsyncIterator[QueueReader]:
    """What arrives in the queues of all partitions; reads once a test calls `start`."""
    reader = QueueReader(servers.amqp_url, partitions=PARTITIONS)
    yield reader
    await reader.stop()


def ingestion_workers(amqp_url: str) -> AbstractAsyncContextManager[Workers]:
    """Two workers of ingestion."""
    return Workers.started("ingestion", {"AMQP_URL": amqp_url, "PARTITIONS": str(PARTITIONS)})


@asynccontextmanager
async def streams_to(address: str) -> AsyncIterator[IngestionStreams]:
    """As the gateway opens them, one for each partition."""
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(PARTITIONS):
            channel = await stack.enter_async_context(open_channel(address, own_connection=True))
            clients.append(IngestionClient(IngestionServiceStub(channel)))
        lives = [asyncio.ensure_future(client.run()) for client in clients]
        yield IngestionStreams(clients)
        for life in lives:
            life.cancel()
        await asyncio.wait(lives)


async def submit(streams: IngestionStreams, numbers: range) -> None:
    """Hands over a frame for each number, twenty at a time; returns when all are durable."""
    room = asyncio.Semaphore(20)

    async def submit_one(number: int) -> None:
        part = Part(readings=[Reading(device_id=str(number))]).SerializeToString()
        async with room:
            await streams.submit(dict.fromkeys(range(PARTITIONS), part), 60)

    async with asyncio.TaskGroup() as tasks:
        for number in numbers:
            tasks.create_task(submit_one(number))


async def test_a_killed_worker_loses_nothing(workers_broker_url: str, all_queues: QueueReader) -> None:
    """One of two is killed amid the frames: each is durable in the end, and in every queue."""
    async with ingestion_workers(workers_broker_url) as workers, streams_to(workers.address) as streams:
        await submit(streams, range(50))
        under_load = asyncio.ensure_future(submit(streams, range(50, 600)))
        await asyncio.sleep(0)

        os.kill(workers.pids[0], signal.SIGKILL)
        await under_load
        await eventually(lambda: workers.serving_count == 3)
        workers.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            code = await workers.process.wait()
    all_queues.start()
    expected = {str(number) for number in range(600)}
    every_queue = list(itertools.product(CONSUMING_SERVICES, range(PARTITIONS)))
    await eventually(lambda: all(expected <= set(all_queues.names(*queue)) for queue in every_queue))

    assert code == 0
    writers = {batch.writer for queue in every_queue for batch in all_queues.batches[queue_name(*queue)] if batch.parts}
    assert len(writers) >= 2
