"""How the gateway is put together, from the registry that readings are checked against to the door they come in by."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from energy.ingestion.v1 import ingestion_service_pb2
from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from energy.registry.v1 import registry_service_pb2
from energy.registry.v1.registry_service_pb2_grpc import add_RegistryServiceServicer_to_server
from energy.telemetry.v1 import telemetry_service_pb2
from energy.telemetry.v1.telemetry_service_pb2_grpc import add_TelemetryServiceServicer_to_server

from common import logs, mongo
from common.clock import now_ms
from common.connection_age import ConnectionAge
from common.grpc_client import open_channel
from common.grpc_server import GrpcServer
from common.health import Check, Health
from common.interceptors import standard_interceptors
from common.lifecycle import Lifecycle
from common.metrics import MetricsServer
from common.observability import open_observability
from gateway.config import GatewayConfig
from gateway.device_directory import DeviceDirectory
from gateway.device_feed import DeviceFeed
from gateway.device_store import DeviceStore
from gateway.device_watch import DeviceWatches
from gateway.ingestion_client import IngestionClient
from gateway.ingestion_streams import IngestionStreams
from gateway.intake import Intake
from gateway.intake_metrics import IntakeMetrics
from gateway.intake_room import IntakeRoom
from gateway.reading_stream import STREAM_METHOD
from gateway.registry_service import RegistryService
from gateway.telemetry_service import TelemetryService

TELEMETRY = telemetry_service_pb2.DESCRIPTOR.services_by_name["TelemetryService"].full_name
REGISTRY = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name
_INGESTION = ingestion_service_pb2.DESCRIPTOR.services_by_name["IngestionService"].full_name

# Of the grace of a shutdown, the share in which frames in flight may become durable; the rest is to tell and to close.
_DRAIN_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class GatewayApp:
    """The running parts that others look at."""

    server: GrpcServer
    metrics: MetricsServer
    health: Health
    directory: DeviceDirectory


async def run(config: GatewayConfig, stop: asyncio.Event) -> None:
    """Serves until asked to stop."""
    logs.configure("gateway", config.log_level)
    lifecycle = Lifecycle(config.shutdown_grace_seconds, stop)
    async with gateway_app(config, lifecycle):
        await lifecycle.wait()


@asynccontextmanager
async def gateway_app(config: GatewayConfig, lifecycle: Lifecycle) -> AsyncIterator[GatewayApp]:
    """The service, serving; red until the store is there and the registry is read. Leaving it shuts down."""
    async with lifecycle:
        observability = open_observability(config, "gateway", lifecycle)
        registry, tracing = observability.registry, observability.tracing

        devices = _open_devices(config, lifecycle)
        client = _open_ingestion(config, lifecycle)

        checks = {"mongodb": Check(devices.store.ping), "registry": Check(devices.feed.require_loaded)}
        health = Health([TELEMETRY, REGISTRY], checks, registry)
        lifecycle.use_health(health)

        room = IntakeRoom(config.unanswered_maximum_bytes)
        intake_metrics = IntakeMetrics(registry, room)
        intake = Intake(devices.directory, client, intake_metrics, now_ms, tracing)
        telemetry = TelemetryService(intake, room, intake_metrics, ConnectionAge(config.connection_age_seconds))
        registry_service = RegistryService(devices.store, devices.directory, devices.watches)
        server = GrpcServer(
            config,
            "gateway",
            [
                (add_TelemetryServiceServicer_to_server, telemetry, TELEMETRY),
                (add_RegistryServiceServicer_to_server, registry_service, REGISTRY),
            ],
            standard_interceptors("gateway.energy", logs.get_logger(__name__), registry, frozenset({STREAM_METHOD})),
            health=health,
            registry=registry,
        )
        await server.start()
        lifecycle.use_server(server)
        lifecycle.on_drain("streams", lambda: _drain(telemetry, client, config.shutdown_grace_seconds))
        lifecycle.on_drain("watches", devices.watches.close)

        await health.ready()
        lifecycle.start_task("health", health.run())
        yield GatewayApp(server, observability.metrics, health, devices.directory)


@dataclass(frozen=True, slots=True)
class _Devices:
    store: DeviceStore
    directory: DeviceDirectory
    feed: DeviceFeed
    watches: DeviceWatches


def _open_devices(config: GatewayConfig, lifecycle: Lifecycle) -> _Devices:
    database = mongo.open_database(config.mongo_url.get_secret_value(), config.mongo_database, appname="gateway")
    lifecycle.on_close("mongodb", lambda: asyncio.to_thread(mongo.close, database))
    store = DeviceStore(database, now_ms)
    directory = DeviceDirectory(store, config.partitions, time.monotonic)
    feed = DeviceFeed(store, now_ms)
    feed.listen(directory.put)
    lifecycle.start_task("device_feed", feed.run())
    return _Devices(store, directory, feed, DeviceWatches(store, feed))


def _open_ingestion(config: GatewayConfig, lifecycle: Lifecycle) -> IngestionStreams:
    clients = []
    for number in range(config.ingestion_streams):
        channel = open_channel(config.ingestion_address, serving=_INGESTION, own_connection=True)
        lifecycle.on_close(f"ingestion_channel_{number}", channel.close)
        client = IngestionClient(IngestionServiceStub(channel))
        lifecycle.start_task(f"ingestion_stream_{number}", client.run())
        clients.append(client)
    return IngestionStreams(clients)


async def _drain(telemetry: TelemetryService, client: IngestionStreams, grace_seconds: float) -> None:
    """Lets streams leave when all they have sent is durable, or with what is: ingestion may be ending just now, too."""
    try:
        async with asyncio.timeout(_DRAIN_SHARE * grace_seconds):
            await telemetry.drain()
    except TimeoutError:
        client.give_up()
        await telemetry.drain()
