"""The benchmark's client against the bare echo: every frame is acked once, at the pace that was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from common.grpc_client import open_channel
from loadgen.bench.ack_book import AckBook
from loadgen.bench.echo_server import EchoHandlers
from loadgen.bench.fleet import BenchFleet
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.raw_streams import STREAMS, LoadFailed, send_calls, send_frames
from loadgen.bench.rig import lasting
from loadgen.bench.schedule import Schedule

START_SECONDS = 1_700_000_400
LIMIT_SECONDS = 20.0


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[tuple[grpc.aio.Server, grpc.aio.Channel]]:
    """An echo in this process and a channel to it."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((EchoHandlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        yield server, channel
    await server.stop(0)


def source(frame_size: int) -> FrameSource:
    """Frames of a fleet of a hundred."""
    return FrameSource(BenchFleet("bwire1", 100), START_SECONDS, frame_size=frame_size)


class Stopper:
    """Ends the schedule after so many frames."""

    def __init__(self, schedule: Schedule, frames: int) -> None:
        self._schedule = schedule
        self._left = frames
        self.positions: list[int] = []

    def __call__(self, position: int, _due_seconds: float) -> None:
        """Hears of a frame."""
        self.positions.append(position)
        self._left -= 1
        if not self._left:
            self._schedule.end()


async def test_every_frame_is_acked_once(server: tuple[grpc.aio.Server, grpc.aio.Channel]) -> None:
    """Over all streams; those that wait for a due time when it ends send nothing more."""
    frames, schedule, book = source(50), Schedule(50), AckBook()
    stopper = Stopper(schedule, 200)

    async with asyncio.timeout(LIMIT_SECONDS):
        await send_frames(server[1], frames, schedule, book, stopper)

    assert book.acked == frames.taken == 50 * len(stopper.positions)
    assert 200 <= len(stopper.positions) < 200 + STREAMS
    assert stopper.positions == [50 * number for number in range(len(stopper.positions))]


async def test_unary_calls_are_answered_one_by_one(server: tuple[grpc.aio.Server, grpc.aio.Channel]) -> None:
    """Until the schedule is over; each counts for one reading."""
    frames, schedule, book = source(1), Schedule(1), AckBook()
    book.is_measuring = True

    async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send_calls(server[1], frames, schedule, book))
        while book.acked < 100:
            await lasting(sending, 0.01)
        schedule.end()

    assert book.acked == frames.taken == book.latency.count >= 100


async def test_a_server_that_goes_away_fails_the_load(server: tuple[grpc.aio.Server, grpc.aio.Channel]) -> None:
    """What was not acked is not known to be durable, so the row cannot count."""
    frames, schedule, book = source(50), Schedule(50, readings_per_second=5_000), AckBook()

    async def load() -> None:
        await send_frames(server[1], frames, schedule, book)

    sending = asyncio.ensure_future(load())
    async with asyncio.timeout(LIMIT_SECONDS):
        while not book.acked:
            await lasting(sending, 0.01)
        await server[0].stop(0)
        with pytest.raises(LoadFailed):
            await sending
