"""Replicas share partitions by leases in the real store: take, yield, take over, and grow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect

from common.lease_store import LeaseStore, SeenLeases
from common.mongo import Database
from common.partition_consumers import PartitionConsumers
from common.partition_sharing import NotConsuming, PartitionSharing
from common.progress import NoProgress

PARTITIONS = 8
LIMIT_SECONDS = 20


class MadeUpConsumer:
    """Consumes nothing; it is subscribed while it lives, and a test may hold its end up."""

    def __init__(self, partition: int, held: asyncio.Event) -> None:
        self.partition = partition
        self.is_subscribed = False
        self.is_stuck = False
        self.in_hand_count = 3
        self._held = held

    def require_progress(self) -> None:
        """Fails while the test says that it is stuck."""
        if self.is_stuck:
            raise NoProgress

    async def subscribe(self) -> None:
        """Is subscribed."""
        self.is_subscribed = True
        await asyncio.Event().wait()

    async def run(self) -> None:
        """Works on nothing."""
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Finishes once the test lets it."""
        self.is_subscribed = False
        await self._held.wait()


class FrailLeases(LeaseStore):
    """The real leases behind a store that a test takes away."""

    is_away = False

    async def beat(self, replica: str) -> None:
        """Beats, unless the store is away."""
        if self.is_away:
            raise AutoReconnect("gone")
        await super().beat(replica)


class Replica:
    """One replica: what it leases and consumes, and its end, in order or not."""

    def __init__(self, database: Database, name: str, partitions: int = PARTITIONS) -> None:
        self.store = FrailLeases(database, "billing")
        self.metrics = CollectorRegistry()
        self.prepared: list[int] = []
        self.may_stop = asyncio.Event()
        self.may_stop.set()
        self.consumers = PartitionConsumers(lambda partition: MadeUpConsumer(partition, self.may_stop), self._prepare)
        self.sharing = PartitionSharing(
            me=name,
            store=self.store,
            consumers=self.consumers,
            partitions=partitions,
            registry=self.metrics,
        )
        self.life: asyncio.Task[None] | None = None

    async def _prepare(self, partition: int) -> None:
        self.prepared.append(partition)

    @property
    def consumed(self) -> set[int]:
        """The partitions that are consumed."""
        return {consumer.partition for consumer in self.consumers.running if consumer.is_subscribed}

    async def kill(self) -> None:
        """Ends it without a word to the others."""
        assert self.life is not None
        self.life.cancel()
        await asyncio.wait([self.life])


@asynccontextmanager
async def replicas(database: Database, *names: str, partitions: int = PARTITIONS) -> AsyncIterator[list[Replica]]:
    """Replicas that share, started one right after the other."""
    made = [Replica(database, name, partitions) for name in names]
    for replica in made:
        replica.life = asyncio.ensure_future(replica.sharing.run())
    try:
        yield made
    finally:
        for replica in made:
            await replica.kill()


async def eventually(condition: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> float:
    """Waits until a condition holds; how long that took, in seconds."""
    begin = time.monotonic()
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.02)
    return time.monotonic() - begin


def are_split(one: Replica, other: Replica, partitions: int = PARTITIONS) -> bool:
    """Whether two replicas consume every partition, half each, none both."""
    return (
        one.consumed | other.consumed == set(range(partitions))
        and len(one.consumed) == len(other.consumed) == partitions // 2
    )


async def test_the_only_replica_consumes_everything(database: Database) -> None:
    """At once, and it prepares each partition first."""
    async with replicas(database, "a") as (a,):
        with pytest.raises(NotConsuming):
            await a.sharing.require_consuming()
        await eventually(lambda: len(a.consumed) == PARTITIONS)

        await a.sharing.require_consuming()
        assert sorted(a.prepared) == list(range(PARTITIONS))


async def test_a_replica_tells_what_it_leases_and_has_in_hand(database: Database) -> None:
    """Each consumer of these has three deliveries."""
    async with replicas(database, "a") as (a,):
        await eventually(lambda: len(a.consumed) == PARTITIONS)

        assert a.metrics.get_sample_value("partitions_leased") == PARTITIONS
        assert a.metrics.get_sample_value("deliveries_in_hand") == 3 * PARTITIONS


async def test_a_replica_that_is_stuck_with_one_partition_is_not_well(database: Database) -> None:
    """Until what it has in hand gets done again."""
    async with replicas(database, "a") as (a,):
        await eventually(lambda: len(a.consumed) == PARTITIONS)
        a.consumers.running[3].is_stuck = True

        with pytest.raises(NoProgress):
            await a.sharing.require_consuming()
        a.consumers.running[3].is_stuck = False
        await a.sharing.require_consuming()


async def test_a_newcomer_gets_half_and_nothing_moves_afterwards(database: Database) -> None:
    """Within a few looks; what a replica keeps it never stops consuming."""
    async with replicas(database, "a") as (a,):
        await eventually(lambda: len(a.consumed) == PARTITIONS)
        async with replicas(database, "b") as (b,):
            assert await eventually(lambda: are_split(a, b)) < 10
            kept, prepared = a.consumed, [list(a.prepared), list(b.prepared)]
            looks: list[SeenLeases] = []

            async def look_until(count: int) -> None:
                before = await a.store.look()
                while len(looks) < count:
                    now = await a.store.look()
                    if now.heartbeats != before.heartbeats:
                        looks.append(now)
                        before = now
                    await asyncio.sleep(0.05)

            async with asyncio.timeout(LIMIT_SECONDS):
                await look_until(4)

            assert a.consumed == kept
            assert [a.prepared, b.prepared] == prepared
            assert all(seen.owners == looks[0].owners for seen in looks)


