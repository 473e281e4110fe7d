"""Describes one program of the mesh as data: how it starts, how it shows that it is ready."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Probe = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Program:
    """One program to keep running.

    `environ` is the whole environment of the program. `probe` returns once the program answers and raises
    NotReady until then. `after` names the programs that must have been ready once before this one starts.
    """

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    folder: Path
    address: str
    probe: Probe
    after: tuple[str, ...] = ()
    ready_limit_s: float = 60.0
    stop_limit_s: float = 15.0
