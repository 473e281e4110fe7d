"""What Prometheus sees of alerts: how many are open, by type, severity and state, and by region; never by device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from analytics.alerts.alert import Alert

# Regions are data, tens of them; should they ever be more, the others are told together.
REGIONS_MAXIMUM = 40
OTHER_REGIONS = "other"


class OpenAlertMetrics(Collector):
    """Counts the open alerts at each scrape; every replica tells the same."""

    def __init__(self, registry: CollectorRegistry, open_alerts: Callable[[], Mapping[str, Alert]]) -> None:
        self._open_alerts = open_alerts
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets."""
        labels = ("type", "severity", "state")
        gauge = GaugeMetricFamily("alerts_open", "Alerts that are open.", labels=labels)
        alerts = tuple(self._open_alerts().values())
        counts = Counter((alert.cause.type.value, alert.severity.name, alert.state.value) for alert in alerts)
        for label_values, count in sorted(counts.items()):
            gauge.add_metric(label_values, count)
        yield gauge
        yield _by_region(alerts)


def _by_region(alerts: Sequence[Alert]) -> Metric:
    gauge = GaugeMetricFamily("region_alerts_open", "Alerts that are open in a region.", labels=("region", "severity"))
    of_regions = Counter(alert.cause.region for alert in alerts)
    # By name where there are as many, so that every replica tells the same.
    most = sorted(of_regions, key=lambda region: (-of_regions[region], region))
    told = set(most if len(most) <= REGIONS_MAXIMUM else most[: REGIONS_MAXIMUM - 1])
    counts = Counter(
        (alert.cause.region if alert.cause.region in told else OTHER_REGIONS, alert.severity.name) for alert in alerts
    )
    for label_values, count in sorted(counts.items()):
        gauge.add_metric(label_values, count)
    return gauge
