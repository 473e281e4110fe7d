"""What is counted on the way from the queues into the log."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from billing.log.segment import Segment


class ConsumerMetrics:
    """Counters of the way into the log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.append_seconds = Histogram(
            "billing_log_append_seconds", "Time one write to the log took.", registry=registry
        )
        self.append_failures = Counter(
            "billing_log_append_failures", "Writes to the log that were tried again.", registry=registry
        )
        self.undecodable = Counter(
            "billing_undecodable", "Parts and whole messages sent to the dead letters.", registry=registry
        )
        batches = Counter("billing_batches", "Batches taken from the queues.", ["outcome"], registry=registry)
        self._logged, self.duplicates = batches.labels("logged"), batches.labels("duplicate")
        self._readings = Counter("billing_logged_readings", "Readings written to the log.", registry=registry)
        self._delay = Histogram(
            "billing_receive_to_log_seconds",
            "Time from the gateway's receipt of the first reading of a batch to the log.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
            registry=registry,
        )

    def count(self, segment: Segment) -> None:
        """Counts a batch that is new in the log."""
        self._logged.inc()
        self._readings.inc(segment.reading_count)
        first_receive_ms = segment.first_receive_ms
        if first_receive_ms is not None:
            self._delay.observe(max(0, segment.record_ms - first_receive_ms) / 1000)
