"""How far each partition is behind is told by the newest batch that was taken of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from prometheus_client import CollectorRegistry

from analytics.consumer import QueueConsumer
from analytics.stream_metrics import StreamMetrics
from common.partition_consumers import PartitionConsumers

NOW_MS = 1_000_000
NAME = "analytics_newest_batch_age_seconds"


@dataclass
class OnePartition:
    """What a consumer tells of itself."""

    partition: int
    newest_create_ms: int


@dataclass
class SomePartitions:
    """The consumers of a replica."""

    running: list[OnePartition] = field(default_factory=list)


def test_the_age_of_the_newest_batch_is_told_by_partition_also_where_it_is_from_the_future() -> None:
    """A clock that is ahead gives a negative age; a partition of which nothing came yet, or any more, has none."""
    registry, consumers = CollectorRegistry(), SomePartitions()
    StreamMetrics(registry, cast("PartitionConsumers[QueueConsumer]", consumers), lambda: NOW_MS)

    consumers.running = [OnePartition(0, NOW_MS - 1_500), OnePartition(3, NOW_MS + 7_000), OnePartition(5, 0)]
    ages = {partition: registry.get_sample_value(NAME, {"partition": str(partition)}) for partition in range(6)}
    consumers.running = consumers.running[1:]

    assert ages == {0: 1.5, 1: None, 2: None, 3: -7.0, 4: None, 5: None}
    assert registry.get_sample_value(NAME, {"partition": "0"}) is None
