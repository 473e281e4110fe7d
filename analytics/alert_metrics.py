"""What Prometheus sees of alerts: how many are open, by type, severity and state; never by device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from analytics.alert import Alert


class OpenAlertMetrics(Collector):
    """Counts the open alerts at each scrape; every replica tells the same."""

    def __init__(self, registry: CollectorRegistry, open_alerts: Callable[[], Mapping[str, Alert]]) -> None:
        self._open_alerts = open_alerts
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets."""
        labels = ("type", "severity", "state")
        gauge = GaugeMetricFamily("alerts_open", "Alerts that are open.", labels=labels)
        counts = Counter(
            (alert.cause.type.value, alert.severity.name, alert.state.value) for alert in self._open_alerts().values()
        )
        for label_values, count in sorted(counts.items()):
            gauge.add_metric(label_values, count)
        yield gauge
