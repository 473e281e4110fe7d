"""What the group commit counts: batches, Parts, bytes, the time of a confirm, failures by reason."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from common.broker import BrokerAway, PublishFailed, Rejected, Unroutable
from ingestion.waiting_bytes import WaitingBytes

_BUCKETS_BYTES = tuple(1 << exponent for exponent in range(8, 21))
_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_REASONS: dict[type[PublishFailed], str] = {BrokerAway: "away", Rejected: "rejected", Unroutable: "unroutable"}


class CommitMetrics:
    """The figures of every partition together."""

    def __init__(self, registry: CollectorRegistry, waiting: WaitingBytes, partition_count: Callable[[], int]) -> None:
        self._batches = Counter("ingestion_batches", "Batches made durable, ticks included.", registry=registry)
        self._parts = Counter("ingestion_parts", "Parts made durable.", registry=registry)
        self._bytes = Histogram(
            "ingestion_batch_bytes", "Bytes of a batch made durable.", buckets=_BUCKETS_BYTES, registry=registry
        )
        self._seconds = Histogram(
            "ingestion_publish_seconds",
            "Seconds from the publish of a batch to its confirm, of the attempt that succeeded.",
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        self._age = Histogram(
            "ingestion_batch_age_seconds",
            "Seconds from the arrival of the first Part of a batch until the batch was closed.",
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        failures = Counter(
            "ingestion_publish_failures",
            "Attempts to publish that failed: the broker is away, a queue is full, no queue is bound.",
            ["reason"],
            registry=registry,
        )
        self._failures = {kind: failures.labels(reason) for kind, reason in _REASONS.items()}
        waiting_bytes = Gauge("ingestion_waiting_bytes", "Bytes of Parts taken and not durable yet.", registry=registry)
        waiting_bytes.set_function(lambda: waiting.total)
        partitions = Gauge("ingestion_partitions", "Partitions that this process publishes to.", registry=registry)
        partitions.set_function(partition_count)

    def sealed(self, *, age_seconds: float) -> None:
        """Adds one batch that takes no more Parts, with the age of its first one."""
        self._age.observe(age_seconds)

    def published(self, *, parts_count: int, body_bytes: int, seconds: float) -> None:
        """Adds one confirmed batch."""
        self._batches.inc()
        self._parts.inc(parts_count)
        self._bytes.observe(body_bytes)
        self._seconds.observe(seconds)

    def publish_failed(self, failure: PublishFailed) -> None:
        """Adds one failed attempt."""
        self._failures[type(failure)].inc()
