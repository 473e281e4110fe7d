"""What a supervisor tells others about its run: one JSON file, replaced as a whole at every change."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self


@dataclass
class ProgramState:
    """One program as others see it."""

    address: str
    phase: str
    pid: int | None = None
    ready_seconds: float | None = None
    start_count: int = 0


@dataclass
class RunState:
    """A run as others see it; `phase` is starting, ready, stopping, stopped or failed (then with `problem`).

    `notes` say in a line each what is left out and why.

    Only while the run's lock is held do the phase and the process ids speak of something alive.
    """

    supervisor_pid: int = field(default_factory=os.getpid)
    phase: str = "starting"
    problem: str | None = None
    sync_on_commit: bool = False
    notes: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    programs: dict[str, ProgramState] = field(default_factory=dict)

    def write(self, run_dir: Path) -> None:
        """Replaces the file in one step, so that a reader never sees half of it."""
        fresh = run_dir / "state.json.new"
        fresh.write_text(json.dumps(asdict(self), indent=2) + "\n")
        fresh.replace(state_path(run_dir))

    @classmethod
    def read(cls, run_dir: Path) -> Self | None:
        """The last state written, or None where there never was one."""
        try:
            raw = json.loads(state_path(run_dir).read_text())
        except FileNotFoundError:
            return None
        programs = {name: ProgramState(**each) for name, each in raw.pop("programs").items()}
        return cls(**raw, programs=programs)


def state_path(run_dir: Path) -> Path:
    """Where the state of a run is."""
    return run_dir / "state.json"
