"""What the merger shows of itself: how much waits, for how long, and how fast it folds."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from billing.log.tail import Tail


class MergerMetrics:
    """Counters and gauges of one merger."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram("billing_merge_seconds", "Time one round of folding took.", registry=registry)
        self.spans = Counter("billing_merged_spans", "Spans folded.", registry=registry)
        self.readings = Counter("billing_merged_readings", "Readings folded, duplicates among them.", registry=registry)
        self.races = Counter(
            "billing_merge_races", "Spans folded again after another writer's change.", registry=registry
        )
        self.failures = Counter("billing_merge_failures", "Rounds put off because the store failed.", registry=registry)
        self.quarantined = Counter(
            "billing_spans_quarantined", "Spans that could not be folded and were set aside.", registry=registry
        )
        self.quarantined_batches = Gauge(
            "billing_batches_quarantined", "Batches with readings that are set aside now.", registry=registry
        )
        self._pending = Gauge("billing_pending_readings", "Logged readings that wait to be folded.", registry=registry)
        self._lag = Gauge("billing_merge_lag_seconds", "Wait of the reading that waits longest.", registry=registry)

    def show(self, tail: Tail, now: float) -> None:
        """Shows how much waits and for how long."""
        since = tail.oldest_since()
        self._pending.set(tail.reading_count)
        self._lag.set(0.0 if since is None else max(0.0, now - since))
