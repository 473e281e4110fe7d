"""How the closing of windows is put together: what prepares its place, who closes, who tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import stamina
from prometheus_client import CollectorRegistry
from pymongo.errors import PyMongoError

from analytics.config import AnalyticsConfig
from analytics.region_codec import closed_event
from analytics.region_methods import Regions
from analytics.region_usage import RegionUsageClient
from analytics.region_window_store import COLLECTION
from analytics.window_closer import WindowCloser, WindowMetrics
from common.broker import BrokerConnection
from common.event_outbox import EventOutbox, prepare_outbox
from common.mongo import Database
from common.registry_cache import RegistryCache

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.billing.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

_STORE_WAIT_MAXIMUM_SECONDS = 2.0


async def close_windows(
    config: AnalyticsConfig,
    database: Database,
    regions: Regions,
    registry_cache: RegistryCache,
    usage: UsageServiceAsyncStub,
    *,
    clock_ms: Callable[[], int],
    connection: BrokerConnection,
    registry: CollectorRegistry,
) -> None:
    """Closes windows and tells of them, for ever; a store that is away is waited for."""
    outbox = EventOutbox(database, COLLECTION, closed_event, connection, registry)
    closer = WindowCloser(
        registry=registry_cache,
        usage=RegionUsageClient(usage),
        windows=regions.windows,
        capacities=regions.capacities,
        lateness_ms=int(config.window_lateness_seconds * 1000),
        reach_ms=int(config.window_reach_seconds * 1000),
        clock_ms=clock_ms,
        told=outbox.notify,
        metrics=WindowMetrics(registry),
    )
    retried = stamina.retry_context(on=PyMongoError, attempts=None, timeout=None, wait_max=_STORE_WAIT_MAXIMUM_SECONDS)
    async for attempt in retried:
        with attempt:
            await regions.windows.prepare()
            await prepare_outbox(database, COLLECTION)
    async with asyncio.TaskGroup() as together:
        together.create_task(outbox.run())
        together.create_task(closer.run())
