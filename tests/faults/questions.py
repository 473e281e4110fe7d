"""People who ask the mesh all the time, through the client policy, over all replicas; none may get an error."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from typing import Any, Self

import grpc
from energy.analytics.v1.analytics_service_pb2 import (
    AGGREGATE_RESOLUTION_QUARTER_HOUR,
    GetRegionLoadRequest,
    ListAggregatesRequest,
)
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from energy.billing.v1.usage_service_pb2 import USAGE_RESOLUTION_QUARTER_HOUR, GetLiveReadingRequest, ListUsageRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub
from energy.registry.v1.registry_service_pb2 import GetDeviceRequest
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub

from common.errors import reason_of
from common.grpc_client import open_channel
from common.instants import from_ms
from tests.faults.traffic import FIRST_DAY, region_of

SERVING = {
    "gateway": "energy.registry.v1.RegistryService",
    "billing": "energy.billing.v1.UsageService",
    "analytics": "energy.analytics.v1.AnalyticsService",
}
"""The service that a replica has to be serving, to be asked."""

_HOUR_MS = 3_600_000
_PAUSE_SECONDS = 0.02
# How many people ask each question at a time: what costs little is asked often enough to meet a stop at its moment.
_PEOPLE = {"GetDevice": 6, "GetLiveReading": 3, "GetRegionLoad": 3, "ListUsage": 1, "ListAggregates": 1}
# Longer than a person waits: how long it took is told, and only an error is one.
_CALL_SECONDS = 10.0
_FIRST_ANSWERS_SECONDS = 30.0

Question = Callable[[str], Awaitable[Any]]


class Questions:
    """Counts answers and failures by method, and knows how long the slowest answer took."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.slowest_seconds = 0.0

    @classmethod
    @asynccontextmanager
    async def asked(cls, addresses: dict[str, str], device_ids: list[str]) -> AsyncIterator[Self]:
        """Asks for as long as the context is open; `addresses` are those of all replicas, by service."""
        async with AsyncExitStack() as stack:
            channels = {
                name: await stack.enter_async_context(open_channel(addresses[name], serving=serving))
                for name, serving in SERVING.items()
            }
            questions = cls()
            done = asyncio.Event()
            async with asyncio.TaskGroup() as asking:
                for name, question in _questions(channels).items():
                    for _ in range(_PEOPLE[name]):
                        asking.create_task(questions._ask(name, question, device_ids, done), name=name)
                try:
                    yield questions
                finally:
                    done.set()

    async def all_answered(self) -> None:
        """Returns when each question has been answered at least once; what failed before does not count."""
        async with asyncio.timeout(_FIRST_ANSWERS_SECONDS):
            while len(self.answered) < len(_PEOPLE):  # noqa: ASYNC110 - the questions tell nobody
                await asyncio.sleep(_PAUSE_SECONDS)
        self.failed.clear()

    async def _ask(self, name: str, question: Question, device_ids: list[str], done: asyncio.Event) -> None:
        for device_id in cycle(device_ids):
            if done.is_set():
                return
            begin = time.monotonic()
            try:
                await question(device_id)
            except grpc.aio.AioRpcError as failure:
                self.failed[f"{name}: {failure.code().name} {reason_of(failure) or failure.details()}"] += 1
            else:
                self.answered[name] += 1
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begin)
            await asyncio.sleep(_PAUSE_SECONDS)


def _questions(channels: dict[str, grpc.aio.Channel]) -> dict[str, Question]:
    registry: Any = RegistryServiceStub(channels["gateway"])
    usage: Any = UsageServiceStub(channels["billing"])
    analytics: Any = AnalyticsServiceStub(channels["analytics"])
    start_ms = int(FIRST_DAY.timestamp() * 1000)
    period: dict[str, Any] = {"start_time": from_ms(start_ms), "end_time": from_ms(start_ms + _HOUR_MS)}
    asked: dict[str, Callable[[str], Any]] = {
        "GetDevice": lambda device_id: GetDeviceRequest(device_id=device_id),
        "GetLiveReading": lambda device_id: GetLiveReadingRequest(device_id=device_id),
        "ListUsage": lambda device_id: ListUsageRequest(
            device_id=device_id, resolution=USAGE_RESOLUTION_QUARTER_HOUR, **period
        ),
        "GetRegionLoad": lambda device_id: GetRegionLoadRequest(region=region_of(device_id)),
        # Analytics asks billing.
        "ListAggregates": lambda device_id: ListAggregatesRequest(
            device_id=device_id, resolution=AGGREGATE_RESOLUTION_QUARTER_HOUR, **period
        ),
    }
    methods = {
        "GetDevice": registry.GetDevice,
        "GetLiveReading": usage.GetLiveReading,
        "ListUsage": usage.ListUsage,
        "GetRegionLoad": analytics.GetRegionLoad,
        "ListAggregates": analytics.ListAggregates,
    }

    def asking(name: str) -> Question:
        return lambda device_id: methods[name](asked[name](device_id), timeout=_CALL_SECONDS)

    return {name: asking(name) for name in asked}
