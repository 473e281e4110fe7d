"""The gateway sends to more partitions than ingestion has begun with, amid the requests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from functools import partial

import pytest

from common.localstack.mesh import Mesh
from common.topology import CONSUMING_SERVICES, SETTLING_SECONDS, queue_name
from tests.integration.ingestion.conftest import delete_queues, on_channel
from tests.integration.ingestion.running_ingestion import (
    FrameSender,
    QueueReader,
    eventually,
    running_ingestion,
)

BEFORE = 4
AFTER = 8


@pytest.fixture
async def fresh_broker_url(servers: Mesh) -> str:
    """The real broker without a queue of any partition used here."""
    await on_channel(servers.amqp_url, partial(delete_queues, partitions=AFTER))
    return servers.amqp_url


@pytest.fixture
async def all_queues(servers: Mesh) -> AsyncIterator[QueueReader]:
    """What arrives in the queues of all partitions; reads once a test calls `start`."""
    reader = QueueReader(servers.amqp_url, partitions=AFTER)
    yield reader
    await reader.stop()


async def send_one_by_one(sender: FrameSender, enough: asyncio.Event) -> float:
    """Sends requests, each after the answer of the one before; returns the longest wait for an answer in seconds."""
    loop = asyncio.get_running_loop()
    longest_seconds = 0.0
    while not enough.is_set():
        started = loop.time()
        await sender.send(1)
        await eventually(lambda: sender.is_answered)
        longest_seconds = max(longest_seconds, loop.time() - started)
    return longest_seconds


async def test_growth_under_load_loses_nothing_and_stops_nobody(fresh_broker_url: str, all_queues: QueueReader) -> None:
    """From 4 to 8: each request is acked and in every queue in order, and the old partitions go on meanwhile."""
    async with running_ingestion(fresh_broker_url, partitions=BEFORE, away_patience_seconds=15) as app:
        await eventually(lambda: app.connection.is_connected)
        old, new = FrameSender(app.server.address, partitions=BEFORE), FrameSender(app.server.address, partitions=AFTER)
        enough = asyncio.Event()
        sending = asyncio.ensure_future(send_one_by_one(old, enough))
        await eventually(lambda: len(old.durable) >= 20)

        await new.send(200)
        await eventually(lambda: new.is_answered)
        enough.set()
        longest_seconds = await sending
        await old.close()
        await new.close()
    all_queues.start()
    await eventually(
        lambda: all(
            len(all_queues.names(service, partition)) >= 200 + (len(old.durable) if partition < BEFORE else 0)
            for service, partition in itertools.product(CONSUMING_SERVICES, range(AFTER))
        )
    )

    assert (len(new.durable), new.failed, old.failed) == (200, {}, {})
    assert longest_seconds < SETTLING_SECONDS
    for service, partition in itertools.product(CONSUMING_SERVICES, range(AFTER)):
        names = all_queues.names(service, partition)
        sequences = all_queues.sequences(service, partition)
        assert sequences == list(range(1, len(sequences) + 1))
        counts = [batch.partition_count for batch in all_queues.batches[queue_name(service, partition)]]
        assert counts == sorted(counts)
        assert set(counts) == ({BEFORE, AFTER} if partition < BEFORE else {AFTER})
        if partition >= BEFORE:
            assert names == [str(number) for number in range(1, 201)]


async def test_what_has_grown_is_declared_again_like_the_rest(fresh_broker_url: str, all_queues: QueueReader) -> None:
    """Queues that vanish after the growth come back for all the partitions known, not only for those at start-up."""
    async with running_ingestion(fresh_broker_url, partitions=BEFORE, away_patience_seconds=15) as app:
        sender = FrameSender(app.server.address, partitions=AFTER)
        await sender.send(1)
        await eventually(lambda: sender.is_answered)

        await on_channel(fresh_broker_url, partial(delete_queues, partitions=AFTER))
        await sender.send(1)
        await eventually(lambda: sender.is_answered)
        await sender.close()
        all_queues.start()
        await eventually(lambda: all_queues.names("billing", AFTER - 1) and all_queues.names("analytics", AFTER - 1))

    assert sorted(sender.durable) == [1, 2]
    assert all_queues.names("billing", AFTER - 1) == all_queues.names("analytics", AFTER - 1) == ["2"]


async def test_after_a_restart_what_has_grown_ticks_though_nothing_is_sent_there(
    fresh_broker_url: str, all_queues: QueueReader
) -> None:
    """The queues on the broker tell how many partitions there are."""
    async with running_ingestion(fresh_broker_url, partitions=BEFORE, away_patience_seconds=15) as grown:
        sender = FrameSender(grown.server.address, partitions=AFTER)
        await sender.send(1)
        await eventually(lambda: sender.is_answered)
        await sender.close()

    async with running_ingestion(fresh_broker_url, partitions=BEFORE, tick_seconds=0.2) as restarted:
        all_queues.start()
        writer = restarted.group_commit.writer
        await eventually(
            lambda: all(
                any(batch.writer == writer for batch in all_queues.batches[queue_name(service, partition)])
                for service, partition in itertools.product(CONSUMING_SERVICES, range(AFTER))
            )
        )

    counts = [batch.partition_count for batch in all_queues.batches["billing.readings.0"] if batch.writer == writer]
    assert counts[-1] == AFTER
