"""Several processes behind one port: started, kept, watched and let go by a parent."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

_ROOT = Path(__file__).parents[3]

_SERVICE = """
import asyncio, os, signal, socket, sys
from common.config import ServiceConfig
from common.metrics import MetricsServer, create_registry
from common.workers import run_workers

class ToyConfig(ServiceConfig):
    pass

def say(word):
    # One write: the workers share the file, and an unbuffered print would give each word a write of its own.
    os.write(sys.stdout.fileno(), f"{word} {os.getpid()}\\n".encode())

async def main(stop):
    config = ToyConfig.load(os.environ)
    metrics = MetricsServer(create_registry(), config.metrics_host, config.metrics_port)
    metrics.start()
    with socket.socket() as served:
        if config.so_reuseport:
            served.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        served.bind((config.bind_host, config.grpc_port))
        served.listen()
        say("serving")
        await stop.wait()
    metrics.close()
    say("drained")
    if "UNCLEAN" in os.environ:
        raise RuntimeError("unclean")

if __name__ == "__main__":
    sys.exit(run_workers("toy_service", ToyConfig, main, sys.argv[1:], os.environ))
"""


class Toy:
    """The toy service as a process; `ports` are its gRPC and its metrics port."""

    def __init__(self, folder: Path, *arguments: str, ports: tuple[int, int], **environ: str) -> None:
        (folder / "toy_service.py").write_text(_SERVICE)
        self.ports = ports
        self._output = folder / "output"
        with self._output.open("a") as output, (folder / "errors").open("w") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own text
                [sys.executable, "-m", "toy_service", *arguments],
                env={
                    **os.environ,
                    "PYTHONPATH": f"{folder}:{_ROOT}:{_ROOT / 'protos/gen'}",
                    "GRPC_PORT": str(ports[0]),
                    "METRICS_PORT": str(ports[1]),
                    **environ,
                },
                stdout=output,
                stderr=errors,
            )
        self.errors = folder / "errors"

    def pids(self, word: str) -> list[int]:
        """The processes that have said the word, in order."""
        return [int(pid) for pid in re.findall(rf"^{word} (\d+)$", self._output.read_text(), re.MULTILINE)]

    def serving(self, count: int) -> list[int]:
        """The processes that serve, once there have been so many."""
        eventually(lambda: len(self.pids("serving")) >= count or self.process.poll() is not None)
        return self.pids("serving")


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


@pytest.fixture
def ports() -> tuple[int, int]:
    """Two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture
def toy(tmp_path: Path, ports: tuple[int, int]) -> Iterator[Callable[..., Toy]]:
    """Starts the service; what is left of it is killed."""
    started: list[Toy] = []

    def start(*arguments: str, **environ: str) -> Toy:
        started.append(Toy(tmp_path, *arguments, ports=ports, **environ))
        return started[-1]

    yield start
    for each in started:
        for pid in [each.process.pid, *each.pids("serving")]:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
        each.process.wait(timeout=10)


@pytest.mark.parametrize(
    ("arguments", "number"),
    [(("--workers", "2"), signal.SIGTERM), ((), signal.SIGINT)],
    ids=["argument", "environment"],
)
def test_a_signal_to_the_parent_drains_every_worker(
    toy: Callable[..., Toy], arguments: tuple[str, ...], number: signal.Signals
) -> None:
    """The parent ends after them, with 0."""
    service = toy(*arguments, **({} if arguments else {"WORKERS": "2"}))
    workers = service.serving(2)

    service.process.send_signal(number)
    code = service.process.wait(timeout=60)

    assert code == 0
    assert len(set(workers)) == 2
    assert service.process.pid not in workers
    assert sorted(service.pids("drained")) == sorted(workers)


def test_one_worker_has_no_parent(toy: Callable[..., Toy]) -> None:
    """The default is the process itself."""
    service = toy()
    workers = service.serving(1)

    service.process.terminate()

    assert service.process.wait(timeout=60) == 0
    assert workers == [service.process.pid]


def test_a_worker_that_dies_is_started_again(toy: Callable[..., Toy]) -> None:
    """The other one goes on meanwhile, and the end is clean."""
    service = toy("--workers", "2")
    first, second = service.serving(2)

    os.kill(first, signal.SIGKILL)
    workers = service.serving(3)
    service.process.terminate()
    code = service.process.wait(timeout=60)

    assert code == 0
    assert sorted(service.pids("drained")) == sorted([second, workers[2]])


def test_one_address_tells_the_figures_of_all(toy: Callable[..., Toy]) -> None:
    """Each with its label, of the processes that they are."""
    service = toy("--workers", "2")
    service.serving(2)

    with urllib.request.urlopen(f"http://127.0.0.1:{service.ports[1]}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()

    for worker in ("1", "2"):
        assert f'worker_up{{worker="{worker}"}} 1.0' in lines
        assert any(line.startswith(f'process_resident_memory_bytes{{worker="{worker}"}}') for line in lines)


def test_a_port_that_somebody_has_is_refused_once_by_the_parent(
    toy: Callable[..., Toy], ports: tuple[int, int]
) -> None:
    """Even where that one would share it; nothing is started."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", ports[0]))
        other.listen()
        service = toy("--workers", "2")
        code = service.process.wait(timeout=60)

    assert code == 2
    assert service.pids("serving") == []
    assert [line for line in service.errors.read_text().splitlines() if "is taken" in line] == [
        f"port {ports[0]} is taken; stop what uses it or set GRPC_PORT / GRIDMESH_INSTANCE"
    ]


def test_a_wrong_number_is_refused_by_name(toy: Callable[..., Toy]) -> None:
    """Like every other setting."""
    service = toy("--workers", "0")

    assert service.process.wait(timeout=60) == 2
    assert service.errors.read_text().startswith("WORKERS: ")


def test_workers_do_not_outlive_a_killed_parent(toy: Callable[..., Toy]) -> None:
    """They drain as if asked, so that the port is free for the next parent."""
    service = toy("--workers", "2")
    workers = service.serving(2)

    service.process.kill()
    eventually(lambda: sorted(service.pids("drained")) == sorted(workers))


def test_a_worker_that_ends_badly_shows_in_the_exit_code(toy: Callable[..., Toy]) -> None:
    """The parent waits for both, and says 1."""
    service = toy("--workers", "2", UNCLEAN="1")
    service.serving(2)

    service.process.terminate()

    assert service.process.wait(timeout=60) == 1
    assert len(service.pids("drained")) == 2
