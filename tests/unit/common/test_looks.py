"""Watchers share the looks of one task."""

import asyncio

import pytest

from common.errors import ShuttingDown
from common.looks import Looks


async def test_every_watcher_hears_of_the_next_look() -> None:
    """However many there are, and all of the same one."""
    looks = Looks()
    watchers = [asyncio.ensure_future(looks.next(looks.count)) for _ in range(3)]
    await asyncio.sleep(0)

    await looks.add()

    assert await asyncio.gather(*watchers) == [1, 1, 1]


async def test_who_has_missed_a_look_does_not_wait() -> None:
    """It is told how many there have been, and goes on from there."""
    looks = Looks()
    await looks.add()
    await looks.add()

    async with asyncio.timeout(1):
        assert await looks.next(0) == 2


async def test_nobody_waits_for_what_has_closed() -> None:
    """Neither who waits then nor who comes later."""
    looks = Looks()
    waiting = asyncio.ensure_future(looks.next(0))
    await asyncio.sleep(0)

    await looks.close()

    with pytest.raises(ShuttingDown):
        await waiting
    with pytest.raises(ShuttingDown):
        await looks.next(0)
