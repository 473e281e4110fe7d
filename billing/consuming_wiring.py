"""How the way of the readings is put together: from the queues into the log, and from there into the documents."""

from __future__ import annotations

import time
from functools import partial

from prometheus_client import CollectorRegistry

from billing.cold.merger import Merger, MergeSettings
from billing.cold.merger_metrics import MergerMetrics
from billing.cold.quarantine_store import QuarantineStore
from billing.config import BillingConfig
from billing.consumer import ReadingsConsumer
from billing.log.batch_codec import BatchDecoder
from billing.log.consumer_metrics import ConsumerMetrics
from billing.readings_at_rest import ReadingsAtRest
from common.broker import BrokerConnection
from common.broker_topology import GrowingTopology
from common.dead_letters import DeadLetters
from common.lease_store import LeaseStore
from common.mongo import Database
from common.partition_consumers import PartitionConsumers
from common.partition_sharing import PartitionSharing, replica_name
from common.tracing import Tracing


def partition_sharing(
    config: BillingConfig,
    readings: ReadingsAtRest,
    registry: CollectorRegistry,
    *,
    database: Database,
    broker: BrokerConnection,
    dead_letters: DeadLetters,
    topology: GrowingTopology,
    tracing: Tracing,
) -> PartitionSharing[ReadingsConsumer]:
    """What consumes the queues of the partitions that this replica leases."""
    metrics = ConsumerMetrics(registry)
    decoder = BatchDecoder()

    def consumer(partition: int) -> ReadingsConsumer:
        return ReadingsConsumer(
            broker=broker,
            partition=partition,
            prefetch=config.prefetch,
            log=readings.writer,
            tail=readings.tail,
            decoder=decoder,
            dead_letters=dead_letters,
            publish=readings.publisher.offer_segment,
            learn_partition_count=sharing.learn_partition_count,
            watermarks=readings.watermarks,
            metrics=metrics,
            clock=time.monotonic,
            tracing=tracing,
        )

    sharing = PartitionSharing(
        me=replica_name(config.grpc_port),
        store=LeaseStore(database, "billing"),
        consumers=PartitionConsumers(consumer, partial(topology.require, broker)),
        partitions=config.partitions,
        registry=registry,
    )
    return sharing


def merger_of(
    config: BillingConfig,
    readings: ReadingsAtRest,
    sharing: PartitionSharing[ReadingsConsumer],
    registry: CollectorRegistry,
    tracing: Tracing,
    *,
    quarantine: QuarantineStore,
) -> Merger:
    """What folds what those partitions have logged."""
    return Merger(
        tail=readings.tail,
        log=readings.log,
        history=readings.history,
        live=readings.live,
        partitions=lambda: sharing.leased,
        settings=MergeSettings(config.merge_wait_seconds, config.merge_readings_per_round, config.merge_search_seconds),
        metrics=MergerMetrics(registry),
        publish=readings.publisher.offer_segment,
        give_way=readings.writer,
        clock=time.monotonic,
        quarantine=quarantine,
        tracing=tracing,
    )
