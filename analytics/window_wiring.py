"""How the windows of regions are put together: who marks what came late, who closes, who tells, who is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from energy.billing.v1 import usage_service_pb2_grpc
from prometheus_client import CollectorRegistry
from pymongo.errors import PyMongoError

from analytics.config import AnalyticsConfig
from analytics.fleet.fleet_report import FleetReport
from analytics.windows.due_window_store import DueWindowStore
from analytics.windows.late_check import LateCheck, LateStores
from analytics.windows.late_windows import LateWindows
from analytics.windows.region_capacity_store import RegionCapacityStore
from analytics.windows.region_hour_store import RegionHourStore
from analytics.windows.region_load_codec import closed_event
from analytics.windows.region_load_feed import RegionLoadFeed
from analytics.windows.region_load_report import RegionLoadReport
from analytics.windows.region_window_store import COLLECTION, RegionWindowStore
from analytics.windows.window_closer import ClosingSettings, WindowCloser
from analytics.windows.window_metrics import RegionLoadMetrics, WindowMetrics
from analytics.windows.window_progress_store import WindowProgressStore
from analytics.windows.window_stores import WindowStores
from analytics.windows.window_summing import WindowSumming
from analytics.windows.window_usage import WindowUsage
from common.broker import BrokerConnection
from common.event_outbox import EventOutbox
from common.lifecycle import Lifecycle
from common.mongo import Database
from common.registry_cache import RegistryCache
from common.retrying import retried_for_ever

_STORE_WAIT_INITIAL_SECONDS, _STORE_WAIT_MAXIMUM_SECONDS = 0.1, 5.0
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000

Task = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class RegionLoads:
    """What the load of regions rests on, and who answers questions about it."""

    stores: WindowStores
    report: RegionLoadReport
    feed: RegionLoadFeed


def window_stores(database: Database) -> WindowStores:
    """The stores of windows; opens nothing."""
    return WindowStores(
        RegionWindowStore(database),
        DueWindowStore(database),
        RegionCapacityStore(database),
        WindowProgressStore(database),
        RegionHourStore(database),
    )


def late_windows(
    config: AnalyticsConfig, stores: WindowStores, registry: RegistryCache, metrics_registry: CollectorRegistry
) -> LateWindows:
    """Who marks the windows for which something came late."""
    return LateWindows(
        registry.get,
        stores.due.mark,
        metrics_registry,
        lateness_ms=_lateness_ms(config),
        kept_ms=config.window_correction_days * _DAY_MS,
    )


def region_loads(
    config: AnalyticsConfig,
    stores: WindowStores,
    fleet: FleetReport,
    metrics_registry: CollectorRegistry,
    now_ms: Callable[[], int],
) -> RegionLoads:
    """The load of regions as calls see it; opens nothing."""
    report = RegionLoadReport(fleet, stores, now_ms=now_ms)
    feed = RegionLoadFeed(
        loads=report.every,
        windows=stores.windows,
        metrics=RegionLoadMetrics(metrics_registry, now_ms),
        look_seconds=config.region_load_refresh_seconds,
        now_ms=now_ms,
    )
    return RegionLoads(stores, report, feed)


def window_tasks(
    config: AnalyticsConfig,
    loads: RegionLoads,
    usage: usage_service_pb2_grpc.UsageServiceAsyncStub,
    *,
    me: str,
    database: Database,
    registry: RegistryCache,
    broker: BrokerConnection,
    metrics_registry: CollectorRegistry,
    now_ms: Callable[[], int],
) -> Mapping[str, Task]:
    """The tasks to be run for ever once the stores are prepared, by name: closing, telling, letting people know."""
    outbox = EventOutbox(database, COLLECTION, closed_event, broker, metrics_registry)
    summing, stores = WindowSumming(registry, WindowUsage(usage), now_ms), loads.stores
    closer = WindowCloser(
        me=me,
        summing=summing,
        stores=stores,
        settings=ClosingSettings(
            _lateness_ms(config),
            config.window_catch_up_hours * _HOUR_MS,
            config.window_concurrency,
            kept_ms=config.window_correction_days * _DAY_MS,
        ),
        metrics=WindowMetrics(metrics_registry),
        told=outbox.notify,
    )
    check = LateCheck(
        usage,
        LateStores(stores.windows, stores.due, stores.progress),
        summing,
        metrics_registry,
        find_device=registry.get,
        lateness_ms=_lateness_ms(config),
        kept_ms=config.window_correction_days * _DAY_MS,
        every_seconds=config.window_check_seconds,
    )
    return {
        "region_windows": closer.run,
        "late_check": check.run,
        "window_events": outbox.run,
        "region_load_feed": loads.feed.run,
    }


class Prepared(Protocol):
    """Stores that have to be prepared."""

    async def prepare(self) -> None:
        """Makes their indexes; raises PyMongoError while the store is away."""


async def start_when_prepared(lifecycle: Lifecycle, stores: Prepared, tasks: Mapping[str, Task]) -> None:
    """Starts tasks once the stores have their indexes; a background task, which stays when its work is done."""
    retried = retried_for_ever(
        PyMongoError,
        wait_initial_seconds=_STORE_WAIT_INITIAL_SECONDS,
        wait_maximum_seconds=_STORE_WAIT_MAXIMUM_SECONDS,
    )
    async for attempt in retried:
        with attempt:
            await stores.prepare()
    for name, run_forever in tasks.items():
        lifecycle.start_task(name, run_forever())
    await asyncio.Event().wait()


def _lateness_ms(config: AnalyticsConfig) -> int:
    return int(config.window_lateness_seconds * 1000)
