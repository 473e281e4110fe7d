"""Analytics' own door, with small real servers behind it that stand for billing and for the registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest_asyncio
from energy.analytics.v1.analytics_service_pb2_grpc import (
    AnalyticsServiceStub,
    add_AnalyticsServiceServicer_to_server,
)
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub, add_UsageServiceServicer_to_server
from energy.registry.v1.registry_service_pb2_grpc import add_RegistryServiceServicer_to_server
from prometheus_client import CollectorRegistry

from analytics.alerts.alert_rule import AlertRules
from analytics.analytics_service import AnalyticsService
from analytics.app import SERVICE_NAME
from analytics.batch_intake import BatchIntake
from analytics.config import AnalyticsConfig
from analytics.fleet.fleet_metrics import FleetMetrics
from analytics.fleet.fleet_report import FleetReport
from analytics.performance_wiring import reports
from analytics.stream.batch_memory import BatchMemory
from analytics.stream.live_picture import LivePicture
from analytics.stream.reading_metrics import ReadingMetrics
from analytics.stream.reading_rate import ReadingRate
from analytics.stream.readings_tap import ReadingsTap
from analytics.usage.usage_client import UsageClient
from analytics.window_wiring import region_loads, window_stores
from common import logs
from common.broker import BrokerConnection
from common.grpc_client import open_channel
from common.grpc_server import GrpcServer
from common.health import Health
from common.interceptors import standard_interceptors
from common.mongo import Database, close, open_database
from common.registry_cache import RegistryCache
from tests.wire.analytics.peers import Billing, Registry

NOW_MS = 1_750_000_000_000
USAGE_CONCURRENCY = 2


class Desk:
    """Analytics in front of the two servers; `open()` makes it answer, once the test has arranged them."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.address = ""
        # Not every method is needed here.
        self.billing = Billing()  # type: ignore[abstract]
        self.registry = Registry()  # type: ignore[abstract]
        self.picture = LivePicture()
        self.metrics = CollectorRegistry()
        self.rules = AlertRules()
        self.database: Database | None = None
        """Where windows rest; without one they are asked of a store that is away."""

    async def serve(self, add_to_server: Any, servicer: object) -> str:
        """Starts a server for one servicer and gives its address."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._stack.push_async_callback(server.stop, None)
        return f"127.0.0.1:{port}"

    async def usage_stub(self) -> Any:
        """A stub of the server that stands for billing."""
        channel = open_channel(await self.serve(add_UsageServiceServicer_to_server, self.billing))
        self._stack.push_async_callback(channel.close)
        return UsageServiceStub(channel)

    async def open(self, *, usage: Any = None) -> Any:
        """A stub of analytics, whose registry cache has been told what the registry tells."""
        registry_address = await self.serve(add_RegistryServiceServicer_to_server, self.registry)
        registry_cache = RegistryCache(open_channel(registry_address))
        self._stack.push_async_callback(registry_cache.close)
        watching = await self._stack.enter_async_context(asyncio.TaskGroup())
        watch = watching.create_task(registry_cache.run())
        self._stack.callback(watch.cancel)
        if self.registry.tells_all:
            async with asyncio.timeout(10):
                await registry_cache.wait_complete()
        usage = usage or await self.usage_stub()
        address = self.address = await self._serve_analytics(registry_cache, UsageClient(usage, USAGE_CONCURRENCY))
        channel = await self._stack.enter_async_context(grpc.aio.insecure_channel(address))
        return AnalyticsServiceStub(channel)

    async def _serve_analytics(self, registry_cache: RegistryCache, usage: UsageClient) -> str:
        intake = BatchIntake(
            self.picture,
            ReadingMetrics(self.metrics, registry_cache.get),
            ReadingRate(),
            BatchMemory(100),
            now_ms=lambda: NOW_MS,
        )
        fleet_report = FleetReport(
            registry_cache, self.picture, intake.readings_per_second, FleetMetrics(self.metrics), now_ms=lambda: NOW_MS
        )
        database = self.database
        if database is None:
            database = open_database("mongodb://127.0.0.1:9")
            self._stack.callback(close, database)
        config = AnalyticsConfig(grpc_port=0, metrics_port=0)
        self.fleet_report = fleet_report
        stores = window_stores(database)
        self.region_loads = region_loads(config, stores, fleet_report, self.metrics, lambda: NOW_MS)
        service = AnalyticsService(
            fleet_report=fleet_report,
            reports=reports(config, registry_cache, usage, stores=stores, rules=lambda: self.rules),
            region_loads=self.region_loads,
            usage=usage,
            tap=ReadingsTap(BrokerConnection("amqp://127.0.0.1:9", "nobody"), lambda: 1, registry_cache.get),
            now_ms=lambda: NOW_MS,
        )
        server = GrpcServer(
            config,
            "analytics",
            [(add_AnalyticsServiceServicer_to_server, service, SERVICE_NAME)],
            standard_interceptors("analytics.energy", logs.get_logger(__name__), self.metrics),
            health=Health([SERVICE_NAME], {}, self.metrics),
            registry=self.metrics,
        )
        await server.start()
        self._stack.push_async_callback(server.stop, 0.5)
        return server.address


@pytest_asyncio.fixture(loop_scope="session")
async def desk() -> AsyncIterator[Desk]:
    """Analytics with empty servers behind it."""
    async with AsyncExitStack() as stack:
        yield Desk(stack)
