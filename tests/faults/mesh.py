"""A whole mesh whose every connection leads over a wire that can be troubled, and whose every program can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from common.localstack import services
from common.localstack.addresses import SERVICE_NAMES, ServerAddresses
from common.localstack.keeper import Keeper
from common.localstack.mesh import Mesh, local_servers
from common.localstack.process import log_path
from common.localstack.program import Program
from common.localstack.services import Service, mesh_services
from common.localstack.settings import LOOPBACK, LocalSettings, Ports
from common.localstack.supervisor import Supervisor
from tests.faults.store_wire import StoreWire
from tests.faults.wire import Wire

SERVERS = ("rabbitmq", "mongodb", "redis")
WITH_WORKERS = ("gateway", "ingestion")
"""The services that can be several processes behind one port."""

_SERVER_VARIABLES = ("AMQP_URL", "MONGO_URL", "REDIS_URL")
_POLL_SECONDS = 0.02
_RABBITMQCTL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Wires:
    """Every way between two parts; `devices` leads to the gateway, `registry` from billing and analytics to it."""

    rabbitmq: Wire
    mongodb: StoreWire
    redis: Wire
    ingestion: Wire
    registry: Wire
    devices: Wire

    def all(self) -> list[Wire]:
        """All of them."""
        return [self.rabbitmq, self.mongodb, self.redis, self.ingestion, self.registry, self.devices]


@dataclass(frozen=True, slots=True)
class FaultyMesh:
    """The programs by name, the wires between them, and where each program listens."""

    keepers: Mapping[str, Keeper]
    wires: Wires
    ports: Mapping[str, int]
    metrics_ports: Mapping[str, int]
    service_dir: Path
    replicas: Mapping[str, Sequence[str]]
    """The programs of each service."""
    _rabbitmq: Program

    @property
    def device_address(self) -> str:
        """Where devices find the gateway; no wire leads to several."""
        if len(self.replicas["gateway"]) > 1:
            return self.answering()["gateway"]
        return f"{LOOPBACK}:{self.wires.devices.port}"

    def answering(self) -> dict[str, str]:
        """All replicas of each service, as one address without a wire."""
        return {
            name: _one_name(self.ports[replica] for replica in replicas) for name, replicas in self.replicas.items()
        }

    def is_service(self, name: str) -> bool:
        """Whether a program is a service of ours."""
        return any(name in replicas for replicas in self.replicas.values())

    def address(self, service: str) -> str:
        """A replica of a service without a wire: for those who check."""
        return f"{LOOPBACK}:{self.ports[service]}"

    async def accepts(self, name: str) -> None:
        """Returns when a program takes connections."""
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(LOOPBACK, self.ports[name])
                writer.transport.abort()
                return
            await asyncio.sleep(_POLL_SECONDS)

    def signal(self, name: str, number: signal.Signals) -> int:
        """Sends a signal to a program, at once; returns the id of its process."""
        pid = self.keepers[name].pid
        if pid is None:
            raise RuntimeError(f"{name} does not run")
        os.kill(pid, number)
        return pid

    def workers(self, name: str) -> list[int]:
        """The ids of the processes that a service has started to share its port, the oldest first."""
        pid = self.keepers[name].pid
        children = psutil.Process(pid).children() if pid is not None else []
        return [child.pid for child in sorted(children, key=lambda child: child.create_time())]

    async def ended(self, name: str, pid: int) -> None:
        """Returns when a program's process has ended; it is started again by itself."""
        while self.keepers[name].pid == pid:  # noqa: ASYNC110 - a keeper tells nobody
            await asyncio.sleep(_POLL_SECONDS)

    def last_exit_code(self, service: str) -> int | None:
        """How the last process of a service ended; negative is the signal that ended it."""
        code: int | None = None
        for line in log_path(self.service_dir, "supervisor").read_text().splitlines():
            record = json.loads(line)
            if record["event"] == "program_died" and record["program"] == service:
                code = record["exit_code"]
        return code

    async def rabbitmqctl(self, *arguments: str) -> None:
        """Runs the broker's own tool on the private node.

        Raises:
            RuntimeError: it failed; with what it said.
        """
        program = self._rabbitmq
        tool = Path(program.argv[0]).with_name("rabbitmqctl")
        process = await asyncio.create_subprocess_exec(
            *(str(tool), "--node", program.environ["RABBITMQ_NODENAME"], *arguments),
            env=program.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(_RABBITMQCTL_SECONDS):
            said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)}: {said.decode(errors='replace').strip()}")


