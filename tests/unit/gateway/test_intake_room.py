"""The gateway holds a bounded number of bytes; who finds no room waits its turn."""

from __future__ import annotations

import asyncio

import pytest

from common.errors import Overloaded
from gateway.intake_room import IntakeRoom


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_who_finds_no_room_waits_in_the_order_of_arrival() -> None:
    """A small frame does not overtake a large one."""
    room = IntakeRoom(100)
    admitted: list[str] = []

    async def hold(name: str, size_bytes: int) -> None:
        await room.take(size_bytes)
        admitted.append(name)

    await room.take(80)
    async with asyncio.TaskGroup() as group:
        group.create_task(hold("large", 90))
        await _turns()
        group.create_task(hold("small", 10))
        await _turns()
        assert admitted == []
        room.give_back(80)

    assert admitted == ["large", "small"]
    assert room.held_bytes == 100


async def test_what_is_larger_than_the_room_goes_alone() -> None:
    """Else it would wait for ever."""
    room = IntakeRoom(100)

    async with asyncio.timeout(1):
        await room.take(500)

    assert room.held_bytes == 500


async def test_who_comes_next_waits_for_what_grew_inside() -> None:
    """What is held without having asked counts like the rest, also where it is more than the room."""
    room = IntakeRoom(100)
    await room.take(10)
    room.hold(500)
    async with asyncio.TaskGroup() as group:
        next_one = group.create_task(room.take(10))
        await _turns()
        assert not next_one.done()
        room.give_back(510)

    assert room.held_bytes == 10


async def test_who_gives_up_waiting_lets_the_next_one_in() -> None:
    """And leaves nothing held."""
    room = IntakeRoom(150)
    await room.take(110)
    async with asyncio.TaskGroup() as group:
        large = group.create_task(room.take(90))
        await _turns()
        small = group.create_task(room.take(40))
        await _turns()

        large.cancel()
        await asyncio.wait([small], timeout=1)

    assert small.done()
    assert room.held_bytes == 150


async def test_no_more_may_wait_than_may_be_held() -> None:
    """What waits is in memory as well; who comes on top is told to come again, and room that is freed is for both."""
    room = IntakeRoom(100)
    await room.take(100)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(room.take(50)) for _ in range(2)]
        await _turns()
        waiting_bytes = room.waiting_bytes
        with pytest.raises(Overloaded):
            await room.take(1)
        room.give_back(100)

    assert all(one.done() for one in waiting)
    assert (waiting_bytes, room.waiting_bytes, room.held_bytes) == (100, 0, 100)


async def test_who_is_cancelled_when_just_let_in_gives_it_back() -> None:
    """The room is as it was before."""
    room = IntakeRoom(100)
    await room.take(100)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(room.take(50))
        await _turns()
        room.give_back(100)
        waiting.cancel()

    assert room.held_bytes == 0
