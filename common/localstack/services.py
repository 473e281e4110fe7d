"""The four services as programs of this machine's mesh, with their settings as environment variables."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from common.localstack import mongodb, probes, rabbitmq, redis_server
from common.localstack.addresses import SERVICE_NAMES, ServerAddresses, service_addresses
from common.localstack.program import Program
from common.localstack.settings import LOOPBACK, REPLICA_PORTS_APART, LocalSettings, Ports

_ONE_OF_EACH: Mapping[str, int] = MappingProxyType({})

_STREAMS_PER_WORKER = 4


@dataclass(frozen=True)
class Service:
    """One process of a service: the module that Python runs, and where it listens."""

    name: str
    argv: tuple[str, ...]
    port: int
    metrics_port: int

    @property
    def service(self) -> str:
        """The service that it is one replica of."""
        return self.argv[-1]


def mesh_services(ports: Ports, replicas: Mapping[str, int] = _ONE_OF_EACH) -> list[Service]:
    """The services of the mesh, one of each unless `replicas` says more; the first has the ports that others know."""
    return [
        replica(name, number, getattr(ports, name), getattr(ports, f"{name}_metrics"))
        for name in SERVICE_NAMES
        for number in range(1, replicas.get(name, 1) + 1)
    ]


def replica(name: str, number: int, port: int, metrics_port: int) -> Service:
    """One of several that share the work of a service, counted from 1; each is 10 ports above the one before it."""
    above = REPLICA_PORTS_APART * (number - 1)
    shown = name if number == 1 else f"{name}-{number}"
    return Service(shown, (sys.executable, "-m", name), port + above, metrics_port + above)


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
                "NOTIFICATION_OUTBOX_FOLDER": environ.get("NOTIFICATION_OUTBOX_FOLDER")
                or str(settings.run_dir / "outbox"),
                **_workers(service.name, environ),
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


def _workers(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """How many processes a service is, and by how many streams the gateway reaches those of ingestion."""
    chosen = {"WORKERS": environ.get(f"{name.upper()}_WORKERS", "")}
    ingestion_workers = environ.get("INGESTION_WORKERS", "")
    if name == "gateway" and ingestion_workers.isdigit() and not environ.get("INGESTION_STREAMS"):
        # The system deals connections out by a hash, so only several for each worker reach them all.
        chosen["INGESTION_STREAMS"] = str(_STREAMS_PER_WORKER * int(ingestion_workers))
    return chosen
