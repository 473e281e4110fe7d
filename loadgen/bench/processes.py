"""What each part of the mesh costs: CPU time and memory of its processes, found by the mark of the local stack."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from common.localstack.leftovers import PROCESSES, marked_processes
from common.localstack.state import RunState

GENERATOR = "loadgen"
_BYTES_A_MB = 1_000_000
_KIB = 1024

Seconds = dict[str, float]


class MeshProcesses:
    """The processes of a running mesh by part (`gateway`, ..., `rabbitmq`, `mongodb`, `redis`), and this one.

    Several processes of one part count together. The peak of memory is the kernel's own, since the process began.
    """

    def __init__(self, by_part: Mapping[str, Sequence[psutil.Process]]) -> None:
        self._by_part = by_part

    @classmethod
    def find(cls, run_dir: Path) -> MeshProcesses:
        """Looks at every process of this machine; `run_dir` is the folder of the mesh's run."""
        state = RunState.read(run_dir)
        found: defaultdict[str, list[psutil.Process]] = defaultdict(list)
        for name in state.programs if state is not None else ():
            for pid in marked_processes(run_dir, name):
                with contextlib.suppress(psutil.NoSuchProcess):
                    found[part_name(name)].append(psutil.Process(pid))
        found[GENERATOR].append(psutil.Process())
        return cls(found)

    @property
    def pids(self) -> frozenset[int]:
        """Every process of the mesh and this one."""
        return frozenset(process.pid for processes in self._by_part.values() for process in processes)

    def metrics_ports(self) -> dict[str, list[int]]:
        """Where each service shows its metrics: what it was told in its environment."""
        ports: defaultdict[str, set[int]] = defaultdict(set)
        for part, processes in self._by_part.items():
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    told = process.environ().get("METRICS_PORT", "")
                    if told.isdigit() and part != GENERATOR:
                        ports[part].add(int(told))
        return {part: sorted(found) for part, found in ports.items()}

    def cpu_seconds(self) -> Seconds:
        """CPU time of each part until now."""
        return {part: sum(map(_cpu_seconds, processes)) for part, processes in self._by_part.items()}

    @contextlib.contextmanager
    def stopped(self, parts: Collection[str]) -> Iterator[None]:
        """Stops the processes of some parts by signal while the context is open; they go on afterwards."""
        stopped: list[psutil.Process] = []
        try:
            for part in parts:
                for process in self._by_part.get(part, ()):
                    process.suspend()
                    stopped.append(process)
            yield
        finally:
            for process in stopped:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def kill(self, part: str) -> None:
        """Kills the processes of a part; whoever keeps them starts others."""
        for process in self._by_part.get(part, ()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def resident_megabytes(self, part: str) -> float:
        """Memory that a part has now."""
        return sum(process.memory_info().rss for process in self._by_part.get(part, ())) / _BYTES_A_MB

    def peak_megabytes(self) -> dict[str, float]:
        """The most memory a process of each part has had resident."""
        return {part: max(map(_peak_megabytes, processes)) for part, processes in self._by_part.items() if processes}


def part_name(program: str) -> str:
    """The part that a program belongs to: `gateway-2` is one of several gateways."""
    return re.sub(r"[-_.]?\d+$", "", program)


def peak_megabytes(status: str) -> float:
    """The peak in the text of `/proc/PID/status`; 0 where it has none."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * _KIB / _BYTES_A_MB if found else 0.0


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _peak_megabytes(process: psutil.Process) -> float:
    try:
        return peak_megabytes((PROCESSES / str(process.pid) / "status").read_text())
    except OSError:
        return 0.0
