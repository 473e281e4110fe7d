"""Callers that know a name follow what it stands for: replicas that come, go and are replaced, each at its address."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from common.grpc_client import channel_options, open_channel
from tests.wire.common.name_server import NameServer, naming
from tests.wire.common.replicas import SERVICE, Caller, Config, Replica

AGE_SECONDS = 1
# The least time between two questions for a name, and what a machine that does other things as well may add.
NOTICED_SECONDS = int(dict(channel_options())["grpc.dns_min_time_between_resolutions_ms"]) / 1000 + 4
# Longer than that least time, and than the longest pause before a lost address is tried again.
QUIET_SECONDS = 3.0


class Replicas:
    """Replicas at addresses of their own and with one port, by the last part of their address, and their name."""

    def __init__(self, stack: AsyncExitStack, names: NameServer) -> None:
        self.names = names
        self.port = 0
        self._stack = stack

    async def start(self, number: int, *, age_seconds: float = 600) -> Replica:
        """One that serves at 127.0.0.`number` and is not named yet."""
        address = f"127.0.0.{number}"
        config = Config(bind_host=address, grpc_port=self.port, connection_age_seconds=age_seconds)
        replica = Replica(str(number), config)
        await replica.start()
        self._stack.push_async_callback(replica.stop)
        self.port = replica.server.port
        return replica

    def name(self, *numbers: int) -> None:
        """Has the name stand for these from now on."""
        self.names.addresses = [f"127.0.0.{number}" for number in numbers]

    async def caller(self) -> Caller:
        """Who knows the name alone."""
        address = f"dns://127.0.0.1:{self.names.port}/replicas.test:{self.port}"
        return Caller(await self._stack.enter_async_context(open_channel(address, serving=SERVICE)))


@asynccontextmanager
async def named() -> AsyncIterator[Replicas]:
    """A name without replicas."""
    async with AsyncExitStack() as stack:
        yield Replicas(stack, await stack.enter_async_context(naming()))


async def outcomes_until(caller: Caller, wanted: set[str], limit_seconds: float) -> Counter[str]:
    """What came of calls until the last few were answered by just those wanted.

    Raises:
        TimeoutError: they were not within the limit.
    """
    outcomes: Counter[str] = Counter()
    async with asyncio.timeout(limit_seconds):
        while True:
            some = await caller.calls(4 * len(wanted))
            outcomes += some
            if set(some) == wanted:
                return outcomes


async def test_a_replica_that_came_later_is_found_when_a_connection_has_come_of_age() -> None:
    """Then the name is asked again; no call fails meanwhile."""
    async with named() as replicas:
        await replicas.start(11, age_seconds=AGE_SECONDS)
        replicas.name(11)
        caller = await replicas.caller()
        await caller.until_answered_by("11")
        await replicas.start(12, age_seconds=AGE_SECONDS)
        replicas.name(11, 12)

        outcomes = await outcomes_until(caller, {"11", "12"}, 1.1 * AGE_SECONDS + NOTICED_SECONDS)

        assert set(outcomes) == {"11", "12"}


async def test_without_an_age_a_replica_that_came_later_would_not_be_found() -> None:
    """Nobody asks for a name whose addresses all answer, which is why connections come of age."""
    async with named() as replicas:
        await replicas.start(11)
        replicas.name(11)
        caller = await replicas.caller()
        await caller.until_answered_by("11")
        asked = replicas.names.asked
        await replicas.start(12)
        replicas.name(11, 12)

        loop = asyncio.get_running_loop()
        end = loop.time() + QUIET_SECONDS
        while loop.time() < end:
            assert await caller.call() == "11"

        assert replicas.names.asked == asked


async def test_a_replica_that_is_replaced_is_forgotten_and_its_successor_found() -> None:
    """The name is asked when its connection is gone, not when it drains, and by then it has no call left to fail.

    What listens at the old address afterwards is never called.
    """
    async with named() as replicas:
        leaving = await replicas.start(11)
        await replicas.start(12)
        replicas.name(11, 12)
        caller = await replicas.caller()
        await caller.until_answered_by("11", "12")

        await replicas.start(13)
        replicas.name(12, 13)
        await leaving.health.drain()
        outcomes = await outcomes_until(caller, {"12"}, NOTICED_SECONDS)
        await leaving.stop()
        outcomes += await outcomes_until(caller, {"12", "13"}, NOTICED_SECONDS)
        stranger = await replicas.start(11)
        loop = asyncio.get_running_loop()
        end = loop.time() + QUIET_SECONDS
        while loop.time() < end:
            outcomes += await caller.calls(10)

        assert set(outcomes) <= {"11", "12", "13"}
        assert stranger.peers == set()


async def test_the_only_replica_may_come_back_at_another_address() -> None:
    """Killed without a word: the name is asked as soon as its connection is gone."""
    async with named() as replicas:
        killed = await replicas.start(11)
        replicas.name(11)
        caller = await replicas.caller()
        await caller.until_answered_by("11")

        await replicas.start(12)
        replicas.name(12)
        await killed.stop()
        outcomes = await outcomes_until(caller, {"12"}, NOTICED_SECONDS)

        assert set(outcomes) <= {"11", "12", "UNAVAILABLE"}
