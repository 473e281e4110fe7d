"""Starts the programs of a mesh in parallel, keeps each running, and stops them in the reverse order."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from structlog.typing import FilteringBoundLogger

from common.localstack import leftovers
from common.localstack.keeper import Keeper
from common.localstack.leftovers import sweep
from common.localstack.problem import LocalStackError
from common.localstack.process import log_path
from common.localstack.program import Program


class Supervisor:
    """Holds a set of programs up while it is entered.

    Entering returns once all are ready and raises LocalStackError, with nothing left running, when one cannot
    be. Leaving stops each after those that need it.
    """

    def __init__(
        self, programs: Sequence[Program], run_dir: Path, *, changed: Callable[[Keeper], None] = lambda _: None
    ) -> None:
        self.keepers: dict[str, Keeper] = {}
        self._programs = programs
        self._run_dir = run_dir
        self._changed = changed
        self._tasks = asyncio.TaskGroup()
        self._kept: dict[str, asyncio.Task[None]] = {}
        self._guard: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        log_path(self._run_dir, "supervisor").parent.mkdir(parents=True, exist_ok=True)
        self._guard = await _start_guard(self._run_dir)
        for program in self._programs:
            self.keepers[program.name] = Keeper(program, self._run_dir, self._log(), self._changed)
        # Entered by hand, so that an error of the caller's body reaches the caller as it is, not in a group.
        await self._tasks.__aenter__()
        try:
            self._start()
            await self._all_ready()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def _start(self) -> None:
        for name, keeper in self.keepers.items():
            # An address given in the environment stands for a program that is not among ours.
            after = [self.keepers[other] for other in keeper.program.after if other in self.keepers]
            self._kept[name] = self._tasks.create_task(keeper.run(after), name=f"keep {name}")

    async def _all_ready(self) -> None:
        waiting = [keeper.first_ready for keeper in self.keepers.values()]
        if waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
            problems = [problem for settled in done if (problem := settled.exception())]
            if problems:
                raise LocalStackError("\n".join(str(problem) for problem in problems))

    async def _stop(self) -> None:
        try:
            async with asyncio.TaskGroup() as stops:
                for name in self._kept:
                    stops.create_task(self._stop_after_dependants(name), name=f"stop {name}")
            await self._tasks.__aexit__(None, None, None)
        finally:
            if killed := await sweep(self._run_dir):
                self._log().warning("leftovers_killed", pids=killed)
            if self._guard is not None:
                # Without input, even an empty one, this would leave the pipe open.
                await self._guard.communicate(b"")

    async def _stop_after_dependants(self, name: str) -> None:
        dependants = [self._kept[other] for other, keeper in self.keepers.items() if name in keeper.program.after]
        if dependants:
            await asyncio.wait(dependants)
        self._kept[name].cancel()
        await asyncio.wait([self._kept[name]])

    def _log(self) -> FilteringBoundLogger:
        return supervisor_log(self._run_dir)


async def _start_guard(run_dir: Path) -> asyncio.subprocess.Process:
    """A small process that ends the programs should this one be killed; closing its input ends it."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", leftovers.__file__, str(run_dir)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


def supervisor_log(run_dir: Path) -> FilteringBoundLogger:
    """A log of JSON lines in the run's folder; each line is written and the file closed at once."""
    log: FilteringBoundLogger = structlog.wrap_logger(
        _LineLogger(log_path(run_dir, "supervisor")),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return log


class _LineLogger:
    """What structlog calls with the finished line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def msg(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    debug = info = warning = error = critical = msg
