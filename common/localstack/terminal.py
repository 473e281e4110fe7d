"""What a person at the terminal reads while a mesh starts, runs and stops."""

import sys
from pathlib import Path

from common.localstack.addresses import without_password
from common.localstack.keeper import Keeper
from common.localstack.prometheus import CONSOLE
from common.localstack.state import RunState


def say(line: str) -> None:
    """Writes a line for the person, beside whatever a command writes to its standard output."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class Progress:
    """Says once of each program that it has become ready, and after how long."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def program(self, name: str, phase: str, ready_seconds: float | None) -> None:
        """Takes note of a program's phase."""
        if phase == "ready" and ready_seconds is not None and name not in self._said:
            self._said.add(name)
            say(f"  {name:<12} ready after {ready_seconds:5.1f} s")

    def keeper(self, keeper: Keeper) -> None:
        """Takes note of a program that is kept by this process."""
        self.program(keeper.program.name, keeper.phase, keeper.ready_seconds)

    def state(self, state: RunState) -> None:
        """Takes note of the programs of another process."""
        for name, each in state.programs.items():
            self.program(name, each.phase, each.ready_seconds)


def addresses(state: RunState, root: Path) -> list[str]:
    """The addresses of a running mesh and a first call to try."""
    lines = [
        f"  {name.removesuffix('_URL').removesuffix('_ADDRESS').lower():<12} {without_password(value)}"
        for name, value in sorted(state.environment.items())
        if name.endswith(("_URL", "_ADDRESS"))
    ]
    if prometheus := state.environment.get("PROMETHEUS_URL"):
        lines.append(f"Look: {prometheus}/consoles/{CONSOLE}")
    lines += state.notes
    if gateway := state.environment.get("GATEWAY_ADDRESS"):
        grpcurl = root / ".venv" / "bin" / "grpcurl"
        shown = grpcurl.relative_to(root) if grpcurl.exists() else "grpcurl"
        lines.append(f"Try: {shown} -plaintext {gateway} list")
    return lines


def programs(state: RunState) -> list[str]:
    """One line a program: phase, process, address, and how often it had to be started."""
    return [
        f"  {name:<12} {each.phase:<9} pid {each.pid or '-':<8} {each.address:<18} started {each.start_count} time(s)"
        for name, each in state.programs.items()
    ]
