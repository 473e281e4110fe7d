"""What the figures were measured on, and what else that machine was doing."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Collection
from importlib.metadata import version
from typing import Any

import psutil

from common.localstack.leftovers import PROCESSES

_PACKAGES = ("grpcio", "protobuf", "aiormq", "motor", "redis", "uvloop", "numpy")
_OTHERS_SHOWN = 5
_LEAST_SHARE = 0.005


class OtherWork:
    """CPU time of the processes that are not ours, from its making on."""

    def __init__(self) -> None:
        self._before = _cpu_by_process()
        self._times = psutil.cpu_times()

    def shares(self, ours: Collection[int], seconds: float) -> dict[str, float]:
        """The busiest others by name, as shares of one core over so many seconds; idle ones are left out."""
        used: defaultdict[str, float] = defaultdict(float)
        for key, (name, cpu_seconds) in _cpu_by_process().items():
            if key[0] not in ours:
                used[name] += cpu_seconds - self._before.get(key, (name, 0.0))[1]
        busiest = sorted(used.items(), key=lambda item: -item[1])[:_OTHERS_SHOWN]
        shares = {name: used_seconds / seconds for name, used_seconds in busiest}
        return {name: round(share, 3) for name, share in shares.items() if share >= _LEAST_SHARE}

    def whole(self, seconds: float) -> dict[str, float]:
        """All work of the machine over so many seconds, ours too, and what its host took away; shares of one core."""
        now, before = psutil.cpu_times(), self._times
        idle = (now.idle - before.idle) + (now.iowait - before.iowait)
        stolen = now.steal - before.steal
        everything = sum(now) - sum(before)
        return {
            "busy_share": round((everything - idle - stolen) / seconds, 3),
            "stolen_share": round(stolen / seconds, 3),
        }


def describe_machine() -> dict[str, Any]:
    """The machine and the versions, and its load average before anything was measured."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_megabytes": round(psutil.virtual_memory().total / 1_000_000),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
    }


def _cpu_by_process() -> dict[tuple[int, float], tuple[str, float]]:
    # By id and start, for ids are given again.
    found = {}
    for process in psutil.process_iter(["name", "cpu_times", "create_time"]):
        times = process.info["cpu_times"]
        if times is not None:
            key = (process.pid, process.info["create_time"] or 0.0)
            found[key] = (process.info["name"] or "?", times.user + times.system)
    return found


def _cpu_model() -> str:
    try:
        lines = (PROCESSES / "cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
