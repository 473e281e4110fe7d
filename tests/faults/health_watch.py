"""What the services say of their own health while things happen to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from common.grpc_client import open_channel

_SAMPLE_SECONDS = 0.2
_CALL_SECONDS = 1.0
_SERVING = health_pb2.HealthCheckResponse.SERVING


class HealthWatch:
    """Asks every service a few times a second and remembers who said NOT_SERVING; who is away says nothing."""

    def __init__(self, stubs: Mapping[str, Any]) -> None:
        self._stubs = stubs
        self._red: set[str] = set()
        self._green_at: dict[str, float] = {}

    @classmethod
    @asynccontextmanager
    async def over(cls, addresses: Mapping[str, str]) -> AsyncIterator[Self]:
        """Watches services, `host:port` by name, while the context is open."""
        async with AsyncExitStack() as stack:
            channels = {name: await stack.enter_async_context(open_channel(each)) for name, each in addresses.items()}
            watch = cls({name: health_pb2_grpc.HealthStub(channel) for name, channel in channels.items()})
            async with asyncio.TaskGroup() as tasks:
                watching = [tasks.create_task(watch._follow(name)) for name in addresses]
                yield watch
                for task in watching:
                    task.cancel()

    @property
    def red(self) -> frozenset[str]:
        """Who has said NOT_SERVING since the last `forget`."""
        return frozenset(self._red)

    def forget(self) -> None:
        """Begins anew."""
        self._red.clear()

    def all_green_since(self, instant: float) -> bool:
        """Whether every service is SERVING now, and was asked after an instant (seconds since 1970)."""
        return all(self._green_at.get(name, 0.0) > instant for name in self._stubs)

    async def _follow(self, name: str) -> None:
        while True:
            asked_at = time.time()
            try:
                answer = await self._stubs[name].Check(health_pb2.HealthCheckRequest(), timeout=_CALL_SECONDS)
            except grpc.aio.AioRpcError:
                self._green_at.pop(name, None)
            else:
                if answer.status == _SERVING:
                    self._green_at[name] = asked_at
                else:
                    self._red.add(name)
                    self._green_at.pop(name, None)
            await asyncio.sleep(_SAMPLE_SECONDS)
