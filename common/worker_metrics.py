"""The figures of several workers as those of one service: read from each, told apart by the label `worker`."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_FETCH_TIMEOUT_SECONDS = 2.0


class WorkerMetrics(Collector):
    """Asks every worker at each scrape. A scrape, not files shared by all: gauges, infos and functions work as ever."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ports: dict[int, int] = {}
        self._starts = Counter("worker_starts", "How often a worker was started.", ["worker"], registry=registry)
        registry.register(self)

    def started(self, worker: int, metrics_port: int) -> None:
        """Says where on loopback a worker serves its figures from now on."""
        self._ports[worker] = metrics_port
        self._starts.labels(str(worker)).inc()

    def ended(self, worker: int) -> None:
        """Says that a worker serves no more."""
        self._ports.pop(worker, None)

    def collect(self) -> Iterator[Metric]:
        """Every family once, with the samples of all workers that answer, and which of them do."""
        up = GaugeMetricFamily("worker_up", "1 if the worker told its figures, else 0.", labels=["worker"])
        texts: dict[int, str] = {}
        for worker, port in sorted(self._ports.items()):
            text = _fetch(port)
            up.add_metric([str(worker)], 0 if text is None else 1)
            if text is not None:
                texts[worker] = text
        yield up
        yield from merged(texts)


def merged(texts: Mapping[int, str]) -> Iterator[Metric]:
    """The families of several expositions, each sample with the label `worker`."""
    families: dict[str, Metric] = {}
    for worker, text in texts.items():
        for family in text_string_to_metric_families(text):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                known.add_sample(sample.name, {"worker": str(worker), **sample.labels}, sample.value, sample.timestamp)
    yield from families.values()


def _fetch(port: int) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_FETCH_TIMEOUT_SECONDS) as answer:
            text: str = answer.read().decode()
    except OSError:
        return None
    return text
