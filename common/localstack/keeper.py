"""Keeps one program running: starts it, waits until it answers, starts it again when it dies."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from common.localstack.problem import LocalStackError, NotReady
from common.localstack.process import ProgramProcess, last_lines, log_path, set_log_aside
from common.localstack.program import Program

POLL_INTERVAL_S = 0.1
PROBE_LIMIT_S = 6.0
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 5.0
STEADY_AFTER_S = 30.0


class Keeper:
    """Keeps one program running from `run` until that task is cancelled.

    A first start that fails is a problem for whoever waits for `first_ready`; every later death is made good.
    `changed` is called whenever `phase` or `pid` has changed.
    """

    def __init__(
        self, program: Program, run_dir: Path, log: FilteringBoundLogger, changed: Callable[["Keeper"], None]
    ) -> None:
        self.program = program
        self.phase = "waiting"
        self.pid: int | None = None
        self.ready_seconds: float | None = None
        self.start_count = 0
        self.first_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Several programs may fail at once and only one failure is told; the others must not warn when collected.
        self.first_ready.add_done_callback(lambda settled: settled.cancelled() or settled.exception())
        self._run_dir = run_dir
        self._log = log.bind(program=program.name)
        self._changed = changed
        self._process: ProgramProcess | None = None
        self._ready = asyncio.Event()
        self._wanted = asyncio.Event()
        self._wanted.set()

    async def run(self, after: list["Keeper"]) -> None:
        """Starts the program once the others have been ready, and keeps it running."""
        try:
            if after:
                await asyncio.wait([other.first_ready for other in after])
            if any(other.first_ready.exception() for other in after):
                return
            set_log_aside(self._run_dir, self.program.name)
            try:
                await self._start()
            except LocalStackError as problem:
                self.first_ready.set_exception(problem)
                return
            self.first_ready.set_result(None)
            await self._start_again_for_ever()
        finally:
            await self._end()
            self._enter("stopped")

    async def kill(self, *, stays_down: bool = False) -> int:
        """Sends SIGKILL and returns the id of the killed process.

        It is started again like after any death, or, if it is to stay down, only by `start` or `restart`.
        """
        process = self._running()
        if stays_down:
            self._wanted.clear()
        self._ready.clear()
        process.kill()
        await process.ends_within(self.program.stop_limit_s)
        return process.pid

    async def stop(self) -> None:
        """Ends the program in order; it stays down until `start` or `restart`."""
        self._wanted.clear()
        self._ready.clear()
        if self._process is not None:
            await self._process.stop()

    def start(self) -> None:
        """Lets a program that was to stay down run again, without waiting for it."""
        self._wanted.set()

    async def restart(self) -> None:
        """Ends the program in order if it runs, starts it and waits until it is ready."""
        await self.stop()
        self.start()
        await self.ready()

    async def ready(self, *, limit_s: float = 120.0) -> None:
        """Waits until the program answers.

        Raises:
            TimeoutError: when it does not before the limit.
        """
        async with asyncio.timeout(limit_s):
            await self._ready.wait()

    async def _start_again_for_ever(self) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            begin = time.monotonic()
            code = await self._running().wait()
            self._ready.clear()
            self._enter("down")
            self._log.warning("program_died", exit_code=code, wanted=self._wanted.is_set())
            delay_s = FIRST_DELAY_S if time.monotonic() - begin > STEADY_AFTER_S else delay_s
            while True:
                await asyncio.sleep(delay_s)
                await self._wanted.wait()
                delay_s = min(2 * delay_s, LONGEST_DELAY_S)
                try:
                    await self._start()
                except LocalStackError as problem:
                    self._log.error("program_not_started", problem=str(problem), next_try_seconds=delay_s)
                else:
                    break

    async def _start(self) -> None:
        begin = time.monotonic()
        self.start_count += 1
        try:
            self._process = await ProgramProcess.spawn(self.program, self._run_dir)
        except OSError as error:
            raise LocalStackError(f"{self.program.name} cannot be started: {error}") from error
        self._enter("starting")
        try:
            await self._until_ready(self._process, begin + self.program.ready_limit_s)
        except LocalStackError:
            await self._end()
            self._enter("down")
            raise
        self.ready_seconds = time.monotonic() - begin
        self._ready.set()
        self._enter("ready")
        self._log.info("program_ready", pid=self.pid, seconds=round(self.ready_seconds, 2), start=self.start_count)

    async def _until_ready(self, process: ProgramProcess, deadline: float) -> None:
        found = "no answer"
        while time.monotonic() < deadline:
            try:
                async with asyncio.timeout(PROBE_LIMIT_S):
                    await self.program.probe()
            except NotReady as not_ready:
                found = str(not_ready)
            except TimeoutError:
                found = "no answer in time"
            else:
                return
            if await process.ends_within(POLL_INTERVAL_S):
                raise self._problem(f"ended with code {process.exit_code} before it was ready")
        raise self._problem(f"was not ready within {self.program.ready_limit_s:g} s: {found}")

    def _problem(self, what: str) -> LocalStackError:
        lines = [f"{self.program.name} {what}; its log {log_path(self._run_dir, self.program.name)} ends with:"]
        lines += [f"  {line}" for line in last_lines(self._run_dir, self.program.name)]
        return LocalStackError("\n".join(lines))

    def _running(self) -> ProgramProcess:
        if self._process is None:
            raise LocalStackError(f"{self.program.name} has not been started.")
        return self._process

    async def _end(self) -> None:
        self._ready.clear()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                await self._process.stop()

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self.pid = self._process.pid if self._process is not None and phase in {"starting", "ready"} else None
        self._changed(self)
