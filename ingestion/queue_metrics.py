"""How many messages wait in the queues of the consuming services, asked of the broker every few seconds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Gauge

from common.broker import BrokerAway, BrokerConnection
from common.broker_connection import RPC_TIMEOUT_SECONDS
from common.broker_failures import broker_failures
from common.topology import CONSUMING_SERVICES, EVENT_KEYS, event_queue_name, queue_name
from ingestion.consumer_backlog import ConsumerBacklog

# So often, and less often where there are many queues: what waits should not keep the broker busy.
_LOOK_SECONDS = 2.0
_LOOK_SECONDS_A_QUEUE = 0.05


class QueueMetrics:
    """The depth of each queue that ingestion declares; `run()` must run as a background task.

    The broker tells of what it has not sent to a consumer yet; what a consumer has in hand that consumer tells itself
    (`deliveries_in_hand`). Every replica and worker tells the same. `partition_count` gives the partitions whose queues
    are declared, and `backlog` hears what was found.
    """

    def __init__(
        self,
        connection: BrokerConnection,
        partition_count: Callable[[], int],
        registry: CollectorRegistry,
        backlog: ConsumerBacklog,
    ) -> None:
        self._connection = connection
        self._backlog = backlog
        self._partition_count = partition_count
        self._readings = Gauge(
            "ingestion_queue_ready_messages",
            "Batches in a queue of readings that were not sent to its consumer yet; NaN: not known.",
            ["queue_service", "partition"],
            registry=registry,
        )
        self._events = Gauge(
            "ingestion_event_queue_ready_messages",
            "Events in the queue of a service that were not sent to it yet; NaN: not known.",
            ["queue_service"],
            registry=registry,
        )

    async def run(self) -> None:
        """Looks every few seconds until cancelled."""
        while True:
            queues_count = await self.look()
            await asyncio.sleep(max(_LOOK_SECONDS, _LOOK_SECONDS_A_QUEUE * queues_count))

    async def look(self) -> int:
        """Asks for every queue once, and tells how many; all are unknown if the broker is away or lacks one."""
        gauges = dict(self._gauges())
        try:
            depths = await self._depths(gauges)
        except BrokerAway:
            depths = dict.fromkeys(gauges, math.nan)
        self._backlog.know(depths)
        for queue, depth in depths.items():
            gauges[queue].set(depth)
        return len(depths)

    def _gauges(self) -> Iterable[tuple[str, Gauge]]:
        for service in CONSUMING_SERVICES:
            for partition in range(self._partition_count()):
                yield queue_name(service, partition), self._readings.labels(service, str(partition))
        for service in EVENT_KEYS:
            yield event_queue_name(service), self._events.labels(service)

    async def _depths(self, queues: Iterable[str]) -> dict[str, float]:
        # On a channel of its own, for a queue that is gone closes it.
        channel = await self._connection.open_channel(publisher_confirms=False)
        depths: dict[str, float] = {}
        with broker_failures():
            try:
                for queue in queues:
                    declared = await channel.queue_declare(queue, passive=True, timeout=RPC_TIMEOUT_SECONDS)
                    depths[queue] = declared.message_count or 0
            finally:
                if not channel.is_closed:
                    await channel.close(timeout=RPC_TIMEOUT_SECONDS)
        return depths
