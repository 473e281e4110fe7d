"""The gateway's way to ingestion and the real broker, while the queue of one partition is full."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from energy.ingestion.v1.reading_batch_pb2 import Part
from energy.telemetry.v1.reading_pb2 import Reading

from common.errors import Overloaded
from common.grpc_client import open_channel
from common.topology import CONSUMING_SERVICES, QueueLimits
from gateway.ingestion_client import IngestionClient
from tests.integration.ingestion.running_ingestion import PARTITIONS, QueueReader, eventually, running_ingestion

FRAMES = 40
FULL_PARTITION = 1


@asynccontextmanager
async def running_client(address: str) -> AsyncIterator[IngestionClient]:
    """The gateway's stream to ingestion."""
    async with open_channel(address) as channel:
        client = IngestionClient(IngestionServiceStub(channel))
        life = asyncio.ensure_future(client.run())
        yield client
        life.cancel()
        await asyncio.wait([life])


def part_of(name: str) -> bytes:
    """A serialised Part that can be told from others."""
    return Part(readings=[Reading(device_id=name)]).SerializeToString()


async def fill(client: IngestionClient, partition: int) -> None:
    """Hands over large Parts until the queue takes no more."""
    try:
        while True:
            await client.submit({partition: part_of("filling" + "x" * 5_000)}, 0.6)
    except Overloaded:
        return


async def test_one_full_queue_loses_and_doubles_nothing(bare_broker_url: str, queues: QueueReader) -> None:
    """Forty frames over three partitions, one of them full until it is read: each Part is in each queue, once."""
    limits = QueueLimits(billing_bytes=20_000)
    async with (
        running_ingestion(bare_broker_url, queue_limits=limits, overload_patience_seconds=0.3) as app,
        running_client(app.server.address) as client,
    ):
        await eventually(lambda: app.connection.is_connected)
        await fill(client, FULL_PARTITION)
        frames = [
            {partition: part_of(f"frame-{number}-{partition}") for partition in range(PARTITIONS)}
            for number in range(FRAMES)
        ]
        submitting = [asyncio.ensure_future(client.submit(parts, 60)) for parts in frames]
        # The others of their partitions go on meanwhile.
        for number in range(FRAMES):
            await client.submit({0: part_of(f"other-{number}-0")}, 5)
        told_early = [one for one in submitting if one.done()]
        queues.start()
        await asyncio.gather(*submitting)

        def found(service: str, partition: int) -> Counter[str]:
            return Counter(name for name in queues.names(service, partition) if not name.startswith("filling"))

        expected = {
            partition: Counter(f"frame-{number}-{partition}" for number in range(FRAMES))
            for partition in range(PARTITIONS)
        }
        expected[0].update(f"other-{number}-0" for number in range(FRAMES))
        places = [(service, partition) for service in CONSUMING_SERVICES for partition in range(PARTITIONS)]
        await eventually(lambda: all(found(service, partition) >= expected[partition] for service, partition in places))

    assert told_early == []
    for service, partition in places:
        assert found(service, partition) == expected[partition]
