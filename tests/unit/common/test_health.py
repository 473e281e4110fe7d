"""Health: what the checks make of a service."""

from __future__ import annotations

import asyncio
from typing import Any

from grpc_health.v1 import health_pb2
from prometheus_client import CollectorRegistry

from common.health import Check, Health


class _Dependency:
    """Something that can be there, away, or silent."""

    def __init__(self) -> None:
        self.away: Exception | None = None
        self.silent = False
        self.asked = 0

    async def probe(self) -> None:
        """Answers, fails or hangs."""
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            raise self.away


def _health(registry: CollectorRegistry | None = None, **checks: Check) -> Health:
    return Health(["energy.test.v1.EchoService"], checks, registry or CollectorRegistry())


async def _status(health: Health, name: str = "") -> int:
    no_context: Any = None
    answer: Any = await health.servicer.Check(health_pb2.HealthCheckRequest(service=name), no_context)
    return int(answer.status)


_SERVING = int(health_pb2.HealthCheckResponse.SERVING)
_NOT_SERVING = int(health_pb2.HealthCheckResponse.NOT_SERVING)


async def test_a_required_dependency_that_is_away_turns_the_service_red_until_it_is_back() -> None:
    """Every name but liveness follows it."""
    store = _Dependency()
    health = _health(mongodb=Check(store.probe, cache_seconds=0))
    await health.open()
    await health.ready()
    assert await _status(health) == _SERVING

    store.away = ConnectionError("gone")
    await health.evaluate()
    assert await _status(health) == _NOT_SERVING
    assert await _status(health, "energy.test.v1.EchoService") == _NOT_SERVING
    assert await _status(health, "liveness") == _SERVING

    store.away = None
    await health.evaluate()
    assert await _status(health) == _SERVING


async def test_a_dependency_of_some_services_turns_these_red_and_not_the_process() -> None:
    """What the others do they can still do."""
    store = _Dependency()
    checks = {"mongodb": Check(store.probe, cache_seconds=0, services=("a.v1.Alerts",))}
    health = Health(["a.v1.Alerts", "a.v1.Live"], checks, registry := CollectorRegistry())
    await health.open()
    await health.ready()
    before = [await _status(health, name) for name in ("", "a.v1.Alerts", "a.v1.Live")]

    store.away = ConnectionError("gone")
    is_serving = await health.evaluate()
    after = [await _status(health, name) for name in ("", "a.v1.Alerts", "a.v1.Live")]

    assert before == [_SERVING, _SERVING, _SERVING]
    assert (is_serving, after) == (True, [_SERVING, _NOT_SERVING, _SERVING])
    assert registry.get_sample_value("health_serving") == 1
    assert registry.get_sample_value("dependency_up", {"dependency": "mongodb"}) == 0


async def test_a_dependency_that_is_not_required_only_degrades() -> None:
    """It shows in the metric, and the service stays green."""
    cache = _Dependency()
    cache.away = ConnectionError("gone")
    registry = CollectorRegistry()
    health = _health(registry, redis=Check(cache.probe, required=False))
    await health.open()

    await health.ready()

    assert await _status(health) == _SERVING
    assert registry.get_sample_value("dependency_up", {"dependency": "redis"}) == 0


async def test_a_silent_dependency_counts_as_away_after_its_time_limit() -> None:
    """A check never hangs the evaluation, nor the checks beside it."""
    silent, well = _Dependency(), _Dependency()
    silent.silent = True
    registry = CollectorRegistry()
    health = _health(registry, rabbitmq=Check(silent.probe, timeout_seconds=0.01), mongodb=Check(well.probe))
    await health.open()

    async with asyncio.timeout(5):
        await health.ready()

    assert await _status(health) == _NOT_SERVING
    assert registry.get_sample_value("dependency_up", {"dependency": "rabbitmq"}) == 0
    assert registry.get_sample_value("dependency_up", {"dependency": "mongodb"}) == 1


async def test_a_result_is_believed_for_its_cache_time() -> None:
    """Evaluating often does not ask often."""
    store = _Dependency()
    health = _health(mongodb=Check(store.probe, cache_seconds=3600))

    await health.ready()
    await health.evaluate()

    assert store.asked == 1


async def test_the_service_is_red_before_it_is_ready_however_well_its_dependencies_are() -> None:
    """Start-up is over when the app says so."""
    health = _health(mongodb=Check(_Dependency().probe))
    await health.open()

    await health.evaluate()

    assert await _status(health) == _NOT_SERVING


async def test_an_evaluation_that_ends_after_the_drain_does_not_turn_it_green_again() -> None:
    """A check in flight when the shutdown begins must not call traffic back."""
    gate = asyncio.Event()
    health = _health(mongodb=Check(gate.wait))
    await health.open()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(health.ready())
        await asyncio.sleep(0)
        await health.drain()
        gate.set()

    assert await _status(health) == _NOT_SERVING


async def test_whether_the_service_serves_is_a_figure_too() -> None:
    """It follows what callers are told, to the end."""
    store, registry = _Dependency(), CollectorRegistry()
    health = _health(registry, mongodb=Check(store.probe, cache_seconds=0))
    told = []
    await health.open()
    told.append(registry.get_sample_value("health_serving"))
    await health.ready()
    told.append(registry.get_sample_value("health_serving"))
    store.away = ConnectionError("gone")
    await health.evaluate()
    told.append(registry.get_sample_value("health_serving"))
    store.away = None
    await health.evaluate()
    await health.drain()
    told.append(registry.get_sample_value("health_serving"))

    assert told == [0, 1, 0, 0]
