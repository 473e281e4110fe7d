"""Callers and their replicas: which are sick, slow, absent or back, and what is sent again, tried on real servers."""

from __future__ import annotations

import asyncio
from collections import Counter

import grpc
import pytest

from tests.wire.common.replicas import PAY, READ, Replica, running


async def test_calls_are_spread_evenly() -> None:
    """Each goes to the next."""
    async with running(Replica("first"), Replica("second")) as caller:
        assert await caller.calls(20) == {"first": 10, "second": 10}


async def test_a_sick_replica_is_left_alone_until_it_is_well() -> None:
    """Its health says so, and its calls go to the other; none fails."""
    sick = Replica("sick")
    async with running(sick, Replica("well")) as caller:
        await sick.health.servicer.set("energy.billing.v1.UsageService", 2)
        await caller.until_answered_by("well")
        received = sick.received[READ]

        assert await caller.calls(20) == {"well": 20}
        assert sick.received[READ] == received

        await sick.health.servicer.set("energy.billing.v1.UsageService", 1)
        await caller.until_answered_by("sick", "well")


async def test_a_replica_that_drains_costs_no_call() -> None:
    """It says that it is not serving before it stops, so no call is on its way to it then; five times over."""
    draining = Replica("draining")
    async with running(draining, Replica("other")) as caller:
        outcomes: Counter[str] = Counter()
        done = asyncio.Event()

        async def ask() -> None:
            while not done.is_set():
                outcomes[await caller.call()] += 1

        async with asyncio.TaskGroup() as asking:
            for _ in range(20):
                asking.create_task(ask())
            for _ in range(5):
                await caller.until_answered_by("draining", "other")
                await draining.health.drain()
                await draining.server.stop(5)
                await draining.start()
            done.set()

    assert set(outcomes) == {"draining", "other"}


async def test_an_absent_replica_costs_no_call_and_is_met_again() -> None:
    """It goes without a word, and comes back at the same address."""
    absent = Replica("absent")
    async with running(absent, Replica("present")) as caller:
        await absent.stop()

        assert set(await caller.calls(20)) == {"present"}

        await absent.start()
        await caller.until_answered_by("absent", "present")


async def test_a_slow_replica_holds_up_only_its_own_calls() -> None:
    """What waits for it ends at its deadline, and nothing is sent again for being slow."""
    slow = Replica("slow")
    async with running(slow, Replica("quick")) as caller:
        slow.gate.clear()
        received = slow.received[READ]

        outcomes = Counter(await asyncio.gather(*(caller.call(timeout_seconds=0.5) for _ in range(10))))

        assert outcomes == {"quick": 5, "DEADLINE_EXCEEDED": 5}
        assert slow.received[READ] - received == 5


async def test_a_replica_that_fails_while_its_health_is_green_is_cast_out_for_a_while() -> None:
    """Outlier detection sees it by its answers; it is tried again some seconds later."""
    failing = Replica("failing", failure=None)
    async with running(failing, Replica("sound")) as caller:
        failing.failure = grpc.StatusCode.INTERNAL
        async with asyncio.timeout(20):
            while set(await caller.calls(20)) != {"sound"}:
                pass

        failing.failure = None

        await caller.until_answered_by("failing", "sound")


async def test_an_idempotent_call_that_failed_is_sent_to_another() -> None:
    """The caller sees nothing of it."""
    failing = Replica("failing")
    async with running(failing, Replica("sound")) as caller:
        failing.failure = grpc.StatusCode.UNAVAILABLE
        received = failing.received[READ]

        assert await caller.calls(4) == {"sound": 4}
        assert failing.received[READ] > received


async def test_a_call_that_is_not_idempotent_is_never_sent_twice() -> None:
    """Whoever pays hears of the failure, and decides."""
    failing, other = Replica("failing"), Replica("other")
    async with running(failing, other) as caller:
        failing.failure = other.failure = grpc.StatusCode.UNAVAILABLE

        assert await caller.calls(4, PAY) == {"UNAVAILABLE": 4}
        assert failing.received[PAY] + other.received[PAY] == 4


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.ABORTED, grpc.StatusCode.NOT_FOUND])
async def test_only_unavailable_is_tried_again(code: grpc.StatusCode) -> None:
    """Any other failure is an answer."""
    replica = Replica("only")
    async with running(replica) as caller:
        replica.failure = code
        received = replica.received[READ]

        assert await caller.calls(3) == {code.name: 3}
        assert replica.received[READ] - received == 3


async def test_a_mesh_in_trouble_is_not_buried_in_retries() -> None:
    """When everything fails, calls are soon sent once each, not four times."""
    replica = Replica("only")
    async with running(replica) as caller:
        replica.failure = grpc.StatusCode.UNAVAILABLE
        received = replica.received[READ]

        await asyncio.gather(*(caller.call() for _ in range(200)))
        in_trouble = replica.received[READ] - received
        before = replica.received[READ]
        await asyncio.gather(*(caller.call() for _ in range(50)))

    assert replica.received[READ] - before == 50
    assert 200 <= in_trouble <= 200 + 60
