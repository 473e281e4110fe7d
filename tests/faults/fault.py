"""What can be done to the mesh: a fault hits at a moment that its round records, and ends when its cause is gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from loadgen.bench.metrics_page import scrape
from tests.faults.mesh import FaultyMesh


class Strike(Protocol):
    """The round, as a fault sees it."""

    mesh: FaultyMesh
    random: Random

    @property
    def device_ids(self) -> list[str]:
        """The devices that send."""

    async def struck(self) -> None:
        """Returns at a moment when frames are in flight, and notes how many readings.

        To be called right before each blow, with no await between; where the blow itself takes a while, right after.
        """

    def complain(self, problem: str) -> None:
        """Notes what went wrong besides the history."""

    def note(self, name: str, figure: float) -> None:
        """Notes a figure for the report; in seconds where it is a time."""


Inflict = Callable[[Strike], Awaitable[None]]

_WORKER_SECONDS = 10.0
_FULL_SECONDS = 20.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to trouble the mesh.

    `inflict` returns when whatever was killed takes connections again, or the network is whole: recovery counts from
    there. `red` are the services whose health must have said so meanwhile, `may_be_red` those whose health may have; no
    other may. `at_full_load` readings are sent as fast as they are acked, else at `load_share` of the
    rate of the run. There are `replicas` of each service, and those that can be are so many `workers`.
    """

    name: str
    inflict: Inflict
    red: frozenset[str] = frozenset()
    may_be_red: frozenset[str] = frozenset()
    at_full_load: bool = False
    load_share: float = 1.0
    replicas: int = 1
    workers: int = 1


def kill(*names: str) -> Inflict:
    """SIGKILL, to all of them at once."""

    async def inflict(strike: Strike) -> None:
        mesh = strike.mesh
        await strike.struck()
        await asyncio.gather(*(mesh.keepers[name].kill() for name in names))
        await all_accept(mesh, names)

    return inflict


def kill_worker(*names: str) -> Inflict:
    """SIGKILL to one of the workers of each of some services, whose parent starts another."""

    async def inflict(strike: Strike) -> None:
        mesh = strike.mesh
        victims = {name: mesh.workers(name)[0] for name in names}
        counts = {name: len(mesh.workers(name)) for name in names}
        await strike.struck()
        for victim in victims.values():
            os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(_WORKER_SECONDS):
            for name, victim in victims.items():
                while victim in (left := mesh.workers(name)) or len(left) < counts[name]:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(_POLL_SECONDS)

    return inflict


def hang(name: str, *, seconds: float) -> Inflict:
    """SIGSTOP and, after a while, SIGCONT: the program is there and answers nothing."""

    async def inflict(strike: Strike) -> None:
        await strike.struck()
        strike.mesh.signal(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            strike.mesh.signal(name, signal.SIGCONT)

    return inflict


def reset_after_silence(wire: str, *, times: int) -> Inflict:
    """What the target says is lost for a moment, then every connection is reset: confirms and acks never arrive."""

    async def inflict(strike: Strike) -> None:
        troubled = getattr(strike.mesh.wires, wire)
        for number in range(times):
            if number:
                await asyncio.sleep(strike.random.uniform(0.5, 1.5))
            await strike.struck()
            troubled.mute()
            await asyncio.sleep(strike.random.uniform(0.02, 0.2))
            troubled.reset()
            await troubled.heal()

    return inflict


def delay(wire: str, *, seconds: float, each_way_seconds: float) -> Inflict:
    """Everything takes longer for a while."""

    async def inflict(strike: Strike) -> None:
        troubled = getattr(strike.mesh.wires, wire)
        await strike.struck()
        troubled.delay(each_way_seconds)
        await asyncio.sleep(seconds)
        await troubled.heal()

    return inflict


def swallow(wire: str, *, seconds: float) -> Inflict:
    """A black hole for a while; what was connected through it stays dead."""

    async def inflict(strike: Strike) -> None:
        troubled = getattr(strike.mesh.wires, wire)
        await strike.struck()
        troubled.swallow()
        await asyncio.sleep(seconds)
        await troubled.heal()

    return inflict


def refuse(wire: str, *, seconds: float) -> Inflict:
    """Connections are reset and refused for a while."""

    async def inflict(strike: Strike) -> None:
        troubled = getattr(strike.mesh.wires, wire)
        await strike.struck()
        troubled.refuse()
        await asyncio.sleep(seconds)
        await troubled.heal()

    return inflict


def raise_alarm(raised: tuple[str, ...], cleared: tuple[str, ...], *, seconds: float) -> Inflict:
    """An alarm of the broker, raised by one call of its tool and cleared by another: it takes no more messages."""

    async def inflict(strike: Strike) -> None:
        try:
            await strike.mesh.rabbitmqctl(*raised)
            # The tool takes a second to come to it, so what was in flight before says nothing.
            await strike.struck()
            await asyncio.sleep(seconds)
        finally:
            await strike.mesh.rabbitmqctl(*cleared)

    return inflict


def fill_queues(service: str, *, seconds: float) -> Inflict:
    """A service hangs and its queues have no room for more, so that they refuse what is published, for a while."""

    async def inflict(strike: Strike) -> None:
        mesh = strike.mesh
        refused_before = await _refused_batches(mesh)
        mesh.signal(service, signal.SIGSTOP)
        try:
            pattern = rf"^{service}\.readings\."
            await mesh.rabbitmqctl("set_policy", "full", pattern, '{"max-length": 0}', "--apply-to", "queues")
            # The hung consumer still gets a few dozen, and only then are there messages that are too many.
            async with asyncio.timeout(_FULL_SECONDS):
                while await _refused_batches(mesh) == refused_before:  # noqa: ASYNC110 - the metrics tell nobody
                    await asyncio.sleep(_POLL_SECONDS)
            await strike.struck()
            await asyncio.sleep(seconds)
        finally:
            mesh.signal(service, signal.SIGCONT)
            await mesh.rabbitmqctl("clear_policy", "full")
        strike.note("refused batches", await _refused_batches(mesh) - refused_before)

    return inflict


def fill_disk(*, seconds: float) -> Inflict:
    """The store refuses every write for a while, as one does whose disk is full; it still answers and reads."""

    async def inflict(strike: Strike) -> None:
        wire = strike.mesh.wires.mongodb
        refused_before = wire.refused_count
        await strike.struck()
        wire.fill_disk()
        await asyncio.sleep(seconds)
        await wire.heal()
        if wire.refused_count == refused_before:
            strike.complain("no write was refused")

    return inflict


async def _refused_batches(mesh: FaultyMesh) -> float:
    page = await scrape(mesh.metrics_ports["ingestion"])
    return sum(
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith('ingestion_publish_failures_total{reason="rejected"')
    )


async def all_accept(mesh: FaultyMesh, names: Iterable[str]) -> None:
    """Returns when all of some programs take connections."""
    await asyncio.gather(*(mesh.accepts(name) for name in names))
