"""A task that looks every so often is woken before its time, and misses nothing that was said after its look began."""

from __future__ import annotations

import asyncio

from common.wake_up import WakeUp

LONG_SECONDS = 60.0


async def test_what_is_said_during_a_look_makes_the_wait_end_at_once() -> None:
    """However long the pause would be."""
    wake_up = WakeUp()
    wake_up.begin_look()
    wake_up.notify()

    async with asyncio.timeout(5):
        await wake_up.wait(LONG_SECONDS)


async def test_whoever_waits_is_woken() -> None:
    """By what is said meanwhile."""
    wake_up = WakeUp()
    wake_up.begin_look()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = group.create_task(wake_up.wait(LONG_SECONDS))
        await asyncio.sleep(0)
        assert not waiting.done()
        wake_up.notify()


async def test_what_was_said_before_a_look_is_answered_by_it() -> None:
    """So the wait after it lasts until its pause is over."""
    wake_up = WakeUp()
    wake_up.notify()
    wake_up.begin_look()
    loop = asyncio.get_running_loop()
    began_seconds = loop.time()

    await wake_up.wait(0.05)

    assert loop.time() - began_seconds >= 0.045
