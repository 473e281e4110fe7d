"""Empty queues on the real broker for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from common.localstack.mesh import Mesh
from tests.integration.analytics.running_analytics import Queues, open_queues


@pytest_asyncio.fixture(loop_scope="session")
async def queues(servers: Mesh) -> AsyncIterator[Queues]:
    """The queues, without what earlier tests left in them."""
    async with open_queues(servers.amqp_url) as opened:
        yield opened
