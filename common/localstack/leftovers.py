"""Finds and ends whatever a run has left behind, recognised by a mark in its environment.

Run as a program with a run's folder, it waits for the end of its input, that is of whoever started it, and then ends
what is left: so that nothing survives a supervisor that was itself killed. It needs the standard library only.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "GRIDMESH_LOCAL_PART"
POLL_INTERVAL_S = 0.05
PROCESSES = Path("/proc")


def mark(run_dir: Path, name: str) -> dict[str, str]:
    """The variable that a program and everything it starts inherits."""
    return {MARK: f"{run_dir}:{name}"}


def marked_processes(run_dir: Path, name: str = "") -> list[int]:
    """The ids of living processes of a run, or of one of its programs; never this process or its ancestors.

    Needs /proc; elsewhere the list is empty, and ending the process group has to do.
    """
    wanted = f"{MARK}={run_dir}:{name}".encode()
    spared = set(_self_and_ancestors())
    return [pid for pid in _pids() if pid not in spared and _is_marked(pid, wanted, exactly=bool(name))]


def kill_marked(run_dir: Path, name: str = "") -> list[int]:
    """Sends SIGKILL to what `marked_processes` finds and returns their ids."""
    found = marked_processes(run_dir, name)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


async def sweep(run_dir: Path, name: str = "", *, limit_s: float = 5.0) -> list[int]:
    """Kills until nothing marked is left or the limit has passed; returns every id it has killed."""
    killed: set[int] = set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            while found := kill_marked(run_dir, name):
                killed.update(found)
                await asyncio.sleep(POLL_INTERVAL_S)
    return sorted(killed)


def _pids() -> Iterator[int]:
    if PROCESSES.is_dir():
        yield from (int(entry.name) for entry in PROCESSES.iterdir() if entry.name.isdigit())


def _is_marked(pid: int, wanted: bytes, *, exactly: bool) -> bool:
    try:
        variables = (PROCESSES / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # gone meanwhile, or somebody else's
        return False
    return wanted in variables if exactly else any(each.startswith(wanted) for each in variables)


def _self_and_ancestors() -> Iterator[int]:
    pid = os.getpid()
    while pid > 1:
        yield pid
        try:
            status = (PROCESSES / str(pid) / "stat").read_text()
        except OSError:
            return
        # The second field is the name in brackets and may hold blanks; the parent is the second one after it.
        pid = int(status.rpartition(")")[2].split()[1])


def guard(run_dir: Path, *, limit_s: float = 5.0) -> None:
    """Waits until the other end of standard input is gone, then kills until nothing marked is left."""
    sys.stdin.buffer.read()
    deadline = time.monotonic() + limit_s
    while kill_marked(run_dir) and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_S)


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
