"""A connection does not last for ever: callers are told to connect again, and so meet the replicas that came later."""

from __future__ import annotations

import asyncio
from collections import Counter

from common.connection_age import ConnectionAge
from common.grpc_server import server_options
from tests.wire.common.replicas import Config, Replica, running


async def test_a_connection_that_has_aged_costs_no_call() -> None:
    """Under load, each replica sees one connection after the other; every call is answered."""
    config = Config(connection_age_seconds=1)
    first, second = Replica("first", config), Replica("second", config)
    async with running(first, second) as caller:
        outcomes: Counter[str] = Counter()
        done = asyncio.Event()

        async def ask() -> None:
            while not done.is_set():
                outcomes[await caller.call()] += 1

        async with asyncio.TaskGroup() as asking:
            for _ in range(10):
                asking.create_task(ask())
            async with asyncio.timeout(30):
                while min(len(first.peers), len(second.peers)) < 3:
                    outcomes[await caller.call()] += 1
            done.set()

    assert set(outcomes) == {"first", "second"}


async def test_callers_meet_a_replica_that_came_later_behind_the_same_address() -> None:
    """Who is connected stays with the first until that connection has come of age; no call fails meanwhile."""
    first = Replica("first", Config(connection_age_seconds=1, so_reuseport=True))
    async with running(first) as caller:
        later = Replica("later", first.config)
        await later.start()
        try:
            outcomes = {await caller.call()}
            async with asyncio.timeout(60):
                while "later" not in outcomes:
                    outcomes.add(await caller.call())
        finally:
            await later.stop()

    assert outcomes == {"first", "later"}


def test_a_stream_has_left_before_its_connection_is_cut() -> None:
    """Even one that began when the caller was told, and that needs a while to finish."""
    age = ConnectionAge(600)

    stays = [age.stay_seconds() for _ in range(1000)]

    assert max(stays) + 30 < age.grace_seconds
    assert min(stays) < 0.85 * age.stream_seconds < 0.95 * age.stream_seconds < max(stays) <= age.stream_seconds


def test_a_server_tells_its_callers_as_it_is_configured() -> None:
    """In milliseconds."""
    options = dict(server_options(1, age=ConnectionAge(300)))

    assert options["grpc.max_connection_age_ms"] == 300_000
    assert options["grpc.max_connection_age_grace_ms"] == 210_000
