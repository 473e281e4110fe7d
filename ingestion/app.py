"""How ingestion is put together, from the broker that keeps the readings to the door at which they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from energy.ingestion.v1 import ingestion_service_pb2
from energy.ingestion.v1.ingestion_service_pb2_grpc import add_IngestionServiceServicer_to_server

from common import logs
from common.broker import BrokerAway, BrokerConnection
from common.connection_age import ConnectionAge
from common.grpc_server import GrpcServer
from common.health import Check, Health
from common.interceptors import standard_interceptors
from common.lifecycle import Lifecycle
from common.message_sizes import PARTS_MAXIMUM_BYTES
from common.metrics import MetricsServer
from common.observability import open_observability
from common.topology import QueueLimits
from ingestion.batch_pace import PaceLimits
from ingestion.broker_queues import PartitionQueues
from ingestion.commit_limits import CommitLimits
from ingestion.config import IngestionConfig
from ingestion.consumer_backlog import ConsumerBacklog
from ingestion.dead_letter_desk import DeadLetterDesk
from ingestion.dead_letter_metrics import DeadLetterMetrics
from ingestion.dead_letter_store import DeadLetterStore
from ingestion.event_replay import EventReplay
from ingestion.group_commit import GroupCommit
from ingestion.ingestion_service import IngestionService
from ingestion.partition_discovery import PartitionDiscovery
from ingestion.queue_metrics import QueueMetrics
from ingestion.readings_publisher import ReadingsPublisher, open_connection

SERVICE_NAME = ingestion_service_pb2.DESCRIPTOR.services_by_name["IngestionService"].full_name

_DEFAULT_QUEUE_LIMITS = QueueLimits()

# Of the grace of a shutdown, the share in which what waits may become durable; the rest is for the streams to hear it.
_DRAIN_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class IngestionApp:
    """The running parts that others look at."""

    server: GrpcServer
    metrics: MetricsServer
    health: Health
    connection: BrokerConnection
    group_commit: GroupCommit


async def run(config: IngestionConfig, stop: asyncio.Event) -> None:
    """Serves until asked to stop."""
    logs.configure("ingestion", config.log_level)
    lifecycle = Lifecycle(config.shutdown_grace_seconds, stop)
    async with ingestion_app(config, lifecycle):
        await lifecycle.wait()


@asynccontextmanager
async def ingestion_app(
    config: IngestionConfig, lifecycle: Lifecycle, *, queue_limits: QueueLimits = _DEFAULT_QUEUE_LIMITS
) -> AsyncIterator[IngestionApp]:
    """The service, serving; red until the broker is there and every queue is declared. Leaving it shuts down."""
    async with lifecycle:
        observability = open_observability(config, "ingestion", lifecycle)
        registry, tracing = observability.registry, observability.tracing

        queues = PartitionQueues(config.partitions, queue_limits)
        connection = open_connection(config.amqp_url.get_secret_value(), queues)
        lifecycle.start_task("broker_connection", connection.run())

        publisher = ReadingsPublisher(connection, queues, timeout_seconds=config.publish_timeout_seconds)
        backlog = ConsumerBacklog(config.behind_messages)
        group_commit = GroupCommit(
            partitions=config.partitions,
            publisher=publisher,
            limits=_commit_limits(config),
            waiting_maximum_bytes=config.waiting_maximum_bytes,
            registry=registry,
            is_behind=backlog.is_behind,
            tracing=tracing,
        )
        lifecycle.start_task("group_commit", group_commit.run())

        checks = {"rabbitmq": Check(lambda: _require_publishing(connection, group_commit, config.stall_seconds))}
        health = Health([SERVICE_NAME], checks, registry)
        lifecycle.use_health(health)

        dead_letters = DeadLetterStore(connection)
        dead_letter_metrics = DeadLetterMetrics(dead_letters, registry)
        lifecycle.start_task("dead_letter_metrics", dead_letter_metrics.run())
        queue_metrics = QueueMetrics(connection, lambda: group_commit.partition_count, registry, backlog)
        lifecycle.start_task("queue_metrics", queue_metrics.run())
        lifecycle.start_task("partition_discovery", PartitionDiscovery(connection, group_commit).run())
        service = IngestionService(
            group_commit,
            DeadLetterDesk(dead_letters, dead_letter_metrics, group_commit, EventReplay(connection)),
            stream_requests_maximum=config.stream_requests_maximum,
            age=ConnectionAge(config.connection_age_seconds),
        )
        server = GrpcServer(
            config,
            "ingestion",
            [(add_IngestionServiceServicer_to_server, service, SERVICE_NAME)],
            standard_interceptors("ingestion.energy", logs.get_logger(__name__), registry),
            health=health,
            registry=registry,
            max_message_bytes=PARTS_MAXIMUM_BYTES,
        )
        await server.start()
        lifecycle.use_server(server)
        lifecycle.on_drain("streams", lambda: service.drain(_DRAIN_SHARE * config.shutdown_grace_seconds))

        await health.ready()
        lifecycle.start_task("health", health.run())
        yield IngestionApp(server, observability.metrics, health, connection, group_commit)


def _commit_limits(config: IngestionConfig) -> CommitLimits:
    return CommitLimits(
        batch_maximum_bytes=config.batch_maximum_bytes,
        pace=PaceLimits(
            spacing_seconds=config.batch_spacing_ms / 1000,
            steady_seconds=1 / config.batches_per_second,
            weight_bytes=config.batch_weight_bytes,
            longest_seconds=config.batch_longest_wait_ms / 1000,
            burst_batches=config.batch_burst,
        ),
        away_patience_seconds=config.away_patience_seconds,
        overload_patience_seconds=config.overload_patience_seconds,
        tick_seconds=config.tick_seconds,
    )


async def _require_publishing(connection: BrokerConnection, group_commit: GroupCommit, stall_seconds: float) -> None:
    """Checks that batches get through: connected, declared, and no confirm that stays away.

    Raises:
        BrokerAway: they do not.
    """
    await connection.ping()
    if group_commit.stalled_seconds() >= stall_seconds:
        raise BrokerAway("no confirm comes")
