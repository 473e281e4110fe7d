"""Programs that are asked to end, in order: one, all at once, or one replica after the other."""

from __future__ import annotations

import asyncio
import signal
import time

from tests.faults.fault import Inflict, Strike, all_accept
from tests.faults.questions import Questions

DRAIN_LIMIT_SECONDS = 10.0
"""How long a service may take from SIGTERM to its end."""

# How long a replica has to be ready before the next one goes; the manifests say longer (`minReadySeconds`).
_READY_SECONDS = 3.0


def terminate(*names: str) -> Inflict:
    """SIGTERM, to all of them at once; a service has to end with 0 within its limit."""

    async def inflict(strike: Strike) -> None:
        mesh = strike.mesh
        await strike.struck()
        await asyncio.gather(*(_terminate(strike, name) for name in names))
        await all_accept(mesh, names)

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
        await all_accept(mesh, names)

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
