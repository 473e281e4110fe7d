"""How a process lives: signals ask it to stop, and it lets go in an order in which nothing acked is lost."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol, Self

import uvloop

from common.allocation import give_large_blocks_back
from common.config import ConfigError
from common.logs import get_logger

EXIT_FAILURE = 1
EXIT_CONFIGURATION = 2

_COLLECTION_THRESHOLDS = (20_000, 20, 50)

_log = get_logger(__name__)

Hook = Callable[[], Awaitable[object]]


class _Drainable(Protocol):
    async def drain(self) -> None: ...


class _Stoppable(Protocol):
    async def stop(self, grace_seconds: float) -> None: ...


class TaskDied(Exception):
    """Unexpected: a background task ended by itself, so the process cannot go on."""


class Lifecycle:
    """The life of one process, as an async context manager: leaving it shuts down, in this order.

    Health turns red; the drain hooks run; the gRPC server stops with grace; the stop hooks run (consumers finish what
    they hold); background tasks are cancelled; the close hooks run. Hooks of one phase run in reverse order of their
    registration. The whole has `shutdown_grace_seconds`; whoever has not finished then is named in the log.
    """

    def __init__(self, shutdown_grace_seconds: float, stop: asyncio.Event | None = None) -> None:
        self.stop_requested = stop or asyncio.Event()
        self._grace_seconds = shutdown_grace_seconds
        self._health: _Drainable | None = None
        self._server: _Stoppable | None = None
        self._drain_hooks: list[tuple[str, Hook]] = []
        self._stop_hooks: list[tuple[str, Hook]] = []
        self._close_hooks: list[tuple[str, Hook]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._dead: str | None = None
        self._ending = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._shut_down()
        if self._dead is not None and failure is None:
            raise TaskDied(self._dead)

    async def wait(self) -> None:
        """Returns when the process is asked to stop, or when a background task has died."""
        await self.stop_requested.wait()

    def use_health(self, health: _Drainable) -> None:
        """The health that turns red first."""
        self._health = health

    def use_server(self, server: _Stoppable) -> None:
        """The gRPC server, already started, that is stopped with grace."""
        self._server = server

    def on_drain(self, name: str, hook: Hook) -> None:
        """A hook for before the server stops: tell streams to leave, flush what callers wait for."""
        self._drain_hooks.append((name, hook))

    def on_stop(self, name: str, hook: Hook) -> None:
        """A hook for after the server has stopped: consumers take no more and finish what they hold."""
        self._stop_hooks.append((name, hook))

    def on_close(self, name: str, hook: Hook) -> None:
        """A hook for the end: close a client. Register right after opening it."""
        self._close_hooks.append((name, hook))

    def start_task(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts background work that is meant to run until the end; if it dies before, the process stops loudly."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None:
            _log.error("background_task_died", task=task.get_name(), exc_info=failure)
        elif not self._ending:
            _log.error("background_task_ended", task=task.get_name())
        if failure is not None or not self._ending:
            self._dead = self._dead or task.get_name()
            self.stop_requested.set()

    async def _shut_down(self) -> None:
        self._ending = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace_seconds
        _log.info("shutdown_started", grace_seconds=self._grace_seconds)
        if self._health is not None:
            await self._run("health", self._health.drain, deadline)
        await self._run_all(self._drain_hooks, deadline)
        if self._server is not None:
            server = self._server
            grace_seconds = max(0.0, (deadline - loop.time()) / 2)
            await self._run("grpc_server", lambda: server.stop(grace_seconds), deadline)
        await self._run_all(self._stop_hooks, deadline)
        await self._cancel_tasks(deadline)
        await self._run_all(self._close_hooks, deadline)
        _log.info("shutdown_finished")

    async def _run_all(self, hooks: list[tuple[str, Hook]], deadline: float) -> None:
        for name, hook in reversed(hooks):
            await self._run(name, hook, deadline)

    async def _run(self, name: str, hook: Hook, deadline: float) -> None:
        # Each hook gets at least a moment, so that one straggler does not keep the rest from closing.
        limit = max(deadline, asyncio.get_running_loop().time() + _LEAST_HOOK_SECONDS)
        try:
            async with asyncio.timeout_at(limit):
                await hook()
        except TimeoutError:
            _log.error("shutdown_straggler", part=name)
        except Exception as failure:  # noqa: BLE001 - one part that fails to close must not keep the others open
            _log.error("shutdown_failed", part=name, exc_info=failure)

    async def _cancel_tasks(self, deadline: float) -> None:
        tasks = set(self._tasks)
        loop = asyncio.get_running_loop()
        limit = max(deadline, loop.time() + _LEAST_HOOK_SECONDS)
        while tasks and (left_seconds := limit - loop.time()) > 0:
            for task in tasks:
                task.cancel()
            # Again after a while: a library whose own time limit ends just then takes the cancellation for that.
            _, tasks = await asyncio.wait(tasks, timeout=min(_CANCEL_AGAIN_SECONDS, left_seconds))
        for task in tasks:
            _log.error("shutdown_straggler", part=task.get_name())


_CANCEL_AGAIN_SECONDS = 0.5
_LEAST_HOOK_SECONDS = 0.25


def run_service(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> int:
    """Runs `main(stop)` on uvloop until it returns, and gives the exit code of the process.

    SIGTERM and SIGINT set the event `stop`; a second one ends the process at once. The code is 0 after a clean end, 1
    after a failure, 2 if the configuration (or a taken port) does not let the service start.
    """
    # Every message makes objects that live for a moment; looking through all the others for cycles each few hundred of
    # them was 7 % of what analytics did under load.
    gc.set_threshold(*_COLLECTION_THRESHOLDS)
    give_large_blocks_back()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_with_signals(main))
    except ConfigError as refused:
        sys.stderr.write(f"{refused}\n")
        return EXIT_CONFIGURATION
    except TaskDied as died:
        _log.error("process_stopped", task=str(died))
        return EXIT_FAILURE
    except Exception as failure:  # noqa: BLE001 - the last word of the process is a record, not a bare traceback
        _log.error("process_failed", exc_info=failure)
        return EXIT_FAILURE
    return 0


async def _with_signals(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            _log.error("exit_at_once", signal=number.name)
            os._exit(EXIT_FAILURE)
        _log.info("stop_requested", signal=number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    await main(stop)
