"""The whole gateway on a real store, before a scripted ingestion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from energy.registry.v1 import device_pb2
from energy.registry.v1.registry_service_pb2 import BatchCreateDevicesRequest
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from common.lifecycle import Lifecycle
from common.localstack.mesh import Mesh
from common.mongo import Database
from gateway.app import GatewayApp, gateway_app
from gateway.config import GatewayConfig
from tests.wire.gateway.scripted_ingestion import ScriptedIngestion

if TYPE_CHECKING:
    # Exist only for the type checker.
    from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceAsyncStub
    from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceAsyncStub


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """A gateway and the way to it."""

    app: GatewayApp
    channel: grpc.aio.Channel
    registry: RegistryServiceAsyncStub
    telemetry: TelemetryServiceAsyncStub
    health: Any

    async def is_serving(self, service: str) -> bool:
        """What the gateway says of the health of a service."""
        response: HealthCheckResponse = await self.health.Check(HealthCheckRequest(service=service), timeout=5)
        return response.status == HealthCheckResponse.SERVING

    async def turned_green(self) -> None:
        """Returns when the gateway says that it serves."""
        async with asyncio.timeout(20):
            async for response in self.health.Watch(HealthCheckRequest(service="")):
                if response.status == HealthCheckResponse.SERVING:
                    return


def message(device_id: str, kind: device_pb2.DeviceKind.ValueType = device_pb2.DEVICE_KIND_METER) -> device_pb2.Device:
    """A valid device."""
    return device_pb2.Device(
        device_id=device_id, kind=kind, account_id="acc-1", region="Mumbai-North", time_zone="Asia/Kolkata"
    )


async def register(gateway: RunningGateway, *devices: device_pb2.Device) -> None:
    """Registers devices that do not exist yet."""
    response = await gateway.registry.BatchCreateDevices(BatchCreateDevicesRequest(devices=devices), timeout=20)
    assert response.created_count == len(devices)


@asynccontextmanager
async def running_gateway(mongo_url: str, database_name: str, ingestion_address: str) -> AsyncIterator[RunningGateway]:
    """A gateway on free ports; leaving it shuts it down."""
    environ = {
        "GRPC_PORT": "0",
        "METRICS_PORT": "0",
        "MONGO_URL": mongo_url,
        "MONGO_DATABASE": database_name,
        "INGESTION_ADDRESS": ingestion_address,
        "SHUTDOWN_GRACE_SECONDS": "5",
    }
    async with gateway_app(GatewayConfig.load(environ), Lifecycle(5.0)) as app:
        options = [("grpc.enable_retries", 0)]
        async with grpc.aio.insecure_channel(app.server.address, options=options) as channel:
            yield RunningGateway(
                app, channel, RegistryServiceStub(channel), TelemetryServiceStub(channel), HealthStub(channel)
            )


@pytest.fixture
async def ingestion() -> AsyncIterator[ScriptedIngestion]:
    """An ingestion that makes everything durable, until the test says otherwise."""
    scripted = ScriptedIngestion()
    await scripted.start()
    yield scripted
    await scripted.stop()


@pytest.fixture
async def gateway(servers: Mesh, database: Database, ingestion: ScriptedIngestion) -> AsyncIterator[RunningGateway]:
    """A gateway with an empty registry."""
    async with running_gateway(servers.mongo_url, database.name, ingestion.address) as running:
        yield running
