"""Several streams to ingestion: each partition on its own, all of a frame durable or none of it told so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from energy.common.v1 import error_reason_pb2 as reasons
from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub

from common.errors import Overloaded
from common.grpc_client import open_channel
from gateway.ingestion_client import IngestionClient
from gateway.ingestion_streams import IngestionStreams
from tests.wire.gateway.scripted_ingestion import ScriptedIngestion


@pytest.fixture
async def streams(ingestion: ScriptedIngestion) -> AsyncIterator[IngestionStreams]:
    """Two streams."""
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(2):
            channel = await stack.enter_async_context(open_channel(ingestion.address, own_connection=True))
            clients.append(IngestionClient(IngestionServiceStub(channel)))
        lives = [asyncio.ensure_future(client.run()) for client in clients]
        yield IngestionStreams(clients)
        for life in lives:
            life.cancel()
        await asyncio.wait(lives)


async def test_a_frame_is_spread_and_a_partition_keeps_its_stream(
    streams: IngestionStreams, ingestion: ScriptedIngestion
) -> None:
    """Even partitions on one stream, odd ones on the other, each under that stream's own numbers."""
    for _ in range(3):
        await streams.submit({0: b"", 1: b"", 2: b"", 3: b""}, 10)

    partitions = sorted([part.partition for part in request.parts] for request in ingestion.requests)
    assert partitions == [[0, 2]] * 3 + [[1, 3]] * 3
    assert sorted(request.sequence for request in ingestion.requests) == [1, 1, 2, 2, 3, 3]
    assert ingestion.streams_count == 2


async def test_each_stream_has_a_connection_of_its_own(streams: IngestionStreams, ingestion: ScriptedIngestion) -> None:
    """Else all of them would reach the same worker."""
    await streams.submit({0: b"", 1: b""}, 10)

    assert len(ingestion.peers) == 2


async def test_a_frame_of_one_partition_takes_one_stream(
    streams: IngestionStreams, ingestion: ScriptedIngestion
) -> None:
    """Nothing is sent where nothing belongs."""
    await streams.submit({5: b""}, 10)

    assert [[part.partition for part in request.parts] for request in ingestion.requests] == [[5]]


async def test_a_frame_fails_when_any_share_of_it_does(streams: IngestionStreams, ingestion: ScriptedIngestion) -> None:
    """The other share may be durable; whoever sends the frame again makes duplicates that are known."""
    ingestion.refusals.extend([reasons.ERROR_REASON_OVERLOADED] * 100)

    with pytest.raises(Overloaded):
        await streams.submit({0: b"", 1: b""}, 0.3)
