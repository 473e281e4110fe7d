"""What Prometheus sees of how far analytics is behind the stream, by partition."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from analytics.consumer import QueueConsumer
from common.partition_consumers import PartitionConsumers


class StreamMetrics(Collector):
    """Shows the age of the newest batch that each consumer here has taken.

    Writers make a batch every second, an empty one if they have nothing to tell, so this is about how far a consumer is
    behind; where nothing waits in its queue, it is by how much the clocks of ingestion and analytics differ.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        consumers: PartitionConsumers[QueueConsumer],
        now_ms: Callable[[], int],
    ) -> None:
        self._consumers = consumers
        self._now_ms = now_ms
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets; a partition of which nothing was taken yet is left out."""
        age = GaugeMetricFamily(
            "analytics_newest_batch_age_seconds",
            "Seconds since the newest batch taken of a partition was made, by the clock of ingestion; negative: that "
            "clock is ahead.",
            labels=("partition",),
        )
        for consumer in self._consumers.running:
            if consumer.newest_create_ms:
                age.add_metric((str(consumer.partition),), (self._now_ms() - consumer.newest_create_ms) / 1000)
        yield age
