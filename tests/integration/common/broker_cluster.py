"""A real cluster of three brokers on this machine, and one address that leads to any of them that lives."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from common.localstack import rabbitmq
from common.localstack.problem import NotReady
from common.localstack.program import Program
from common.localstack.settings import LOOPBACK, Ports

NODES = 3
_READY_SECONDS = 90
_COMMAND_SECONDS = 60

_Process = asyncio.subprocess.Process


@dataclass
class Node:
    """One broker of the cluster."""

    name: str
    port: int
    program: Program
    process: _Process | None = None

    async def start(self) -> None:
        """Starts the broker; it may have to wait for others."""
        with (self.program.folder / "output").open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *self.program.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(self.program.environ),
                cwd=self.program.folder,
            )

    async def ready(self) -> None:
        """Returns when it takes connections."""
        async with asyncio.timeout(_READY_SECONDS):
            while True:
                with contextlib.suppress(NotReady, OSError):
                    return await self.program.probe()
                await asyncio.sleep(0.2)

    async def kill(self) -> None:
        """Ends it by SIGKILL."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def command(self, program: str, *arguments: str) -> tuple[int, str]:
        """What one of RabbitMQ's own programs for people ends with and says about this node."""
        process = await asyncio.create_subprocess_exec(
            Path(self.program.argv[0]).with_name(program),
            *("--node", self.name, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(self.program.environ),
        )
        async with asyncio.timeout(_COMMAND_SECONDS):
            said, _ = await process.communicate()
        return process.returncode or 0, said.decode()


class Cluster:
    """The nodes, and the address behind which they stand."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where a client connects to."""
        assert self._server is not None
        return f"amqp://guest:guest@{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}/"

    @asynccontextmanager
    async def behind_one_address(self) -> AsyncIterator[None]:
        """Leads each connection to the first node that takes it, as a service of a cluster does to any."""
        self._server = await asyncio.start_server(self._lead, LOOPBACK, 0)
        async with self._server:
            yield

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for node in self.nodes:
            with contextlib.suppress(OSError):
                from_node, to_node = await asyncio.open_connection(LOOPBACK, node.port)
                await asyncio.gather(_pass_on(reader, to_node), _pass_on(from_node, writer))
                return
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while some := await reader.read(1 << 16):
            writer.write(some)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def broker_cluster(folder: Path, settings: str) -> AsyncIterator[Cluster]:
    """Three nodes that found each other, told the same settings; all are ended on leaving."""
    first = Ports.free()
    nodes, mapper = [], None
    for number in range(NODES):
        ports = replace(first if number == 0 else Ports.free(), epmd=first.epmd)
        run_dir = folder / str(number)
        url = f"amqp://guest:guest@{LOOPBACK}:{ports.amqp}/"
        mapping, broker = rabbitmq.programs(run_dir, ports, os.environ, amqp_url=url)
        mapper = mapper or mapping
        nodes.append(Node(broker.environ["RABBITMQ_NODENAME"], ports.amqp, broker))
    together = [f"cluster_formation.classic_config.nodes.{place} = {node.name}" for place, node in enumerate(nodes, 1)]
    for node in nodes:
        cookie = node.program.folder / ".erlang.cookie"
        cookie.unlink()
        cookie.write_text("of-the-cluster")
        cookie.chmod(0o400)
        (node.program.folder.parent / "log").mkdir(exist_ok=True)
        with (node.program.folder / "rabbitmq.conf").open("a") as file:
            file.write(
                "\n".join(["cluster_formation.peer_discovery_backend = classic_config", *together, settings, ""])
            )
    assert mapper is not None
    epmd = await asyncio.create_subprocess_exec(*mapper.argv, env=dict(mapper.environ), cwd=mapper.folder)
    cluster = Cluster(nodes)
    try:
        for node in nodes:
            await node.start()
            await node.ready()
        async with cluster.behind_one_address():
            yield cluster
    finally:
        for node in nodes:
            await node.kill()
        epmd.kill()
        await epmd.wait()
