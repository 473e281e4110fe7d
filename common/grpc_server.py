"""The door of a service: one gRPC server with health, reflection, limits and a port that is its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry, Info

from common.config import ServiceConfig
from common.connection_age import DEFAULT_AGE, ConnectionAge
from common.health import Health
from common.logs import get_logger
from common.message_sizes import REQUEST_MAXIMUM_BYTES
from common.ports import PortTaken, require_free

_log = get_logger(__name__)

# Adds a servicer to a server (generated `add_..._to_server`), the servicer, the full name of its service.
ServicerEntry = tuple[Callable[[Any, Any], None], Any, str]


def server_options(
    max_message_bytes: int, *, so_reuseport: bool = False, age: ConnectionAge = DEFAULT_AGE
) -> list[tuple[str, int]]:
    """The channel arguments of a server; times in milliseconds."""
    return [
        # On by default: a second server would bind the same port and take half the calls. Workers do so on purpose.
        ("grpc.so_reuseport", int(so_reuseport)),
        ("grpc.max_receive_message_length", max_message_bytes),
        # Peers ping every 3 s, so that they notice a connection that died without a word; more than that is a flood.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 2_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_concurrent_streams", 1024),
        *age.options(),
    ]


class GrpcServer:
    """Serves the servicers of one service on its configured address."""

    def __init__(
        self,
        config: ServiceConfig,
        service_name: str,
        servicers: Sequence[ServicerEntry],
        interceptors: Sequence[grpc.aio.ServerInterceptor],
        *,
        health: Health,
        registry: CollectorRegistry,
        max_message_bytes: int = REQUEST_MAXIMUM_BYTES,
    ) -> None:
        Info("service", "Which service answers here.", registry=registry).info({"name": service_name})
        self._host = config.bind_host
        self.port = config.grpc_port
        self._so_reuseport = config.so_reuseport
        self._age = ConnectionAge(config.connection_age_seconds)
        self._servicers = tuple(servicers)
        self._interceptors = tuple(interceptors)
        self._health = health
        self._max_message_bytes = max_message_bytes
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        """Where to connect: `host:port`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.port}"

    async def start(self) -> None:
        """Binds and begins to serve; afterwards `port` is the real one, also where 0 was asked for.

        Raises:
            PortTaken: another program listens there.
        """
        # Asked first, for gRPC itself tells a taken port in a paragraph on stderr. Of workers the parent has asked.
        if not self._so_reuseport:
            require_free(self._host, self.port, "GRPC_PORT")
        options = server_options(self._max_message_bytes, so_reuseport=self._so_reuseport, age=self._age)
        server = grpc.aio.server(interceptors=self._interceptors, options=options)
        for add_to_server, servicer, _ in self._servicers:
            add_to_server(servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        names = [name for _, _, name in self._servicers]
        reflection.enable_server_reflection([*names, "grpc.health.v1.Health", reflection.SERVICE_NAME], server)
        self._server = server
        try:
            self.port = server.add_insecure_port(self.address)
        except RuntimeError as refused:
            raise PortTaken(self.port, "GRPC_PORT") from refused
        await self._health.open()
        await server.start()
        _log.info("grpc_server_started", address=self.address, services=names)

    async def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, lets those that run finish for so long, then cancels the rest."""
        if self._server is not None:
            await self._server.stop(grace_seconds)
