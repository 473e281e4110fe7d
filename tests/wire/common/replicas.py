"""Replicas of one service for the tests of callers: real servers that count, tell their names, and fail as told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from energy.billing.v1 import usage_service_pb2
from prometheus_client import CollectorRegistry

from common.config import Port, ServiceConfig
from common.grpc_client import open_channel
from common.grpc_server import GrpcServer
from common.health import Health

SERVICE = usage_service_pb2.DESCRIPTOR.services_by_name["UsageService"].full_name
READ = f"/{SERVICE}/GetLiveReading"
"""A method that the contract calls free of side effects."""
PAY = "/energy.test.v1.ShopService/Pay"
"""A method that no contract calls idempotent."""


class Config(ServiceConfig):
    """On free ports."""

    grpc_port: Port = 0
    metrics_port: Port = 0


@dataclass
class Replica:
    """One of them: `received` counts by method what `peers` have sent, `failure` is what it answers with, if any."""

    name: str
    config: Config = field(default_factory=Config)
    received: Counter[str] = field(default_factory=Counter)
    peers: set[str] = field(default_factory=set)
    failure: grpc.StatusCode | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Is open."""
        self.gate.set()
        self.health = Health([SERVICE], {}, CollectorRegistry())

    async def start(self) -> None:
        """Listens and is serving; again on the same port after a stop."""
        registry = CollectorRegistry()
        self.health = Health([SERVICE], {}, registry)
        add = [(self._add, None, SERVICE)]
        self.server = GrpcServer(self.config, self.name, add, [], health=self.health, registry=registry)
        await self.server.start()
        self.config = self.config.model_copy(update={"grpc_port": self.server.port})
        await self.health.ready()

    async def stop(self) -> None:
        """Is gone, without a word."""
        await self.server.stop(0)

    def _add(self, _servicer: Any, server: grpc.aio.Server) -> None:
        for path in (READ, PAY):
            _, service, method = path.split("/")
            handler: Any = grpc.unary_unary_rpc_method_handler(self._answering(path))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))

    def _answering(self, path: str) -> Any:
        async def answer(_request: bytes, context: Any) -> bytes:
            self.received[path] += 1
            self.peers.add(context.peer())
            await self.gate.wait()
            if self.failure is not None:
                await context.abort(self.failure, "as told")
            return self.name.encode()

        return answer


@dataclass
class Caller:
    """Calls whoever is next behind the one name of all replicas."""

    channel: grpc.aio.Channel

    async def call(self, path: str = READ, *, timeout_seconds: float = 5.0) -> str:
        """The name of who has answered, or the code of the failure."""
        method: Any = self.channel.unary_unary(path)
        try:
            answer: bytes = await method(b"", timeout=timeout_seconds)
        except grpc.aio.AioRpcError as failure:
            return failure.code().name
        return answer.decode()

    async def calls(self, count: int, path: str = READ) -> Counter[str]:
        """What came of some calls, one after the other."""
        return Counter([await self.call(path) for _ in range(count)])

    async def until_answered_by(self, *names: str) -> None:
        """Calls until just these have answered among twice as many calls in a row."""
        async with asyncio.timeout(20):
            while set(await self.calls(2 * len(names))) != set(names):
                pass


@asynccontextmanager
async def running(*replicas: Replica, serving: str | None = SERVICE) -> AsyncIterator[Caller]:
    """Starts the replicas, and gives who calls them once all have answered."""
    async with AsyncExitStack() as stack:
        for replica in replicas:
            await replica.start()
            stack.push_async_callback(replica.stop)
        address = "ipv4:" + ",".join(replica.server.address for replica in replicas)
        caller = Caller(await stack.enter_async_context(open_channel(address, serving=serving)))
        await caller.until_answered_by(*(replica.name for replica in replicas))
        yield caller
