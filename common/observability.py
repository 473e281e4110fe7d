"""What a service tells of itself besides its logs: figures at `/metrics`, and spans where a collector is set."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from common.config import ServiceConfig
from common.lifecycle import Lifecycle
from common.metrics import MetricsServer, create_registry
from common.trace_export import open_tracing
from common.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Observability:
    """The registry that every part adds its figures to, the server that shows them, and the maker of spans."""

    registry: CollectorRegistry
    metrics: MetricsServer
    tracing: Tracing


def open_observability(config: ServiceConfig, service: str, lifecycle: Lifecycle) -> Observability:
    """Opens them, to be closed last of all: open them before whatever counts or makes spans.

    Raises:
        PortTaken: another program listens on METRICS_PORT.
    """
    registry = create_registry()
    metrics = MetricsServer(registry, config.metrics_host, config.metrics_port)
    metrics.start()
    lifecycle.on_close("metrics", lambda: asyncio.to_thread(metrics.close))
    return Observability(registry, metrics, open_tracing(config, service, registry, lifecycle))
