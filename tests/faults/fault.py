"""What can be done to the mesh: a fault hits at a moment that its round records, and ends when its cause is gone."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from tests.faults.mesh import FaultyMesh
from tests.faults.questions import Questions

DRAIN_LIMIT_SECONDS = 10.0
"""How long a service may take from SIGTERM to its end."""


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


# How long a replica has to be ready before the next one goes; the manifests say longer (`minReadySeconds`).
_READY_SECONDS = 3.0

Inflict = Callable[[Strike], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to trouble the mesh.

    `inflict` returns when whatever was killed takes connections again, or the network is whole: recovery counts from
    there. `red` are the services whose health must have said so meanwhile, `may_be_red` those whose health may have; no
    other may. `at_full_load` readings are sent as fast as they are acked, else at `load_share` of the
    rate of the run. There are `replicas` of each service.
    """

    name: str
    inflict: Inflict
    red: frozenset[str] = frozenset()
    may_be_red: frozenset[str] = frozenset()
    at_full_load: bool = False
    load_share: float = 1.0
    replicas: int = 1


def kill(*names: str) -> Inflict:
    """SIGKILL, to all of them at once."""

    async def inflict(strike: Strike) -> None:
        mesh = strike.mesh
        await strike.struck()
        await asyncio.gather(*(mesh.keepers[name].kill() for name in names))
        await _all_accept(mesh, names)

    return inflict


def terminate(*names: str) -> Inflict:
    """SIGTERM, to all of them at once; a service has to end with 0 within its limit."""

    async def inflict(strike: Strike) -> None:
        mesh = strike.mesh
        await strike.struck()
        await asyncio.gather(*(_terminate(strike, name) for name in names))
        await _all_accept(mesh, names)

    return inflict


def stop_and_start(*names: str, apart_seconds: float = 0.0) -> Inflict:
    """SIGTERM to one after the other, or all at once, as the end of a whole mesh; all start when the last has ended."""

    async def inflict(strike: Strike) -> None:
        mesh = strike.mesh
        await strike.struck()
        async with asyncio.TaskGroup() as stops:
            for name in names:
                stops.create_task(_stop(strike, name), name=f"stop {name}")
                await asyncio.sleep(apart_seconds)
        for name in names:
            mesh.keepers[name].start()
        await _all_accept(mesh, names)

    return inflict


def roll(*names: str) -> Inflict:
    """SIGTERM to one replica after the other; the next follows when the one before has been ready for a while.

    Meanwhile people ask, and none may get an error. Harsher than the manifests, where the new one comes first.
    """

    async def inflict(strike: Strike) -> None:
        mesh = strike.mesh
        async with Questions.asked(mesh.answering(), strike.device_ids) as questions:
            await questions.all_answered()
            for name in (replica for service in names for replica in mesh.replicas[service]):
                await strike.struck()
                begin = time.monotonic()
                await _terminate(strike, name)
                drained = time.monotonic()
                await mesh.keepers[name].ready()
                strike.note(f"drain of {name}", drained - begin)
                strike.note(f"return of {name}", time.monotonic() - drained)
                await asyncio.sleep(_READY_SECONDS)
        for failure, count in questions.failed.items():
            strike.complain(f"{count} of {failure}")
        strike.note("answers", questions.answered.total())
        strike.note("slowest answer", questions.slowest_seconds)

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


async def _stop(strike: Strike, name: str) -> None:
    """Ends a service as the supervisor of a mesh does; it stays down."""
    mesh = strike.mesh
    keeper = mesh.keepers[name]
    pid = keeper.pid
    assert pid is not None
    begin = time.monotonic()
    await keeper.stop()
    await mesh.ended(name, pid)
    took_seconds = time.monotonic() - begin
    strike.note(f"drain of {name}", took_seconds)
    if took_seconds > DRAIN_LIMIT_SECONDS:
        strike.complain(f"{name} took {took_seconds:.1f} s to end after SIGTERM")
    if (code := mesh.last_exit_code(name)) != 0:
        strike.complain(f"{name} ended with {code} after SIGTERM")


async def _terminate(strike: Strike, name: str) -> None:
    mesh = strike.mesh
    pid = mesh.signal(name, signal.SIGTERM)
    try:
        async with asyncio.timeout(DRAIN_LIMIT_SECONDS if mesh.is_service(name) else None):
            await mesh.ended(name, pid)
    except TimeoutError:
        strike.complain(f"{name} had not ended {DRAIN_LIMIT_SECONDS:g} s after SIGTERM")
        await mesh.ended(name, pid)
    if mesh.is_service(name) and (code := mesh.last_exit_code(name)) != 0:
        strike.complain(f"{name} ended with {code} after SIGTERM")


async def _all_accept(mesh: FaultyMesh, names: tuple[str, ...]) -> None:
    await asyncio.gather(*(mesh.accepts(name) for name in names))
