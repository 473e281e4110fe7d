"""The figures of every service, for tests that ask what they are called."""

from __future__ import annotations

import pytest_asyncio

from tests.unit.monitoring.exported import ExportedMetric, exported_metrics


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def exported() -> tuple[ExportedMetric, ...]:
    """All of them."""
    return await exported_metrics()
