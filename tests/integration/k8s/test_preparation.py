"""What a release needs of its servers is made before it rolls, on the real ones: once, twice, or not at all."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiormq
import pytest
import pytest_asyncio

from analytics.app import analytics_app
from analytics.config import AnalyticsConfig
from billing.app import billing_app
from billing.config import BillingConfig
from common.lifecycle import Lifecycle
from common.localstack.mesh import Mesh, local_servers
from common.localstack.settings import Ports
from common.mongo import Database, close, open_database
from common.topology import CONSUMING_SERVICES, DEAD_LETTER_QUEUE, event_queue_name, queue_name
from gateway.app import gateway_app
from gateway.config import GatewayConfig

ROOT = Path(__file__).resolve().parents[3]
PARTITIONS = 3
LIMIT_SECONDS = 60
Indexes = dict[str, dict[str, Any]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """Servers of these tests alone, for services keep everything in the one database of their name."""
    async with local_servers(tmp_path_factory.mktemp("servers"), Ports.free(), environ=os.environ) as mesh:
        yield mesh


@pytest_asyncio.fixture(loop_scope="session")
async def store(own_servers: Mesh) -> AsyncIterator[Database]:
    """The database of the services, empty before."""
    database = open_database(own_servers.mongo_url)
    await database.client.drop_database(database.name)
    yield database
    close(database)


def settings(servers: Mesh) -> dict[str, str]:
    """The variables of any service, with all retention on and its peers away."""
    return {
        "MONGO_URL": servers.mongo_url,
        "AMQP_URL": servers.amqp_url,
        "REDIS_URL": servers.redis_url,
        "PARTITIONS": str(PARTITIONS),
        "GRPC_PORT": "0",
        "METRICS_PORT": "0",
        "GATEWAY_ADDRESS": "127.0.0.1:1",
        "INGESTION_ADDRESS": "127.0.0.1:1",
        "BILLING_ADDRESS": "127.0.0.1:1",
        "RAW_RETENTION_DAYS": "30",
        "LOG_RETENTION_DAYS": "30",
    }


async def run(servers: Mesh, *arguments: str) -> tuple[int, str]:
    """The exit code of a program and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env={**os.environ, **settings(servers)},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(LIMIT_SECONDS):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def indexes(database: Database) -> Indexes:
    """Every index of every collection, without what only says that it is there."""
    return {name: dict(await database[name].index_information()) for name in await database.list_collection_names()}


async def queues_exist(amqp_url: str) -> bool:
    """Whether every queue of every service is there; the broker refuses to tell of one that is not."""
    connection = await aiormq.connect(amqp_url)
    try:
        channel = await connection.channel()
        for service in CONSUMING_SERVICES:
            for partition in range(PARTITIONS):
                await channel.queue_declare(queue_name(service, partition), passive=True)
        await channel.queue_declare(event_queue_name("billing"), passive=True)
        await channel.queue_declare(DEAD_LETTER_QUEUE, passive=True)
    finally:
        await connection.close()
    return True


async def test_everything_is_prepared_and_doing_it_again_changes_nothing(own_servers: Mesh, store: Database) -> None:
    """By the program that a cluster's job runs."""
    services = ("gateway", "billing", "analytics", "ingestion")

    first = await run(own_servers, "common.prepare", *services)
    made = await indexes(store)
    second = await run(own_servers, "common.prepare", *services)

    assert first == second == (0, "".join(f"{service}: prepared\n" for service in services))
    assert await indexes(store) == made
    assert {"devices", "meter_history", "readings_log", "invoices", "alerts", "partition_leases"} <= made.keys()
    assert await queues_exist(own_servers.amqp_url)


async def test_services_make_the_same_by_themselves(own_servers: Mesh, store: Database) -> None:
    """No index is forgotten by the program, and none is made that no service wants."""
    code, _ = await run(own_servers, "common.prepare", "gateway", "billing", "analytics")
    prepared = await indexes(store)
    await store.client.drop_database(store.name)

    async with AsyncExitStack() as running:
        await running.enter_async_context(gateway_app(GatewayConfig.load(settings(own_servers)), Lifecycle(5.0)))
        await running.enter_async_context(billing_app(BillingConfig.load(settings(own_servers)), Lifecycle(5.0)))
        await running.enter_async_context(analytics_app(AnalyticsConfig.load(settings(own_servers)), Lifecycle(5.0)))
        async with asyncio.timeout(LIMIT_SECONDS):
            while missing(prepared, own := await indexes(store)):  # noqa: ASYNC110 - a test looks from outside
                await asyncio.sleep(0.1)

    assert code == 0
    assert missing(own, prepared) == set()


def missing(wanted: Indexes, there: Indexes) -> set[tuple[str, str]]:
    """Indexes by collection and name that are wanted and not there, without those that each collection has anyway."""
    return {
        (collection, name)
        for collection, found in wanted.items()
        for name in found
        if name != "_id_" and name not in there.get(collection, {})
    }


async def test_a_queue_with_other_arguments_is_told_by_name_and_stops_what_comes_after(
    own_servers: Mesh, store: Database
) -> None:
    """The broker says which, and what differs, so that a person sees it before anything is rolled."""
    name = queue_name("billing", 0)
    connection = await aiormq.connect(own_servers.amqp_url)
    try:
        channel = await connection.channel()
        await channel.queue_delete(name)
        await channel.queue_declare(
            name, durable=True, arguments={"x-queue-type": "quorum", "x-max-length-bytes": 1_000_000}
        )

        code, said = await run(own_servers, "common.prepare", "ingestion", "gateway")
        await channel.queue_delete(name)
    finally:
        await connection.close()

    assert code == 1
    assert "ChannelPreconditionFailed" in said
    assert f"'{name}'" in said
    assert "ingestion: exit code 1" in said
    assert "devices" not in await indexes(store)


async def test_a_server_that_is_away_is_told(own_servers: Mesh) -> None:
    """So that the job is started again."""
    away = {**settings(own_servers), "MONGO_URL": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "billing",
        "--prepare",
        env={**os.environ, **away},
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LIMIT_SECONDS):
        _, said = await process.communicate()

    assert process.returncode == 1
    assert said.decode().startswith("not prepared: ServerSelectionTimeoutError")
