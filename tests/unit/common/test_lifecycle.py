"""The life of a process: what stops it, and in which order it lets go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
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


_PROGRAM = """
import asyncio, sys
from common import logs
from common.config import ConfigError
from common.lifecycle import Lifecycle, run_service

async def main(stop):
    async with Lifecycle(5.0, stop) as lifecycle:
        {body}

logs.configure("test", "info")
sys.exit(run_service(main))
"""


@pytest.fixture
def program() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a process whose service has the given body; what is left of it is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(body: str) -> subprocess.Popen[str]:
        environ = {**os.environ, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'protos/gen'}", "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own text
            [sys.executable, "-c", _PROGRAM.format(body=body)],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _events(stderr: str) -> list[str]:
    return [json.loads(line)["event"] for line in stderr.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly(
    program: Callable[[str], subprocess.Popen[str]], number: signal.Signals
) -> None:
    """Exit code 0 after the ordered shutdown, on uvloop."""
    process = program("print(type(asyncio.get_running_loop()).__module__); await lifecycle.wait()")
    assert process.stdout is not None
    loop_module = process.stdout.readline().strip()

    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)

    assert loop_module == "uvloop"
    assert process.returncode == 0
    assert _events(stderr) == ["stop_requested", "shutdown_started", "shutdown_finished"]


def test_a_second_signal_ends_the_process_at_once(program: Callable[[str], subprocess.Popen[str]]) -> None:
    """Even while a hook hangs: one record, exit code 1."""
    process = program(
        "lifecycle.on_stop('hang', asyncio.Event().wait); print('up'); await lifecycle.wait(); print('stopping')"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"

    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=4)

    assert process.returncode == 1
    assert _events(stderr)[-1] == "exit_at_once"


def test_a_configuration_that_cannot_start_is_told_in_plain_words(
    program: Callable[[str], subprocess.Popen[str]],
) -> None:
    """The problem alone on stderr after the log, no traceback, exit code 2."""
    process = program("raise ConfigError('port 50051 is taken')")

    _, stderr = process.communicate(timeout=20)

    assert process.returncode == 2
    assert stderr.splitlines()[-1] == "port 50051 is taken"
    assert "Traceback" not in stderr


def test_a_task_that_dies_gives_exit_code_1(program: Callable[[str], subprocess.Popen[str]]) -> None:
    """The traceback is in one record of the log."""
    process = program("lifecycle.start_task('merger', asyncio.to_thread(lambda: 1 / 0)); await lifecycle.wait()")

    _, stderr = process.communicate(timeout=20)

    died = [json.loads(line) for line in stderr.splitlines() if "background_task_died" in line]
    assert process.returncode == 1
    assert "ZeroDivisionError" in died[0]["exception"]
