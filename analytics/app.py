"""How analytics is put together, from the queues off which it takes the readings to the door at which people ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from energy.analytics.v1 import alert_service_pb2, analytics_service_pb2, notification_service_pb2
from energy.analytics.v1.alert_service_pb2_grpc import add_AlertServiceServicer_to_server
from energy.analytics.v1.analytics_service_pb2_grpc import add_AnalyticsServiceServicer_to_server
from energy.analytics.v1.notification_service_pb2_grpc import add_NotificationServiceServicer_to_server
from prometheus_client import CollectorRegistry

from analytics.alert_service import AlertService
from analytics.alert_wiring import Alerts, StreamSight
from analytics.analytics_service import AnalyticsService
from analytics.batch_intake import BatchIntake
from analytics.config import AnalyticsConfig
from analytics.consumer import QueueConsumer
from analytics.fleet.fleet_metrics import FleetMetrics
from analytics.fleet.fleet_report import FleetReport
from analytics.peers import open_registry, open_usage
from analytics.performance_wiring import reports
from analytics.stream.batch_memory import BatchMemory
from analytics.stream.live_picture import LivePicture
from analytics.stream.live_seed import keep_filled
from analytics.stream.new_devices import NewDevices
from analytics.stream.reading_metrics import ReadingMetrics
from analytics.stream.reading_rate import ReadingRate
from analytics.stream.readings_tap import ReadingsTap
from analytics.stream.unleased_devices import UnleasedDevices
from analytics.usage.usage_client import UsageClient
from analytics.window_wiring import late_windows, region_loads, start_when_prepared, window_stores, window_tasks
from common import logs
from common.broker import BrokerConnection
from common.broker_topology import GrowingTopology
from common.clock import now_ms
from common.event_outbox import telling_connection
from common.grpc_server import GrpcServer
from common.health import Check, Health
from common.interceptors import standard_interceptors
from common.lease_store import LeaseStore
from common.lifecycle import Lifecycle
from common.metrics import MetricsServer
from common.mongo import close, open_database, ping
from common.observability import open_observability
from common.partition_consumers import PartitionConsumers
from common.partition_sharing import PartitionSharing, replica_name
from common.registry_cache import RegistryCache
from common.store_deadline import StoreDeadlineInterceptor
from common.topology import QueueLimits

SERVICE_NAME = analytics_service_pb2.DESCRIPTOR.services_by_name["AnalyticsService"].full_name
ALERT_SERVICE_NAME = alert_service_pb2.DESCRIPTOR.services_by_name["AlertService"].full_name
NOTIFICATION_SERVICE_NAME = notification_service_pb2.DESCRIPTOR.services_by_name["NotificationService"].full_name

_DEFAULT_QUEUE_LIMITS = QueueLimits()


@dataclass(frozen=True, slots=True)
class AnalyticsApp:
    """The running parts that others look at."""

    server: GrpcServer
    metrics: MetricsServer
    health: Health
    registry_cache: RegistryCache
    picture: LivePicture
    metrics_registry: CollectorRegistry
    connection: BrokerConnection
    sharing: PartitionSharing[QueueConsumer]
    consumers: PartitionConsumers[QueueConsumer]
    tap: ReadingsTap


async def run(config: AnalyticsConfig, stop: asyncio.Event) -> None:
    """Serves until asked to stop."""
    logs.configure("analytics", config.log_level)
    lifecycle = Lifecycle(config.shutdown_grace_seconds, stop)
    async with analytics_app(config, lifecycle):
        await lifecycle.wait()


@asynccontextmanager
async def analytics_app(
    config: AnalyticsConfig, lifecycle: Lifecycle, *, queue_limits: QueueLimits = _DEFAULT_QUEUE_LIMITS
) -> AsyncIterator[AnalyticsApp]:
    """The service, serving; red until it consumes what it leases. Leaving it shuts down."""
    async with lifecycle:
        observability = open_observability(config, "analytics", lifecycle)
        metrics_registry, tracing = observability.registry, observability.tracing

        registry_cache = open_registry(lifecycle, config)
        usage = open_usage(lifecycle, config)

        database = open_database(config.mongo_url.get_secret_value(), config.mongo_database, appname="analytics")
        lifecycle.on_close("mongodb", lambda: asyncio.to_thread(close, database))
        stores = window_stores(database)
        alerts = Alerts(config, database, registry_cache, metrics_registry, now_ms)
        picture = LivePicture()
        lifecycle.start_task("live_picture", keep_filled(picture, usage, registry_cache))
        intake = BatchIntake(
            picture,
            ReadingMetrics(metrics_registry, registry_cache.get),
            ReadingRate(),
            BatchMemory(config.remembered_batches),
            late_windows(config, stores, registry_cache, metrics_registry),
            detection=alerts.detection,
            now_ms=now_ms,
        )
        topology = GrowingTopology(config.partitions, queue_limits)
        connection = BrokerConnection(config.amqp_url.get_secret_value(), "analytics", topology.declare)
        lifecycle.start_task("broker_connection", connection.run())
        devices = NewDevices(registry_cache)

        def learn_partition_count(partition_count: int) -> None:
            sharing.learn_partition_count(partition_count)

        consumers = PartitionConsumers(
            lambda partition: QueueConsumer(
                connection,
                partition,
                config.prefetch,
                intake=intake,
                devices=devices,
                learn_partition_count=learn_partition_count,
                tracing=tracing,
            ),
            partial(topology.require, connection),
        )
        me = replica_name(config.grpc_port)
        # While the store has never answered nothing is consumed: which partitions are another's is not known, and the
        # queues keep what is newest.
        sharing = PartitionSharing(
            me=me,
            store=LeaseStore(database, "analytics"),
            consumers=consumers,
            partitions=config.partitions,
            registry=metrics_registry,
        )
        fleet_report = FleetReport(
            registry_cache, picture, intake.readings_per_second, FleetMetrics(metrics_registry), now_ms=now_ms
        )
        lifecycle.start_task("fleet_gauges", fleet_report.keep_gauges(config.fleet_refresh_seconds))

        health = Health(
            [SERVICE_NAME, ALERT_SERVICE_NAME, NOTIFICATION_SERVICE_NAME],
            {
                "rabbitmq": Check(connection.ping),
                "partitions": Check(sharing.require_consuming),
                # The live picture needs no store; alerts and who is told of them are nowhere else.
                "mongodb": Check(lambda: ping(database), services=(ALERT_SERVICE_NAME, NOTIFICATION_SERVICE_NAME)),
            },
            metrics_registry,
        )
        lifecycle.use_health(health)

        loads = region_loads(config, stores, fleet_report, metrics_registry, now_ms)
        lifecycle.on_drain("region_load_feed", loads.feed.close)
        tap = _readings_tap(lifecycle, connection, sharing, registry_cache)
        usage_client = UsageClient(usage, config.usage_concurrency)
        answers = reports(config, registry_cache, usage_client, stores=stores, rules=alerts.rules.rules)
        service = AnalyticsService(
            fleet_report=fleet_report,
            reports=answers,
            region_loads=loads,
            usage=usage_client,
            tap=tap,
            now_ms=now_ms,
        )
        server = GrpcServer(
            config,
            "analytics",
            [
                (add_AnalyticsServiceServicer_to_server, service, SERVICE_NAME),
                (add_AlertServiceServicer_to_server, AlertService(alerts.parts(), now_ms=now_ms), ALERT_SERVICE_NAME),
                (add_NotificationServiceServicer_to_server, alerts.notifications.service, NOTIFICATION_SERVICE_NAME),
            ],
            [
                *standard_interceptors("analytics.energy", logs.get_logger(__name__), metrics_registry),
                StoreDeadlineInterceptor(),
            ],
            health=health,
            registry=metrics_registry,
        )
        await server.start()
        lifecycle.use_server(server)
        # After the port is ours: whoever listens there has the leases of that name.
        lifecycle.start_task("partitions", sharing.run())
        lifecycle.on_stop("partitions", sharing.stop)
        unleased = UnleasedDevices(sharing, config.partitions)
        lifecycle.start_task(
            "unleased_devices",
            unleased.keep_refreshed(picture, usage, registry_cache, config.unleased_refresh_seconds),
        )

        telling = telling_connection(lifecycle, config.amqp_url.get_secret_value(), "analytics")
        windows = window_tasks(
            config,
            loads,
            usage,
            me=me,
            database=database,
            registry=registry_cache,
            broker=telling,
            metrics_registry=metrics_registry,
            now_ms=now_ms,
        )
        lifecycle.start_task("prepare_windows", start_when_prepared(lifecycle, stores, windows))
        alerts.start(
            lifecycle,
            picture,
            StreamSight(sharing, consumers, unleased, now_ms),
            loads=loads,
            performance=answers.performance.vehicle,
            broker=telling,
        )

        await health.ready()
        lifecycle.start_task("health", health.run())
        yield AnalyticsApp(
            server=server,
            metrics=observability.metrics,
            health=health,
            registry_cache=registry_cache,
            picture=picture,
            metrics_registry=metrics_registry,
            connection=connection,
            sharing=sharing,
            consumers=consumers,
            tap=tap,
        )


def _readings_tap(
    lifecycle: Lifecycle,
    connection: BrokerConnection,
    sharing: PartitionSharing[QueueConsumer],
    registry: RegistryCache,
) -> ReadingsTap:
    tap = ReadingsTap(connection, lambda: sharing.partition_count, registry.get)
    lifecycle.on_drain("readings_tap", tap.close)
    lifecycle.start_task("readings_tap", tap.run())
    return tap
