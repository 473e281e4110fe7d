"""A replica's part in a service: it leases its fair share of the partitions, consumes those, and yields to others."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Generic

from prometheus_client import CollectorRegistry, Gauge
from pymongo.errors import PyMongoError

from common.config import PARTITIONS_MAXIMUM
from common.lease_store import LeaseStore, SeenLeases
from common.logs import get_logger
from common.partition_consumers import ConsumerT, PartitionConsumers
from common.partition_leases import HANDED_OVER, Sightings, fair_shares

LEASE_SECONDS = 4.0

_ROUND_SECONDS = 1.0
_ROUND_LIMIT_SECONDS = 5.0
_LEAVE_LIMIT_SECONDS = 2.0
# How long a partition may change hands, or the store be away, before this counts as not doing one's work.
_HAND_OVER_SECONDS = 5.0
_BLIND_SECONDS = 30.0

_log = get_logger(__name__)


class NotConsuming(Exception):
    """Expected: this replica does not consume what it should."""


def replica_name(grpc_port: int) -> str:
    """The name of the replica that listens on a port of this machine.

    Whoever listens there next is its successor and has its leases at once. Port 0 is a new one at every start.
    """
    return f"{socket.gethostname()}:{grpc_port or uuid.uuid4().hex}"


class PartitionSharing(Generic[ConsumerT]):
    """Keeps the consumers of the partitions that this replica leases; `run()` is its life, as a background task.

    Leases decide who works, not what is right: two owners for a moment are harmless, for every effect is idempotent,
    and the broker sends a queue's messages to one consumer at a time. So while the store is away a replica goes on
    with what it holds: nobody else can lease it either, and what it cannot write it keeps in hand.

    Partitions become known by the setting, by the leases there are, and by `learn_partition_count`; there is no way to
    have fewer.
    """

    def __init__(
        self,
        *,
        me: str,
        store: LeaseStore,
        consumers: PartitionConsumers[ConsumerT],
        partitions: int,
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._me = me
        self._store = store
        self._consumers = consumers
        self._clock = clock
        self._sightings = Sightings(LEASE_SECONDS)
        self._giving_back: set[int] = set()
        self._prepared = False
        self._leaving = False
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._looked_at: float | None = None
        self._whole_at: float | None = None
        self._sees = True
        self.leased: frozenset[int] = frozenset()
        """The partitions that this replica is to consume now."""
        self.partition_count = partitions
        """How many partitions are known."""
        gauge = Gauge("partitions_leased", "Partitions that this replica leases.", registry=registry)
        gauge.set_function(lambda: len(self.leased))
        in_hand = Gauge(
            "deliveries_in_hand", "Batches sent to this replica and not acknowledged yet.", registry=registry
        )
        in_hand.set_function(lambda: consumers.in_hand_count)
        consumers.on_end = self._wake.set

    def learn_partition_count(self, partition_count: int) -> None:
        """Hears of a number of partitions, from a batch; those that are new are shared at once."""
        if self.partition_count < partition_count <= PARTITIONS_MAXIMUM:
            _log.info("partitions_grown", partitions=partition_count, before=self.partition_count)
            self.partition_count = partition_count
            self._wake.set()

    async def require_consuming(self) -> None:
        """For the health check: that this replica consumes what it leases, be it nothing.

        Raises:
            NotConsuming: it does not, or it has not seen the leases for long.
            NoProgress: what it has in hand does not get done.
        """
        self._consumers.require_progress()
        now = self._clock()
        if self._looked_at is None or now - self._looked_at > _BLIND_SECONDS:
            raise NotConsuming("the leases are out of sight")
        missing = self._consumers.unsubscribed()
        if not missing:
            self._whole_at = now
        elif self._whole_at is None or now - self._whole_at > _HAND_OVER_SECONDS:
            raise NotConsuming(f"leased and not consumed: {missing}")

    async def run(self) -> None:
        """Shares until cancelled; after `stop()` it only waits for that."""
        async with self._consumers:
            while not self._leaving:
                await self._try_round()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_ROUND_SECONDS):
                        await self._wake.wait()
                self._wake.clear()
            await asyncio.Event().wait()

    async def stop(self) -> None:
        """Finishes what the consumers hold and gives all leases back, so that the others need not wait."""
        self._leaving = True
        self._wake.set()
        await self._consumers.stop()
        async with self._turn:
            try:
                async with asyncio.timeout(_LEAVE_LIMIT_SECONDS):
                    await self._store.leave(self._me)
            except (PyMongoError, TimeoutError) as failure:
                _log.warning("leases_not_given_back", cause=type(failure).__name__)
            self.leased = frozenset()

    async def _try_round(self) -> None:
        try:
            async with self._turn, asyncio.timeout(_ROUND_LIMIT_SECONDS):
                if not self._leaving:
                    await self._round()
        except (PyMongoError, TimeoutError) as failure:
            if self._sees:
                _log.warning("leases_out_of_sight", cause=type(failure).__name__)
            self._sees = False
        else:
            self._sees = True

    async def _round(self) -> None:
        if not self._prepared:
            await self._store.prepare()
            self._prepared = True
        await self._store.beat(self._me)
        seen = await self._store.look()
        owners: dict[int, str | None] = dict(seen.owners)
        members = await self._members(seen)
        self.partition_count = max([self.partition_count, *(partition + 1 for partition in owners)])
        if missing := set(range(self.partition_count)) - owners.keys():
            await self._store.make(missing)
            owners |= dict.fromkeys(missing)
        await self._share(members, owners)
        self._looked_at = self._clock()

    async def _members(self, seen: SeenLeases) -> set[str]:
        """The replicas that live; those that do not are removed, so that everybody knows."""
        members = self._sightings.living(seen.heartbeats, self._clock()) | {self._me}
        for replica in seen.heartbeats.keys() - members:
            if await self._store.bury(replica, seen.heartbeats[replica]):
                _log.warning("replica_gone", replica=replica)
            else:
                members.add(replica)
        return members

    async def _share(self, members: set[str], owners: dict[int, str | None]) -> None:
        finished = self._giving_back - self._consumers.partitions
        await self._store.give_back(finished, self._me)
        self._giving_back -= finished
        mine = {partition for partition, owner in owners.items() if owner == self._me} - finished
        self._giving_back &= mine
        live = {partition: owner if owner in members else None for partition, owner in owners.items()}
        live |= dict.fromkeys(finished) | dict.fromkeys(self._giving_back, HANDED_OVER)
        shares = fair_shares(self._me, members, live)
        for partition in shares.take:
            owner = None if partition in finished else owners[partition]
            if await self._store.take(partition, owner, self._me):
                mine.add(partition)
        self._giving_back |= set(shares.give_back)
        leased = frozenset(mine - self._giving_back)
        if leased != self.leased:
            _log.info("partitions_leased", leased=sorted(leased), replicas=len(members), of=len(owners))
        self.leased = leased
        self._consumers.keep(leased)
