"""Real private servers to kill, and tiny programs that stand for any program."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from common.localstack.mesh import Mesh, local_servers
from common.localstack.problem import NotReady
from common.localstack.program import Program
from common.localstack.settings import Ports

ADDRESSES = ("AMQP_URL", "MONGO_URL", "REDIS_URL")

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
MakeProgram = Callable[..., Program]


@pytest.fixture
def eventually() -> Eventually:
    """Waits until a condition holds, at most 20 seconds."""

    async def wait(condition: Callable[[], bool]) -> None:
        """Raises TimeoutError when the condition does not come to hold."""
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - files and processes tell nobody when they change
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture(scope="session")
def bare_environ() -> dict[str, str]:
    """The environment without addresses of servers that run elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in ADDRESSES}


@pytest.fixture(scope="module")
async def private(tmp_path_factory: pytest.TempPathFactory, bare_environ: dict[str, str]) -> AsyncIterator[Mesh]:
    """All three servers, for these tests alone because they kill them."""
    async with local_servers(tmp_path_factory.mktemp("private"), Ports.free(), environ=bare_environ) as mesh:
        yield mesh


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The folder of one run."""
    return tmp_path / "run"


@pytest.fixture
def make_program(tmp_path: Path) -> MakeProgram:
    """Makes a program of a few lines of Python, ready once it has written the file of its name.

    The lines may use `ready()` and the folder `here`; the program goes on until it is told to end.
    """

    def make(name: str, code: str = "ready(); wait()", **changed: object) -> Program:
        """One program; `changed` are fields of it."""
        lines = (
            "import os, pathlib, signal, subprocess, sys, time",
            f"here = pathlib.Path({str(tmp_path)!r})",
            f"def ready(): (here / {name!r}).write_text(str(os.getpid()))",
            "def wait():\n    while True: signal.pause()",
            code,
        )

        async def probe() -> None:
            """Ready once the file is there."""
            if not (tmp_path / name).exists():
                raise NotReady("it has written nothing")

        given: dict[str, object] = {
            "name": name,
            "argv": (sys.executable, "-c", "\n".join(lines)),
            "environ": dict(os.environ),
            "folder": tmp_path,
            "address": "nowhere",
            "probe": probe,
            "ready_limit_s": 20.0,
            "stop_limit_s": 5.0,
        }
        return Program(**{**given, **changed})  # type: ignore[arg-type]

    return make
