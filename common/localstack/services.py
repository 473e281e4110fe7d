"""The four services as programs of this machine's mesh, with their settings as environment variables."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from common.localstack import mongodb, probes, rabbitmq, redis_server
from common.localstack.addresses import SERVICE_NAMES, ServerAddresses, service_addresses
from common.localstack.program import Program
from common.localstack.settings import LOOPBACK, LocalSettings, Ports


@dataclass(frozen=True)
class Service:
    """One service: the module that Python runs, and where it listens."""

    name: str
    argv: tuple[str, ...]
    port: int
    metrics_port: int


def mesh_services(ports: Ports) -> list[Service]:
    """The services of the mesh."""
    return [
        Service(name, (sys.executable, "-m", name), getattr(ports, name), getattr(ports, f"{name}_metrics"))
        for name in SERVICE_NAMES
    ]


def programs(
    services: Sequence[Service], settings: LocalSettings, environ: Mapping[str, str], addresses: ServerAddresses
) -> list[Program]:
    """The services' programs; each starts when the private servers are ready."""
    return [
        Program(
            name=service.name,
            argv=service.argv,
            environ={
                **environ,
                **addresses.environment(),
                **service_addresses(settings.ports),
                "BIND_HOST": LOOPBACK,
                "GRPC_PORT": str(service.port),
                "METRICS_PORT": str(service.metrics_port),
                "LOG_LEVEL": settings.log_level,
            },
            folder=settings.root,
            address=f"{LOOPBACK}:{service.port}",
            probe=partial(probes.grpc_health, f"{LOOPBACK}:{service.port}"),
            after=(rabbitmq.NAME, mongodb.NAME, redis_server.NAME),
            ready_limit_s=60.0,
            stop_limit_s=30.0,
        )
        for service in services
    ]
