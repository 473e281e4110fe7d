"""Starts a mesh that stays up after this process (`up`), stops it (`down`) and tells about it (`status`)."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from common.localstack import terminal
from common.localstack.interrupts import interrupts
from common.localstack.leftovers import MARK, kill_marked, sweep
from common.localstack.problem import LocalStackError
from common.localstack.process import log_path
from common.localstack.run_lock import is_locked
from common.localstack.settings import LocalSettings
from common.localstack.state import RunState
from common.localstack.terminal import Progress, say

POLL_INTERVAL_S = 0.1
FIRST_STATE_LIMIT_S = 20.0
STOP_LIMIT_S = 90.0


async def up(settings: LocalSettings, environ: Mapping[str, str]) -> int:
    """Starts a supervisor apart from this process and waits until the mesh is ready.

    A mesh that runs already is fine. An interrupted start is undone.

    Raises:
        LocalStackError: when the mesh does not start.
    """
    supervisor: subprocess.Popen[bytes] | None = None
    if is_locked(settings.run_dir):
        say(f"A mesh runs already in {settings.run_dir}.")
    else:
        say(f"Starting the mesh in {settings.run_dir} ...")
        supervisor = _start_supervisor(settings, environ)
    with interrupts(lambda: kill_marked(settings.run_dir)) as seen:
        try:
            state = await _ready(settings, supervisor)
        except asyncio.CancelledError:
            if supervisor is not None:
                supervisor.terminate()
                await asyncio.to_thread(supervisor.wait)
            return seen.exit_code
    _print(["The mesh is ready:", *terminal.addresses(state, settings.root)])
    return 0


async def down(settings: LocalSettings) -> int:
    """Stops the mesh, if one runs, and waits until nothing of it is left."""
    state = RunState.read(settings.run_dir)
    if not is_locked(settings.run_dir):
        killed = await sweep(settings.run_dir)
        say(
            f"No mesh runs in {settings.run_dir}"
            + (f"; ended {len(killed)} process(es) it had left." if killed else ".")
        )
        return 0
    if state is None:
        raise LocalStackError(f"A mesh is just starting in {settings.run_dir}: try again in a moment.")
    say(f"Stopping the mesh in {settings.run_dir} ...")
    begin = time.monotonic()
    await _end_supervisor(settings, state.supervisor_pid)
    await sweep(settings.run_dir)
    say(f"Stopped after {time.monotonic() - begin:.1f} s.")
    return 0


def status(settings: LocalSettings) -> int:
    """Prints what runs; 0 when everything is ready, else 1."""
    state = RunState.read(settings.run_dir)
    if state is None or not is_locked(settings.run_dir):
        _print([f"No mesh runs in {settings.run_dir}."])
        return 1
    sync = "on" if state.sync_on_commit else "off"
    _print(
        [
            f"The mesh in {settings.run_dir} is {state.phase} (supervisor pid {state.supervisor_pid}):",
            *terminal.programs(state),
            f"  flush to disk at every commit of the MongoDB-protocol server: {sync}",
            *terminal.addresses(state, settings.root),
        ]
    )
    return 0 if state.phase == "ready" and all(each.phase == "ready" for each in state.programs.values()) else 1


def _start_supervisor(settings: LocalSettings, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    output = log_path(settings.run_dir, "supervisor.output")
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "common.localstack", "supervise"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A mesh that was started from within another must not be swept away with it.
            env={name: value for name, value in environ.items() if name != MARK},
            cwd=settings.root,
            start_new_session=True,
        )


async def _ready(settings: LocalSettings, supervisor: subprocess.Popen[bytes] | None) -> RunState:
    """Follows the state until it says ready."""
    progress, deadline = Progress(), time.monotonic() + FIRST_STATE_LIMIT_S
    while True:
        state = RunState.read(settings.run_dir)
        if supervisor is not None and supervisor.poll() is not None:
            raise LocalStackError(_reason(settings, supervisor.pid, state))
        ours = state is not None and (supervisor is None or state.supervisor_pid == supervisor.pid)
        if state is not None and ours:
            if supervisor is not None or state.phase != "ready":
                progress.state(state)
            if state.phase == "ready":
                return state
            if supervisor is None and not is_locked(settings.run_dir):
                raise LocalStackError(f"The mesh in {settings.run_dir} has just stopped: start it again.")
        elif time.monotonic() > deadline:
            raise LocalStackError(
                f"The supervisor does not start: see {log_path(settings.run_dir, 'supervisor.output')}."
            )
        await asyncio.sleep(POLL_INTERVAL_S)


def _reason(settings: LocalSettings, pid: int, state: RunState | None) -> str:
    if state is not None and state.supervisor_pid == pid and state.problem:
        return state.problem
    output = log_path(settings.run_dir, "supervisor.output")
    return output.read_text(errors="replace").strip() or f"The supervisor has ended: see {output}."


async def _end_supervisor(settings: LocalSettings, pid: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_LIMIT_S):
                while True:
                    if not is_locked(settings.run_dir):
                        return
                    await asyncio.sleep(POLL_INTERVAL_S)


def _print(lines: list[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
