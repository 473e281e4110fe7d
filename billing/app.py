"""How billing is put together, from the queues through the log to the doors at which people ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymongo.errors import PyMongoError

from billing.cold.day_notice_store import Day
from billing.cold.merger import Merger
from billing.cold.quarantine_store import QuarantineStore
from billing.cold.roller import Roller, RollerMetrics
from billing.config import BillingConfig
from billing.consumer import ReadingsConsumer
from billing.consuming_wiring import merger_of, partition_sharing
from billing.invoices.adjustment_due_store import AdjustmentDueStore
from billing.invoices.adjustment_sweep import AdjustmentMetrics, AdjustmentSweep
from billing.invoices.reassigned_periods import ReassignedPeriods
from billing.live.answer_cache import AnswerCache
from billing.live.live_cache import LiveCache
from billing.live.live_publisher import LivePublisher
from billing.log.schema import Kind
from billing.prepare import prepare_store
from billing.pricing_wiring import event_consumer, pricing_tasks, region_pricing
from billing.readings_at_rest import ReadingsAtRest, readings_at_rest
from billing.retention_wiring import retention_tasks
from billing.servicers import servicers_of
from billing.tariffs.price_cache import PriceCache
from billing.tariffs.tariff_store import TariffStore
from billing.usage.answers import Answers
from billing.validation.validation_progress_store import ValidationProgressStore
from billing.validation.validation_sweep import SweepMetrics, ValidationSweep
from common import logs
from common.broker import BrokerConnection
from common.broker_topology import GrowingTopology
from common.clock import now_ms
from common.dead_letters import DeadLetters
from common.event_outbox import telling_connection
from common.grpc_client import open_channel
from common.grpc_server import GrpcServer
from common.health import Check, Health
from common.interceptors import standard_interceptors
from common.lifecycle import Lifecycle
from common.metrics import MetricsServer
from common.mongo import Database, close, open_database, ping
from common.observability import open_observability
from common.partition_sharing import PartitionSharing
from common.redis_client import open_redis
from common.redis_client import ping as ping_redis
from common.registry_cache import REGISTRY_SERVICE, RegistryCache
from common.retrying import retried_for_ever
from common.store_deadline import StoreDeadlineInterceptor

_STORE_WAIT_INITIAL_SECONDS, _STORE_WAIT_MAXIMUM_SECONDS = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class BillingApp:
    """The running parts that others look at."""

    server: GrpcServer
    metrics: MetricsServer
    health: Health
    merger: Merger


async def run(config: BillingConfig, stop: asyncio.Event) -> None:
    """Serves until asked to stop."""
    logs.configure("billing", config.log_level)
    lifecycle = Lifecycle(config.shutdown_grace_seconds, stop)
    async with billing_app(config, lifecycle):
        await lifecycle.wait()


@asynccontextmanager
async def billing_app(config: BillingConfig, lifecycle: Lifecycle) -> AsyncIterator[BillingApp]:
    """The service, serving; red until the store is prepared and what is leased is consumed. Leaving it shuts down."""
    async with lifecycle:
        observability = open_observability(config, "billing", lifecycle)
        registry, tracing = observability.registry, observability.tracing

        database = open_database(config.mongo_url.get_secret_value(), config.mongo_database, appname="billing")
        lifecycle.on_close("mongodb", lambda: asyncio.to_thread(close, database))
        redis = open_redis(config.redis_url.get_secret_value())
        lifecycle.on_close("redis", redis.aclose)
        cache, answer_cache = LiveCache(redis), AnswerCache(redis, config.answer_cache_seconds)
        publisher = LivePublisher(cache, answer_cache, registry)
        readings = readings_at_rest(config, database, publisher, registry)
        devices = RegistryCache(open_channel(config.gateway_address, serving=REGISTRY_SERVICE))
        lifecycle.on_close("registry", devices.close)
        lifecycle.start_task("registry", devices.run())

        topology = GrowingTopology(config.partitions)
        broker = BrokerConnection(config.amqp_url.get_secret_value(), "billing", topology.declare)
        lifecycle.start_task("broker_connection", broker.run())
        dead_letters = DeadLetters(broker, registry)
        sharing = partition_sharing(
            config,
            readings,
            registry,
            database=database,
            broker=broker,
            dead_letters=dead_letters,
            topology=topology,
            tracing=tracing,
        )
        merger = merger_of(config, readings, sharing, registry, tracing, quarantine=QuarantineStore(database))
        progress, adjustments_due = ValidationProgressStore(database), AdjustmentDueStore(database)
        roller = Roller(
            days=readings.days,
            live=readings.live,
            metrics=RollerMetrics(registry),
            give_way=readings.writer.wait_idle,
            on_change=partial(_day_changed, progress, adjustments_due),
        )
        events = event_consumer(database, broker, dead_letters, registry)
        checks = {
            "rabbitmq": Check(broker.ping),
            "partitions": Check(sharing.require_consuming),
            "mongodb": Check(lambda: ping(database)),
            "events": Check(events.require_progress),
            "redis": Check(lambda: ping_redis(redis), required=False),
        }
        pricing = region_pricing(config, database, PriceCache(redis), now_ms)
        lifecycle.on_drain("price_feed", pricing.feed.close)
        answers = Answers(answer_cache, publisher, registry)
        doors = servicers_of(config, database, cache, readings, devices, pricing=pricing, answers=answers)
        health = Health([name for _, _, name in doors.servicers], checks, registry)
        lifecycle.use_health(health)
        server = GrpcServer(
            config,
            "billing",
            doors.servicers,
            [
                *standard_interceptors("billing.energy", logs.get_logger(__name__), registry),
                StoreDeadlineInterceptor(),
            ],
            health=health,
            registry=registry,
        )
        await server.start()
        lifecycle.use_server(server)
        await health.ready()
        lifecycle.start_task("health", health.run())
        adjustments = AdjustmentSweep(
            adjustments_due,
            doors.book,
            devices,
            lambda: readings.complete_through.latest_ms,
            readings.writer.wait_idle,
            AdjustmentMetrics(registry),
            now_ms,
            ReassignedPeriods(
                tariffs=TariffStore(database), invoices=doors.book.store, due=adjustments_due, registry=devices
            ),
        )
        background = {"merger": merger.run, "roller": roller.run, "adjustments": adjustments.run}
        background |= retention_tasks(config, database, readings, devices, registry)
        telling = telling_connection(lifecycle, config.amqp_url.get_secret_value(), "billing")
        background |= pricing_tasks(pricing, events, database, telling, registry=registry, clock_ms=now_ms)
        if config.validation_automatic:
            background["validation"] = ValidationSweep(
                validation=doors.validation,
                progress=progress,
                live=readings.live,
                registry=devices,
                complete_through=lambda: readings.complete_through.latest_ms,
                estimate=config.estimation_automatic,
                give_way=readings.writer.wait_idle,
                clock_ms=now_ms,
                metrics=SweepMetrics(registry),
            ).run
        lifecycle.start_task("start", _start_when_ready(lifecycle, database, readings, sharing, background))
        yield BillingApp(server, observability.metrics, health, merger)


async def _day_changed(progress: ValidationProgressStore, due: AdjustmentDueStore, kind: Kind, day: Day) -> None:
    await progress.day_changed(kind, day)
    await due.tell(kind, day, now_ms())


async def _start_when_ready(
    lifecycle: Lifecycle,
    database: Database,
    readings: ReadingsAtRest,
    sharing: PartitionSharing[ReadingsConsumer],
    background: Mapping[str, Callable[[], Coroutine[Any, Any, None]]],
) -> None:
    """Begins to consume once the store has its indexes; until then nothing is subscribed and health stays red."""
    retried = retried_for_ever(
        PyMongoError,
        wait_initial_seconds=_STORE_WAIT_INITIAL_SECONDS,
        wait_maximum_seconds=_STORE_WAIT_MAXIMUM_SECONDS,
    )
    async for attempt in retried:
        with attempt:
            await prepare_store(database, readings.log, readings.history)
    lifecycle.start_task("log_writer", readings.writer.run())
    lifecycle.start_task("watermarks", readings.watermarks.run())
    lifecycle.start_task("complete_through", readings.complete_through.run())
    lifecycle.start_task("live_publisher", readings.publisher.run())
    for name, run_forever in background.items():
        lifecycle.start_task(name, run_forever())
    lifecycle.start_task("partitions", sharing.run())
    lifecycle.on_stop("partitions", sharing.stop)
    await asyncio.Event().wait()
