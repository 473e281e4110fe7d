"""What every service exports: its registry as it is right after the start, with every server away."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from common.config import ServiceConfig
from common.lifecycle import Lifecycle
from common.worker_metrics import WorkerMetrics

SERVICES = ("gateway", "ingestion", "billing", "analytics")
PARENT = "parent of workers"

_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
}
# Of a histogram that a collector of ours makes, at most.
_OWN_BUCKETS = 20
# Port 1 refuses at once. What is off by itself is on, so that its figures are there too.
_ENVIRONMENT = {
    "MONGO_URL": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100",
    "AMQP_URL": "amqp://127.0.0.1:1/",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "GATEWAY_ADDRESS": "127.0.0.1:1",
    "INGESTION_ADDRESS": "127.0.0.1:1",
    "BILLING_ADDRESS": "127.0.0.1:1",
    "GRPC_PORT": "0",
    "METRICS_PORT": "0",
    "RAW_RETENTION_DAYS": "30",
    "LOG_RETENTION_DAYS": "30",
}


@dataclass(frozen=True)
class ExportedMetric:
    """A family of figures: its name as Prometheus sees it, without what a kind of family appends to its samples."""

    service: str
    name: str
    kind: str
    documentation: str
    labels: tuple[str, ...]
    buckets: int

    @property
    def series_names(self) -> frozenset[str]:
        """The names by which Prometheus finds its samples."""
        return frozenset(f"{self.name}{suffix}" for suffix in _SUFFIXES[self.kind])

    @property
    def labels_of_series(self) -> frozenset[str]:
        """The labels of its samples."""
        return frozenset(self.labels) | ({"le"} if self.buckets else frozenset())


async def exported_metrics() -> tuple[ExportedMetric, ...]:
    """Starts all four services in this process, and stops them; some seconds, for each looks for its servers once."""
    async with asyncio.TaskGroup() as starting:
        started = [starting.create_task(_exported(service)) for service in SERVICES]
    parent = CollectorRegistry()
    WorkerMetrics(parent)
    return (*(metric for one in started for metric in one.result()), *_families(PARENT, parent))


async def _exported(service: str) -> list[ExportedMetric]:
    config_type: type[ServiceConfig] = getattr(
        importlib.import_module(f"{service}.config"), f"{service.capitalize()}Config"
    )
    run: Any = getattr(importlib.import_module(f"{service}.app"), f"{service}_app")
    async with run(config_type.load(_ENVIRONMENT), Lifecycle(3.0)) as app:
        return list(_families(service, app.metrics._registry))


def _families(service: str, registry: CollectorRegistry) -> Iterator[ExportedMetric]:
    # A family that has no sample yet does not tell its labels, but who makes it does.
    for collector in list(registry._collector_to_names):
        for family in collector.collect():
            holder: Any = collector if isinstance(collector, MetricWrapperBase) else family
            labels = tuple(holder._labelnames or ())
            buckets = len(getattr(collector, "_upper_bounds", ())) or (
                _OWN_BUCKETS if family.type == "histogram" else 0
            )
            yield ExportedMetric(service, family.name, family.type, family.documentation, labels, buckets)