async def test_a_killed_replica_is_replaced_within_ten_seconds(database: Database) -> None:
    """Its heart stands still for a lease; then the other takes everything, and the dead one is forgotten."""
    async with replicas(database, "a", "b") as (a, b):
        await eventually(lambda: are_split(a, b))
        await b.kill()

        assert await eventually(lambda: a.consumed == set(range(PARTITIONS))) < 10
        assert (await a.store.look()).heartbeats.keys() == {"a"}
        await a.sharing.require_consuming()


async def test_a_replica_that_stops_is_replaced_at_once(database: Database) -> None:
    """It finishes what it holds and frees its leases itself, so nobody waits for a lease to run out."""
    async with replicas(database, "a", "b") as (a, b):
        await eventually(lambda: are_split(a, b))
        await b.sharing.stop()

        assert b.consumed == set()
        assert await eventually(lambda: a.consumed == set(range(PARTITIONS))) < 3


async def test_a_lease_is_given_back_only_after_what_is_in_hand_is_finished(database: Database) -> None:
    """A consumer that is slow to stop keeps the partition leased."""
    async with replicas(database, "a") as (a,):
        await eventually(lambda: len(a.consumed) == PARTITIONS)
        a.may_stop.clear()
        async with replicas(database, "b") as (b,):
            await eventually(lambda: len(a.sharing.leased) == PARTITIONS // 2)
            owners = (await a.store.look()).owners
            assert set(owners.values()) == {"a"}
            assert b.consumed == set()

            a.may_stop.set()
            await eventually(lambda: are_split(a, b))


async def test_a_successor_of_the_same_name_goes_on_at_once(database: Database) -> None:
    """A process that is started again where the last one was killed does not wait for its own lease."""
    async with replicas(database, "a") as (a,):
        await eventually(lambda: len(a.consumed) == PARTITIONS)
        await a.kill()
    async with replicas(database, "a") as (successor,):
        assert await eventually(lambda: len(successor.consumed) == PARTITIONS) < 3


async def test_more_replicas_than_partitions_are_all_well(database: Database) -> None:
    """One holds nothing, and that is no fault."""
    async with replicas(database, "a", "b", "c", partitions=2) as three:
        await eventually(lambda: sum(len(replica.consumed) for replica in three) == 2)
        await eventually(lambda: sorted(len(replica.consumed) for replica in three) == [0, 1, 1])

        for replica in three:
            await replica.sharing.require_consuming()


async def test_new_partitions_are_shared_by_all_as_soon_as_one_hears_of_them(database: Database) -> None:
    """The leases tell the others, who prepare and consume them too; nobody can talk the number down or beyond sense."""
    async with replicas(database, "a", "b") as (a, b):
        await eventually(lambda: are_split(a, b))
        a.sharing.learn_partition_count(12)
        a.sharing.learn_partition_count(4)
        a.sharing.learn_partition_count(1_000_000)

        await eventually(lambda: are_split(a, b, 12))
        assert (a.sharing.partition_count, b.sharing.partition_count) == (12, 12)
        assert set(a.prepared) | set(b.prepared) == set(range(12))


async def test_while_the_store_is_away_everybody_goes_on(database: Database) -> None:
    """Nobody stops consuming; when it is back nobody takes what the other held."""
    async with replicas(database, "a", "b") as (a, b):
        await eventually(lambda: are_split(a, b))
        before = a.consumed, b.consumed
        a.store.is_away = b.store.is_away = True
        # Longer than a lease, so that both have been silent for too long.
        with pytest.raises(TimeoutError):
            await eventually(lambda: (a.consumed, b.consumed) != before, seconds=6)
        a.store.is_away = b.store.is_away = False

        with pytest.raises(TimeoutError):
            await eventually(lambda: (a.consumed, b.consumed) != before, seconds=3)
        await a.sharing.require_consuming()


async def test_a_lease_has_one_taker(database: Database) -> None:
    """Two who saw the same owner cannot both have it."""
    store = LeaseStore(database, "billing")
    await store.make([0])
    await store.make([0])

    assert [await store.take(0, None, me) for me in ("a", "b")] == [True, False]
    await store.give_back([0], "b")
    assert (await store.look()).owners == {0: "a"}
    await store.give_back([0], "a")
    assert (await store.look()).owners == {0: None}


async def test_only_a_heart_that_stands_still_is_buried(database: Database) -> None:
    """One beat in between, and it lives."""
    store = LeaseStore(database, "billing")
    await store.beat("a")
    seen = await store.look()
    await store.beat("a")

    assert not await store.bury("a", seen.heartbeats["a"])
    assert (await store.look()).heartbeats == {"a": 2}
    assert await store.bury("a", 2)
    assert (await store.look()).heartbeats == {}
