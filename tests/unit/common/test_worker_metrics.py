"""The figures of several workers, read from one place."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from common.metrics import MetricsServer
from common.worker_metrics import WorkerMetrics, merged


def registry_with(count: int) -> CollectorRegistry:
    """A worker's figures of every kind."""
    registry = CollectorRegistry()
    Counter("readings", "Readings.", ["kind"], registry=registry).labels("meter").inc(count)
    Gauge("waiting_bytes", "Waiting.", registry=registry).set(10 * count)
    Histogram("seconds", "Seconds.", buckets=(1, 2), registry=registry).observe(count)
    Info("service", "Name.", registry=registry).info({"name": "gateway"})
    return registry


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples of an exposition by name and labels, the times of creation left out."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


class _Merged:
    """Gives the merged families to a registry."""

    def __init__(self, texts: dict[int, str]) -> None:
        self._texts = texts

    def collect(self) -> object:
        """The families."""
        return merged(self._texts)


def test_every_sample_of_every_worker_is_there_under_its_number() -> None:
    """Counters, gauges, histograms and infos, with the values and labels they had."""
    texts = {worker: generate_latest(registry_with(worker)).decode() for worker in (1, 2)}
    registry = CollectorRegistry()
    registry.register(_Merged(texts))  # type: ignore[arg-type]

    found = samples(generate_latest(registry).decode())

    expected = {
        (name, labels | {("worker", str(worker))}): value
        for worker, text in texts.items()
        for (name, labels), value in samples(text).items()
    }
    assert found == expected
    assert found["readings_total", frozenset({("kind", "meter"), ("worker", "2")})] == 2


def test_each_family_is_told_once() -> None:
    """A scraper refuses a family that comes in pieces."""
    texts = {worker: generate_latest(registry_with(worker)).decode() for worker in (1, 2, 3)}

    names = [family.name for family in merged(texts)]

    assert len(names) == len(set(names))


def test_a_worker_that_does_not_answer_is_down_and_hides_no_other() -> None:
    """One serves its figures, one has died unnoticed, one has ended."""
    server = MetricsServer(registry_with(1), "127.0.0.1", 0)
    silent = MetricsServer(registry_with(2), "127.0.0.1", 0)
    for each in (server, silent):
        each.start()
    silent.close()
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    metrics.started(1, server.port)
    metrics.started(2, silent.port)
    metrics.started(3, silent.port)
    metrics.ended(3)

    found = samples(generate_latest(registry).decode())
    server.close()

    up = {dict(labels)["worker"]: value for (name, labels), value in found.items() if name == "worker_up"}
    assert up == {"1": 1, "2": 0}
    assert found["readings_total", frozenset({("kind", "meter"), ("worker", "1")})] == 1
    assert found["worker_starts_total", frozenset({("worker", "3")})] == 1
