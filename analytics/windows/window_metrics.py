"""What Prometheus sees of the load of regions: live, and how the closing of windows goes; never by device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from analytics.windows.live_load import LiveLoad

_LABELS = ("region",)


class WindowMetrics:
    """Counts what this replica did; the others have counts of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.closed = Counter(
            "region_windows_closed", "Windows closed for the first time, by this replica.", _LABELS, registry=registry
        )
        self.corrected = Counter(
            "region_window_corrections", "Versions made of closed windows, by this replica.", _LABELS, registry=registry
        )
        self.unchanged = Counter(
            "region_window_checks_unchanged",
            "Closed windows that were summed up again, for something came late, and had the same sums.",
            registry=registry,
        )
        self.failed = Counter(
            "region_window_failures", "Windows that could not be summed up and are tried again.", registry=registry
        )
        self.open = Gauge(
            "region_windows_open", "Windows of time that are not closed in every region.", registry=registry
        )


class RegionLoadMetrics(Collector):
    """Shows the newest look at every region; a scrape sees one look, never parts of two."""

    def __init__(self, registry: CollectorRegistry, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._loads: Sequence[LiveLoad] = ()
        self._newest_ends_ms: Mapping[str, int] = {}
        registry.register(self)

    def show(self, loads: Sequence[LiveLoad], newest_ends_ms: Mapping[str, int]) -> None:
        """Replaces what is shown: live loads, and when the newest closed window of each region ended; UTC ms."""
        self._loads, self._newest_ends_ms = loads, newest_ends_ms

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets; what is not known is left out."""
        load = GaugeMetricFamily("region_load_kw", "Power of the meters of a region now, kW.", labels=_LABELS)
        percent = GaugeMetricFamily("region_load_percent", "The same in percent of the capacity.", labels=_LABELS)
        age = GaugeMetricFamily(
            "region_newest_window_age_seconds", "Seconds since the newest closed window ended.", labels=_LABELS
        )
        for one in self._loads:
            if one.load_kw is not None:
                load.add_metric((one.region,), one.load_kw)
            if one.load_percent is not None:
                percent.add_metric((one.region,), one.load_percent)
        for region, end_ms in sorted(self._newest_ends_ms.items()):
            age.add_metric((region,), (self._now_ms() - end_ms) / 1000)
        yield from (load, percent, age)
