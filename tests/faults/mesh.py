"""A whole mesh whose every connection leads over a wire that can be troubled, and whose every program can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from common.localstack import services
from common.localstack.addresses import SERVICE_NAMES, ServerAddresses
from common.localstack.keeper import Keeper
from common.localstack.mesh import Mesh, local_servers
from common.localstack.process import log_path
from common.localstack.program import Program
from common.localstack.services import mesh_services
from common.localstack.settings import LOOPBACK, LocalSettings, Ports
from common.localstack.supervisor import Supervisor
from tests.faults.store_wire import StoreWire
from tests.faults.wire import Wire

SERVERS = ("rabbitmq", "mongodb", "redis")
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
    service_dir: Path
    _rabbitmq: Program

    @property
    def device_address(self) -> str:
        """Where devices find the gateway."""
        return f"{LOOPBACK}:{self.wires.devices.port}"

    def address(self, service: str) -> str:
        """A service without a wire: for those who check."""
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
async def faulty_mesh(run_dir: Path, environ: Mapping[str, str]) -> AsyncIterator[FaultyMesh]:
    """Starts private servers, the wires and the services, all ready; stops everything on leaving.

    Servers elsewhere are never used, for these are going to be killed.
    """
    own = {name: value for name, value in environ.items() if name not in _SERVER_VARIABLES}
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
        programs = _programs(service_dir, ports, own, servers, wires)
        supervisor = await stack.enter_async_context(Supervisor(programs, service_dir))
        yield FaultyMesh(
            keepers={**servers.keepers, **supervisor.keepers},
            wires=wires,
            ports={
                "rabbitmq": ports.amqp,
                "mongodb": ports.mongo,
                "redis": ports.redis,
                **{name: getattr(ports, name) for name in SERVICE_NAMES},
            },
            service_dir=service_dir,
            _rabbitmq=servers.keepers["rabbitmq"].program,
        )


def _programs(
    service_dir: Path, ports: Ports, environ: Mapping[str, str], servers: Mesh, wires: Wires
) -> list[Program]:
    """The services, told the wires instead of what is behind them."""
    settings = LocalSettings.for_run(environ, root=service_dir, run_dir=service_dir, ports=ports)
    addresses = ServerAddresses(
        amqp_url=_over(servers.amqp_url, wires.rabbitmq),
        mongo_url=_over(servers.mongo_url, wires.mongodb),
        redis_url=_over(servers.redis_url, wires.redis),
    )
    peers = {
        "GATEWAY_ADDRESS": f"{LOOPBACK}:{wires.registry.port}",
        "INGESTION_ADDRESS": f"{LOOPBACK}:{wires.ingestion.port}",
    }
    programs = services.programs(mesh_services(ports), settings, environ, addresses)
    service_dir.mkdir(parents=True, exist_ok=True)
    return [replace(program, environ={**program.environ, **peers}) for program in programs]


def _over(url: str, wire: Wire) -> str:
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{LOOPBACK}:{wire.port}").geturl()
