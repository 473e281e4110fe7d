"""Nothing seen yet, and nobody told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from common.mongo import Database
from tests.integration.analytics.notifications.post import Post, open_post


@pytest_asyncio.fixture(loop_scope="session")
async def post(database: Database) -> AsyncIterator[Post]:
    """Nothing seen, nobody told."""
    async with open_post(database) as opened:
        yield opened
