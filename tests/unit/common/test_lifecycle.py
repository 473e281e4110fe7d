"""The life of a process: what stops it, and in which order it lets go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from common.lifecycle import Hook, Lifecycle, TaskDied

_ROOT = Path(__file__).parents[3]


class _Parts:
    """The parts of a service, which note when they are let go."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def hook(self, name: str) -> Hook:
        """A hook that notes its name."""

        async def note() -> None:
            self.events.append(name)

        return note

    async def drain(self) -> None:
        """Health."""
        self.events.append("health")

    async def stop(self, grace_seconds: float) -> None:
        """The server."""
        assert grace_seconds > 0
        self.events.append("server")

    async def work(self) -> None:
        """A background task that notes its cancellation."""
        try:
            await asyncio.Event().wait()
        finally:
            self.events.append("task")


@pytest.fixture
def records() -> Iterator[list[structlog.typing.EventDict]]:
    """What was logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


async def test_a_shutdown_goes_from_the_outside_in() -> None:
    """Health, drain, server, consumers, tasks, clients; within a phase in reverse of the start."""
    parts = _Parts()

    async with Lifecycle(5.0) as lifecycle:
        lifecycle.on_close("store", parts.hook("close store"))
        lifecycle.on_close("broker", parts.hook("close broker"))
        lifecycle.on_stop("consumer", parts.hook("stop consumer"))
        lifecycle.on_drain("streams", parts.hook("drain streams"))
        lifecycle.use_health(parts)
        lifecycle.use_server(parts)
        lifecycle.start_task("work", parts.work())
        await asyncio.sleep(0)

    assert parts.events == [
        "health",
        "drain streams",
        "server",
        "stop consumer",
        "task",
        "close broker",
        "close store",
    ]


async def test_a_task_that_dies_stops_the_process_loudly(records: list[structlog.typing.EventDict]) -> None:
    """The wait ends, everything is let go, and the end names the task."""

    async def die() -> None:
        raise KeyError("defect")

    parts = _Parts()

    async def live() -> None:
        async with asyncio.timeout(5), Lifecycle(5.0) as lifecycle:
            lifecycle.on_close("store", parts.hook("close store"))
            lifecycle.start_task("merger", die())
            await lifecycle.wait()

    with pytest.raises(TaskDied, match="merger"):
        await live()

    died = [record for record in records if record["event"] == "background_task_died"]
    assert [record["task"] for record in died] == ["merger"]
    assert parts.events == ["close store"]


async def test_a_task_that_ends_early_stops_the_process_too() -> None:
    """Background work is meant to run until the end."""

    async def end() -> None:
        return

    async def live() -> None:
        async with asyncio.timeout(5), Lifecycle(5.0) as lifecycle:
            lifecycle.start_task("consumer", end())
            await lifecycle.wait()

    with pytest.raises(TaskDied, match="consumer"):
        await live()


async def test_a_hook_that_hangs_is_named_and_the_rest_is_let_go(records: list[structlog.typing.EventDict]) -> None:
    """The grace is a limit for the whole."""
    parts = _Parts()

    async with asyncio.timeout(5):
        async with Lifecycle(0.05) as lifecycle:
            lifecycle.on_close("store", parts.hook("close store"))
            lifecycle.on_stop("consumer", asyncio.Event().wait)

    stragglers = [record["part"] for record in records if record["event"] == "shutdown_straggler"]
    assert stragglers == ["consumer"]
    assert parts.events == ["close store"]


async def test_a_task_that_took_its_cancellation_for_something_else_is_cancelled_again(
    records: list[structlog.typing.EventDict],
) -> None:
    """As a client does whose own time limit ends just then."""

    async def deaf_once() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        async with Lifecycle(4.0) as lifecycle:
            task = lifecycle.start_task("deaf once", deaf_once())
            await asyncio.sleep(0)

    assert task.cancelled()
    assert "deaf once" not in [record.get("part") for record in records]


async def test_a_task_that_ignores_its_cancellation_is_named(records: list[structlog.typing.EventDict]) -> None:
    """And does not keep the process alive."""
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    async with asyncio.timeout(5):
        async with Lifecycle(0.05) as lifecycle:
            task = lifecycle.start_task("stubborn", stubborn())
            await asyncio.sleep(0)
    release.set()
    await task

    assert "stubborn" in [record.get("part") for record in records]


async def test_a_hook_that_fails_does_not_keep_the_others_open(records: list[structlog.typing.EventDict]) -> None:
    """Its failure is logged."""
    parts = _Parts()

    async def fail() -> None:
        raise ConnectionError("gone")

    async with Lifecycle(5.0) as lifecycle:
        lifecycle.on_close("store", parts.hook("close store"))
        lifecycle.on_close("broker", fail)

    assert parts.events == ["close store"]
    assert [record["part"] for record in records if record["event"] == "shutdown_failed"] == ["broker"]


async def test_a_start_that_fails_lets_go_of_what_was_open() -> None:
    """And the failure is the one that is raised."""
    parts = _Parts()

    async def start() -> None:
        async with Lifecycle(5.0) as lifecycle:
            lifecycle.on_close("broker", parts.hook("close broker"))
            raise ConnectionError("no store")

    with pytest.raises(ConnectionError, match="no store"):
        await start()

    assert parts.events == ["close broker"]
