"""Whether a service can do its own work: checks of what it needs, told as gRPC health and as a metric."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as grpc_health_aio
from prometheus_client import CollectorRegistry, Gauge

from common.logs import get_logger

LIVENESS = "liveness"
EVALUATION_INTERVAL_SECONDS = 1.0

NOTICE_SECONDS = 0.3
"""How long callers have to hear that a replica drains, and to turn to another, before it refuses anything.

A call that meets a server at the very moment of its stop is cancelled, which nobody sends again.
"""

_log = get_logger(__name__)
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True)
class Check:
    """A look at one dependency: `probe` returns if it is there and raises if it is away.

    A dependency that is not `required` only degrades the service: it shows in the metric and in the log. One that only
    some of the `services` of the process cannot do without turns these red, and not the process.
    A result is believed for `cache_seconds`.
    """

    probe: Callable[[], Awaitable[object]]
    required: bool = True
    timeout_seconds: float = 2.0
    cache_seconds: float = 1.0
    services: tuple[str, ...] = ()


class Health:
    """The gRPC health of a process: '' and each service name follow their required checks, `liveness` the process.

    Red until `ready()` has been called. Peers are no checks: a circle of services that wait for each other never
    turns green.
    """

    def __init__(self, service_names: Iterable[str], checks: Mapping[str, Check], registry: CollectorRegistry) -> None:
        self.servicer = grpc_health_aio.HealthServicer()
        self.service_names = ("", *service_names)
        self._checks = dict(checks)
        self._up = Gauge(
            "dependency_up", "1 if the last check of the dependency passed, else 0.", ["dependency"], registry=registry
        )
        self._serving_gauge = Gauge(
            "health_serving", "1 if the service says that it serves, else 0.", registry=registry
        )
        self._known: dict[str, bool] = {}
        self._checked_at: dict[str, float] = {}
        self._ready = False
        self._draining = False
        self._serving: frozenset[str] | None = None

    async def open(self) -> None:
        """Turns every name red and `liveness` green; to be called before the server starts."""
        await self.servicer.set(LIVENESS, _SERVING)
        await self._tell(frozenset())

    async def ready(self) -> None:
        """Says that start-up is over: from now on the checks decide."""
        self._ready = True
        await self.evaluate()

    async def drain(self) -> None:
        """Turns every name but `liveness` red for good, the first step of a shutdown; returns when callers have heard.

        Whoever could not be called before has nobody to tell.
        """
        was_serving = self._serving
        self._draining = True
        await self._tell(frozenset())
        if was_serving:
            await asyncio.sleep(NOTICE_SECONDS)

    async def run(self) -> None:
        """Evaluates the checks every second, for ever; a background task of the process."""
        while True:
            await self.evaluate()
            await asyncio.sleep(EVALUATION_INTERVAL_SECONDS)

    async def evaluate(self) -> bool:
        """Runs the checks whose results have aged, tells the outcome, and returns whether the process is serving."""
        due = [name for name in self._checks if self._is_due(name)]
        await asyncio.gather(*(self._check(name) for name in due))
        serving = frozenset(name for name in self.service_names if self._ready and self._has_all(name))
        await self._tell(serving)
        return "" in serving and not self._draining

    def _has_all(self, service: str) -> bool:
        return all(
            self._known.get(name, False)
            for name, check in self._checks.items()
            if check.required and (not check.services or service in check.services)
        )

    def _is_due(self, name: str) -> bool:
        checked_at = self._checked_at.get(name)
        return checked_at is None or time.monotonic() - checked_at >= self._checks[name].cache_seconds

    async def _check(self, name: str) -> None:
        check = self._checks[name]
        problem: str | None = None
        try:
            async with asyncio.timeout(check.timeout_seconds):
                await check.probe()
        except TimeoutError:
            problem = f"no answer in {check.timeout_seconds} s"
        except Exception as failure:  # noqa: BLE001 - whatever a probe raises means the same: away
            problem = type(failure).__name__
        self._checked_at[name] = time.monotonic()
        self._record(name, problem, required=check.required)

    def _record(self, name: str, problem: str | None, *, required: bool) -> None:
        is_up = problem is None
        self._up.labels(name).set(1 if is_up else 0)
        if self._known.get(name) == is_up:
            return
        self._known[name] = is_up
        if is_up:
            _log.info("dependency_up", dependency=name)
        else:
            _log.warning("dependency_down", dependency=name, problem=problem, required=required)

    async def _tell(self, serving: frozenset[str]) -> None:
        if self._draining:
            serving = frozenset()
        if serving == self._serving:
            return
        self._serving = serving
        self._serving_gauge.set(1 if "" in serving else 0)
        for name in self.service_names:
            await self.servicer.set(name, _SERVING if name in serving else _NOT_SERVING)
        red = sorted(set(self.service_names) - serving)
        _log.info("health_changed", serving="" in serving, red=red)
