"""Where the numbers of a service are read: `/metrics` on a port of its own, in a thread of its own."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from common.ports import PortTaken


def create_registry() -> CollectorRegistry:
    """A registry with the figures of the process: memory, CPU, open files, garbage collection."""
    # When each counter was made is asked by nobody and would be one series more for every counter.
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library has no types here
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class MetricsServer:
    """Serves one registry over HTTP."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self._registry = registry
        self._host = host
        self.port = port

    def start(self) -> None:
        """Begins to serve; afterwards `port` is the real one, also where 0 was asked for.

        Raises:
            PortTaken: another program listens there.
        """
        try:
            self._server, self._thread = start_http_server(self.port, self._host, self._registry)
        except OSError as refused:
            raise PortTaken(self.port, "METRICS_PORT") from refused
        self.port = self._server.server_port

    def close(self) -> None:
        """Ends serving and its thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
