"""Alerts over a real store, with a clock that tests turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from energy.analytics.v1.alert_service_pb2_grpc import AlertServiceStub, add_AlertServiceServicer_to_server
from google.rpc.error_details_pb2 import BadRequest
from prometheus_client import CollectorRegistry

from analytics.alert_service import AlertService
from analytics.alert_wiring import Alerts
from analytics.alerts.alert import AlertType, Cause, Severity, Sighting
from analytics.app import ALERT_SERVICE_NAME
from analytics.config import AnalyticsConfig
from common import logs
from common.grpc_client import open_channel
from common.grpc_server import GrpcServer
from common.health import Health
from common.interceptors import standard_interceptors
from common.mongo import Database
from common.registry_cache import RegistryCache
from common.rich_status import reason_of, status_of
from tests.integration.analytics.running_analytics import NOBODY

START_MS = 1_750_000_000_000
HOT = Cause(AlertType.OVER_TEMPERATURE, "North", "pack-1")


@dataclass
class Room:
    """The parts of one replica; several of them over one store are replicas."""

    alerts: Alerts
    metrics: CollectorRegistry
    stub: Any
    clock: list[int]

    def pass_time(self, milliseconds: int) -> None:
        """Turns the clock."""
        self.clock[0] += milliseconds

    async def see(self, cause: Cause = HOT, severity: Severity = Severity.MEDIUM, *, is_new: bool = True) -> None:
        """A cause is seen, and written."""
        sighting = Sighting(cause, severity, self.clock[0], 46.0, 45.0, "acc-1" if cause.device_id else "")
        self.alerts.desk.seen(sighting, is_new=is_new)
        await self.alerts.desk.write()

    async def lose(self, cause: Cause = HOT) -> None:
        """A cause is gone for long enough."""
        self.alerts.desk.gone(cause)
        self.pass_time(60_000)
        await self.alerts.desk.resolve_gone()

    async def refused(self, call: Any) -> tuple[str | None, list[str]]:
        """The reason of a refusal, and the fields it names."""
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call
        status = status_of(refusal.value)
        assert status is not None
        bad = BadRequest()
        for detail in status.details:
            detail.Unpack(bad)
        return reason_of(refusal.value), [violation.field for violation in bad.field_violations]


@asynccontextmanager
async def open_room(database: Database) -> AsyncIterator[Room]:
    """A replica, its stores prepared."""
    clock = [START_MS]
    metrics = CollectorRegistry()
    registry = RegistryCache(open_channel(NOBODY))
    config = AnalyticsConfig(grpc_port=0, metrics_port=0)
    alerts = Alerts(config, database, registry, metrics, lambda: clock[0])
    await alerts.prepare()
    server = GrpcServer(
        config,
        "analytics",
        [
            (
                add_AlertServiceServicer_to_server,
                AlertService(alerts.parts(), now_ms=lambda: clock[0]),
                ALERT_SERVICE_NAME,
            )
        ],
        standard_interceptors("analytics.energy", logs.get_logger(__name__), metrics),
        health=Health([ALERT_SERVICE_NAME], {}, metrics),
        registry=metrics,
    )
    await server.start()
    try:
        async with grpc.aio.insecure_channel(server.address) as channel, looking(alerts):
            yield Room(alerts, metrics, AlertServiceStub(channel), clock)
    finally:
        await alerts.feed.close()
        await server.stop(0.5)
        await registry.close()


@asynccontextmanager
async def looking(alerts: Alerts) -> AsyncIterator[None]:
    """The feed looks, as it does in a service."""
    async with asyncio.TaskGroup() as tasks:
        looks = tasks.create_task(alerts.feed.run())
        try:
            yield
        finally:
            looks.cancel()
