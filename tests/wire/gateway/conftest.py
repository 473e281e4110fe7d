"""The telemetry servicer behind a real gRPC server on loopback, between a listed registry and a scripted ingestion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest
from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub, add_TelemetryServiceServicer_to_server
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect

from common.grpc_client import open_channel
from common.interceptors import standard_interceptors
from common.logs import get_logger
from gateway.device import Device, DeviceKind
from gateway.device_directory import DeviceDirectory
from gateway.ingestion_client import IngestionClient
from gateway.intake import Intake
from gateway.intake_metrics import IntakeMetrics
from gateway.intake_room import IntakeRoom
from gateway.reading_stream import STREAM_METHOD
from gateway.telemetry_service import TelemetryService
from tests.unit.gateway.readings import NOW_MS, device
from tests.wire.gateway.scripted_ingestion import ScriptedIngestion

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceAsyncStub

PARTITIONS = 4
ROOM_BYTES = 1 << 20


class NoFurtherDevices:
    """A registry in which there is nothing to be found, and which may be away."""

    is_away = False

    async def get_many(self, device_ids: Collection[str]) -> Mapping[str, Device]:  # noqa: ARG002
        """Finds nothing."""
        if self.is_away:
            raise AutoReconnect("gone")
        return {}


@dataclass(frozen=True, slots=True)
class ServedTelemetry:
    """The parts under test and the way to them; `meter-0` to `meter-9`, `vehicle-1` and `storage-1` are registered."""

    channel: grpc.aio.Channel
    stub: TelemetryServiceAsyncStub
    service: TelemetryService
    registry: CollectorRegistry
    devices: NoFurtherDevices
    room: IntakeRoom
    address: str

    def count(self, name: str, **labels: str) -> float:
        """A sample of the metrics; 0 if there is none."""
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def ingestion() -> AsyncIterator[ScriptedIngestion]:
    """An ingestion that makes everything durable, until the test says otherwise."""
    scripted = ScriptedIngestion()
    await scripted.start()
    yield scripted
    await scripted.stop()


@pytest.fixture
async def client(ingestion: ScriptedIngestion) -> AsyncIterator[IngestionClient]:
    """The gateway's way to ingestion."""
    async with open_channel(ingestion.address) as channel:
        client = IngestionClient(IngestionServiceStub(channel))
        running = asyncio.ensure_future(client.run())
        yield client
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
async def telemetry(client: IngestionClient) -> AsyncIterator[ServedTelemetry]:
    """The service, with the standard interceptors and a clock that stands."""
    registry = CollectorRegistry()
    room = IntakeRoom(ROOM_BYTES)
    metrics = IntakeMetrics(registry, room)
    devices = NoFurtherDevices()
    directory = DeviceDirectory(devices, PARTITIONS, asyncio.get_running_loop().time)
    directory.put([device(f"meter-{number}") for number in range(10)])
    directory.put([device("vehicle-1", DeviceKind.VEHICLE), device("storage-1", DeviceKind.STORAGE)])
    service = TelemetryService(Intake(directory, client, metrics, lambda: NOW_MS), room, metrics)
    interceptors = standard_interceptors("gateway.energy", get_logger(__name__), registry, frozenset({STREAM_METHOD}))
    server = grpc.aio.server(interceptors=interceptors, options=[("grpc.so_reuseport", 0)])
    add_TelemetryServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    address = f"127.0.0.1:{port}"
    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as channel:
        yield ServedTelemetry(channel, TelemetryServiceStub(channel), service, registry, devices, room, address)
    await server.stop(0)
