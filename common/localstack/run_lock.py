"""Makes sure that one run folder has one supervisor; the lock goes with the process, however it ends."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from common.localstack.problem import LocalStackError

# Somebody who only looks holds the lock for a moment.
PATIENCE_S = 1.0
POLL_INTERVAL_S = 0.02


@contextlib.contextmanager
def run_lock(run_dir: Path) -> Iterator[None]:
    """Holds the folder.

    Raises:
        LocalStackError: when a supervisor holds it already.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with _lock_file(run_dir).open("w") as file:
        deadline = time.monotonic() + PATIENCE_S
        while not _try_lock(file):
            if time.monotonic() > deadline:
                raise LocalStackError(
                    f"A mesh already runs in {run_dir}: stop it with `make down`, "
                    "or start another beside it with GRIDMESH_INSTANCE=1."
                )
            time.sleep(POLL_INTERVAL_S)
        yield


def is_locked(run_dir: Path) -> bool:
    """Whether a supervisor holds the folder now."""
    path = _lock_file(run_dir)
    if not path.exists():
        return False
    with path.open() as file:
        return not _try_lock(file)


def _lock_file(run_dir: Path) -> Path:
    return run_dir / "supervisor.lock"


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
