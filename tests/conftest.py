"""What every test may lean on: real private servers, started once, and the folder of real sample files."""

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings
from redis.asyncio import Redis

from common.localstack import locate
from common.localstack.mesh import Mesh, local_servers
from common.localstack.settings import Ports
from common.mongo import Database, close, open_database
from common.redis_client import open_redis

# How long an example takes says more of what else the machine does; every test has a limit of its own besides.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """The real RabbitMQ, MongoDB-protocol server and Redis, private to this run of the tests."""
    run_dir = tmp_path_factory.mktemp("servers")
    async with local_servers(run_dir, Ports.free(), environ=os.environ) as mesh:
        yield mesh


@pytest_asyncio.fixture(loop_scope="session")
async def database(servers: Mesh) -> AsyncIterator[Database]:
    """An empty database of its own for one test."""
    found = open_database(servers.mongo_url, f"test_{uuid.uuid4().hex}")
    yield found
    await found.client.drop_database(found.name)
    close(found)


@pytest_asyncio.fixture(loop_scope="session")
async def redis(servers: Mesh) -> AsyncIterator[Redis]:
    """An empty Redis for one test."""
    client = open_redis(servers.redis_url)
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def samples_dir() -> Path:
    """The folder of real sample files; without it a test is skipped, in continuous integration it fails."""
    named = os.environ.get("SAMPLES_DIR", "")
    if named and Path(named).is_dir():
        return Path(named)
    reason = "SAMPLES_DIR names no folder of sample files"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def prometheus() -> Path:
    """Prometheus itself; without it a test is skipped, in continuous integration it fails."""
    return _of_debian("prometheus")


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus' own checks; without them a test is skipped, in continuous integration it fails."""
    return _of_debian("promtool")


def _of_debian(name: str) -> Path:
    if found := locate.on_path(name, os.environ):
        return found
    reason = f"{name} is missing: install Debian's package prometheus"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
