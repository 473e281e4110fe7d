"""Closers of windows over a real store, with small servers that stand for billing and for the registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub, add_UsageServiceServicer_to_server
from energy.registry.v1 import device_pb2
from energy.registry.v1.registry_service_pb2_grpc import add_RegistryServiceServicer_to_server
from prometheus_client import CollectorRegistry

from analytics.window_wiring import window_stores
from analytics.windows.region_window import WINDOW_MS
from analytics.windows.window_closer import ClosingSettings, WindowCloser
from analytics.windows.window_metrics import WindowMetrics
from analytics.windows.window_stores import WindowStores
from analytics.windows.window_summing import WindowSumming
from analytics.windows.window_usage import WindowUsage
from common.grpc_client import open_channel
from common.mongo import Database
from common.registry_cache import RegistryCache
from tests.wire.analytics.peers import Billing, Measured, Registry

LATENESS_MS = 60_000
MINUTE_MS = 60_000
NOON_MS = 1_767_268_800_000
WINDOW_START_MS = NOON_MS - WINDOW_MS
"""The window that is closed when the log is complete through noon and a minute."""
CLOSABLE_MS = NOON_MS + LATENESS_MS
"""What the log is complete through when the windows of `three_regions` may be closed."""

METER, VEHICLE, STORAGE = (
    device_pb2.DEVICE_KIND_METER,
    device_pb2.DEVICE_KIND_VEHICLE,
    device_pb2.DEVICE_KIND_STORAGE,
)


@dataclass
class Closing:
    """What windows are closed from, and where they rest."""

    billing: Billing
    registry: RegistryCache
    usage: Any
    stores: WindowStores
    metrics: CollectorRegistry
    told: int = 0
    now_ms: int = NOON_MS + 2 * MINUTE_MS

    def closer(
        self,
        me: str = "one",
        catch_up_ms: int = WINDOW_MS,
        concurrency: int = 2,
        rest_per_work: float = 0.0,
        kept_ms: int = 0,
    ) -> WindowCloser:
        """A replica's closer; it rests only where a test wants it."""
        registry = self.metrics = CollectorRegistry()
        return WindowCloser(
            me=me,
            summing=WindowSumming(self.registry, WindowUsage(self.usage), lambda: self.now_ms),
            stores=self.stores,
            settings=ClosingSettings(LATENESS_MS, catch_up_ms, concurrency, rest_per_work, kept_ms),
            metrics=WindowMetrics(registry),
            told=self._tell,
        )

    def _tell(self) -> None:
        self.told += 1

    def measured(self, device_id: str, *readings: Measured) -> None:
        """Billing has these readings of a device, besides those it has."""
        self.billing.readings.setdefault(device_id, []).extend(readings)

    def whole_quarter(self, device_id: str, milliwatt_hours: int, start_ms: int = WINDOW_START_MS) -> None:
        """Billing has fifteen readings of a meter in a window."""
        minutes = range(start_ms, start_ms + WINDOW_MS, MINUTE_MS)
        self.measured(device_id, *[Measured(at_ms, import_milliwatt_hours=milliwatt_hours) for at_ms in minutes])


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """A metric; 0 if there is none yet."""
    return registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def closing_over(database: Database, devices: Registry) -> AsyncIterator[Closing]:
    """Closers over an empty store, whose registry knows these devices."""
    async with AsyncExitStack() as stack:
        billing = Billing()  # type: ignore[abstract]
        channel = open_channel(await _serve(stack, add_UsageServiceServicer_to_server, billing))
        stack.push_async_callback(channel.close)
        address = await _serve(stack, add_RegistryServiceServicer_to_server, devices)
        registry = RegistryCache(open_channel(address))
        stack.push_async_callback(registry.close)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(tasks.create_task(registry.run()).cancel)
        async with asyncio.timeout(10):
            await registry.wait_complete()
        stores = window_stores(database)
        await stores.prepare()
        yield Closing(billing, registry, UsageServiceStub(channel), stores, CollectorRegistry())


@asynccontextmanager
async def three_regions(database: Database) -> AsyncIterator[Closing]:
    """Two meters in the north, one of them silent, with a vehicle and a battery, and a silent meter in the south."""
    devices = Registry()  # type: ignore[abstract]
    for device_id, kind, region in (
        ("meter-1", METER, "North"),
        ("meter-2", METER, "North"),
        ("vehicle-1", VEHICLE, "North"),
        ("storage-1", STORAGE, "North"),
        ("meter-3", METER, "South"),
        ("vehicle-2", VEHICLE, "West"),
    ):
        devices.add(device_id, kind, region=region)
    async with closing_over(database, devices) as opened:
        opened.whole_quarter("meter-1", 1_000_000)
        opened.measured("meter-1", Measured(NOON_MS, import_milliwatt_hours=7))
        opened.measured("vehicle-1", Measured(WINDOW_START_MS, delivered_milliwatt_hours=5_000_000))
        opened.billing.complete_through_ms = CLOSABLE_MS
        yield opened


async def all_closed(closer: WindowCloser) -> None:
    """Works until there is nothing more to do."""
    await closer.close_newest()
    while await closer.catch_up():
        pass


async def _serve(stack: AsyncExitStack, add_to_server: Any, servicer: object) -> str:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stack.push_async_callback(server.stop, None)
    return f"127.0.0.1:{port}"
