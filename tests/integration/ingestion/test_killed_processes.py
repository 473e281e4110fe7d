"""Processes that end, in order or not, take nothing acked with them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc
from energy.common.v1.error_reason_pb2 import ErrorReason

from common.localstack.mesh import Mesh
from common.topology import CONSUMING_SERVICES
from tests.integration.ingestion.running_ingestion import (
    PARTITIONS,
    FrameSender,
    QueueReader,
    eventually,
    running_ingestion,
)


@asynccontextmanager
async def ingestion_process(amqp_url: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`python -m ingestion` and the address where it listens."""
    settings = {"AMQP_URL": amqp_url, "PARTITIONS": str(PARTITIONS), "GRPC_PORT": "0", "METRICS_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ingestion", env={**os.environ, **settings}, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            while (record := json.loads(await process.stderr.readline()))["event"] != "grpc_server_started":
                pass
        yield process, record["address"]
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def send_until_ended(sender: FrameSender) -> None:
    """Sends requests for as long as the stream takes them."""
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        while not sender.has_ended:
            await sender.send(1)


def missing(sender: FrameSender, queues: QueueReader) -> set[int]:
    """The acked requests that some queue of a consuming service does not have."""
    absent: set[int] = set()
    for service in CONSUMING_SERVICES:
        for partition in range(PARTITIONS):
            absent |= set(sender.durable) - {int(name) for name in queues.names(service, partition)}
    return absent


async def test_sigterm_answers_what_was_read(broker_url: str, queues: QueueReader) -> None:
    """Asked to stop amid the requests, the process acks or refuses what it read and exits with 0."""
    async with ingestion_process(broker_url) as (process, address):
        sender = FrameSender(address)
        sending = asyncio.ensure_future(send_until_ended(sender))
        await eventually(lambda: len(sender.durable) >= 50)

        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            exit_code = await process.wait()
        await eventually(lambda: sender.has_ended)
        await sending
        await sender.close()
    queues.start()
    await eventually(lambda: not missing(sender, queues))

    assert exit_code == 0
    assert sorted(sender.durable) == list(range(1, len(sender.durable) + 1))
    assert set(sender.failed.values()) <= {ErrorReason.ERROR_REASON_SHUTTING_DOWN}


async def test_sigkill_loses_nothing_acked(broker_url: str, queues: QueueReader) -> None:
    """Killed amid the requests, the process has acked nothing that is not in every queue."""
    async with ingestion_process(broker_url) as (process, address):
        sender = FrameSender(address)
        sending = asyncio.ensure_future(send_until_ended(sender))
        await eventually(lambda: len(sender.durable) >= 50)

        process.kill()
        await eventually(lambda: sender.has_ended)
        await sending
        await sender.close()
    queues.start()
    await eventually(lambda: not missing(sender, queues))

    assert len(sender.durable) >= 50


async def test_a_killed_broker_loses_nothing_acked(servers: Mesh, broker_url: str, queues: QueueReader) -> None:
    """The broker is killed amid the requests; when it is back the same requests are acked, and no queue misses one."""
    async with running_ingestion(broker_url, away_patience_seconds=60) as app:
        await eventually(lambda: app.connection.is_connected)
        sender = FrameSender(app.server.address)
        await sender.send(200)
        await eventually(lambda: len(sender.durable) >= 50)

        await servers.keepers["rabbitmq"].kill()
        await sender.send(100)
        await eventually(lambda: sender.is_answered, seconds=60)
        await sender.close()
        queues.start()
        await eventually(lambda: not missing(sender, queues))

    assert (sorted(sender.durable), sender.failed) == (list(range(1, 301)), {})
    for service in CONSUMING_SERVICES:
        for partition in range(PARTITIONS):
            sequences = queues.sequences(service, partition)
            assert sequences == list(range(1, len(sequences) + 1))