@asynccontextmanager
async def faulty_mesh(
    run_dir: Path, environ: Mapping[str, str], *, replicas: int = 1, workers: int = 1
) -> AsyncIterator[FaultyMesh]:
    """Starts private servers, the wires and the services, so many of each, all ready; stops everything on leaving.

    Gateway and ingestion are so many workers each.

    Servers elsewhere are never used, for these are going to be killed.
    """
    own = {name: value for name, value in environ.items() if name not in _SERVER_VARIABLES}
    if workers > 1:
        own |= {f"{name.upper()}_WORKERS": str(workers) for name in WITH_WORKERS}
    ports = Ports.free()
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(local_servers(run_dir / "servers", ports, environ=own))
        wires = Wires(
            rabbitmq=Wire(LOOPBACK, ports.amqp),
            mongodb=StoreWire(LOOPBACK, ports.mongo),
            redis=Wire(LOOPBACK, ports.redis),
            ingestion=Wire(LOOPBACK, ports.ingestion),
            registry=Wire(LOOPBACK, ports.gateway),
            devices=Wire(LOOPBACK, ports.gateway),
        )
        for wire in wires.all():
            await wire.open()
            stack.push_async_callback(wire.close)
        service_dir = run_dir / "services"
        settings = LocalSettings.for_run(own, root=service_dir, run_dir=service_dir, ports=ports)
        run = _services(ports, replicas)
        programs = _programs(run, settings, own, servers, wires)
        supervisor = await stack.enter_async_context(Supervisor(programs, service_dir))
        yield FaultyMesh(
            keepers={**servers.keepers, **supervisor.keepers},
            wires=wires,
            ports={
                "rabbitmq": ports.amqp,
                "mongodb": ports.mongo,
                "redis": ports.redis,
                **{service.name: service.port for service in run},
            },
            metrics_ports={service.name: service.metrics_port for service in run},
            service_dir=service_dir,
            replicas=_by_service(run),
            _rabbitmq=servers.keepers["rabbitmq"].program,
        )


def _services(ports: Ports, replicas: int) -> list[Service]:
    """So many of each service, the first at the ports that others know."""
    further = [
        replace(service, name=f"{service.name}-{number}")
        for number in range(2, replicas + 1)
        for service in mesh_services(Ports.free())
    ]
    return [*mesh_services(ports), *further]


def _by_service(run: Sequence[Service]) -> dict[str, list[str]]:
    """The names of the replicas of each service."""
    return {name: [each.name for each in run if each.name.partition("-")[0] == name] for name in SERVICE_NAMES}


def _programs(
    run: Sequence[Service], settings: LocalSettings, environ: Mapping[str, str], servers: Mesh, wires: Wires
) -> list[Program]:
    """The services, told the wires instead of what is behind them; where there are several, all of them."""
    addresses = ServerAddresses(
        amqp_url=_over(servers.amqp_url, wires.rabbitmq),
        mongo_url=_over(servers.mongo_url, wires.mongodb),
        redis_url=_over(servers.redis_url, wires.redis),
    )
    peers = {
        "GATEWAY_ADDRESS": f"{LOOPBACK}:{wires.registry.port}",
        "INGESTION_ADDRESS": f"{LOOPBACK}:{wires.ingestion.port}",
    }
    ports = {service.name: service.port for service in run}
    for name, replicas in _by_service(run).items():
        if len(replicas) > 1:
            peers[f"{name.upper()}_ADDRESS"] = _one_name(ports[replica] for replica in replicas)
    settings.root.mkdir(parents=True, exist_ok=True)
    programs = services.programs(run, settings, environ, addresses)
    return [replace(program, environ={**program.environ, **peers}) for program in programs]


def _one_name(ports: Iterable[int]) -> str:
    """Several replicas as one address; a channel goes round them."""
    return "ipv4:" + ",".join(f"{LOOPBACK}:{port}" for port in ports)


def _over(url: str, wire: Wire) -> str:
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{LOOPBACK}:{wire.port}").geturl()
