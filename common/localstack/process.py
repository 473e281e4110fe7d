"""One started program: its output goes to its log, and nothing of it outlives its end."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Self

from common.localstack.leftovers import mark, sweep
from common.localstack.program import Program


class ProgramProcess:
    """A running program in a process group of its own."""

    def __init__(self, program: Program, run_dir: Path, process: asyncio.subprocess.Process) -> None:
        self._program = program
        self._run_dir = run_dir
        self._process = process

    @classmethod
    async def spawn(cls, program: Program, run_dir: Path) -> Self:
        """Starts the program, its output appended to its log.

        Raises:
            OSError: when the program cannot be executed.
        """
        output = os.open(log_path(run_dir, program.name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            process = await asyncio.create_subprocess_exec(
                *program.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**program.environ, **mark(run_dir, program.name)},
                cwd=program.folder,
                start_new_session=True,
            )
        finally:
            os.close(output)
        return cls(program, run_dir, process)

    @property
    def pid(self) -> int:
        """The id of the process and of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        """Waits for the end of the program itself, then ends whatever it had started."""
        code = await self._process.wait()
        await self._end_the_rest()
        return code

    async def ends_within(self, limit_s: float) -> bool:
        """Whether it ends before the limit."""
        try:
            async with asyncio.timeout(limit_s):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Asks it to end and, after the program's limit, makes it."""
        if self.exit_code is None:
            # Only the leader: RabbitMQ and the services end what they started, in their own order.
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            if not await self.ends_within(self._program.stop_limit_s):
                self.kill()
                await self._process.wait()
        await self._end_the_rest()

    def kill(self) -> None:
        """Sends SIGKILL to the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def _end_the_rest(self) -> None:
        self.kill()
        await sweep(self._run_dir, self._program.name)


def log_path(run_dir: Path, name: str) -> Path:
    """Where the output of a program goes."""
    return run_dir / "log" / f"{name}.log"


def set_log_aside(run_dir: Path, name: str) -> None:
    """Keeps the log of the run before under another name, so that a log holds one run."""
    path = log_path(run_dir, name)
    if path.exists():
        path.replace(path.with_suffix(".previous.log"))


def last_lines(run_dir: Path, name: str, *, count: int = 8) -> list[str]:
    """The end of a program's log, at most 4 KiB of it."""
    try:
        with log_path(run_dir, name).open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - 4096))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]
