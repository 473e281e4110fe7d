"""A service as a process: signals, exit codes, last words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]

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
