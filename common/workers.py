"""Several processes behind one port: a parent that starts them, keeps them, and lets go only when all have drained."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from common import logs
from common.config import ConfigError, ServiceConfig
from common.lifecycle import EXIT_CONFIGURATION, run_service
from common.logs import get_logger
from common.metrics import MetricsServer
from common.ports import require_free, reserve_shared
from common.worker_metrics import WorkerMetrics

# Says to a process which worker it is; only the parent sets it.
_WORKER_VARIABLE = "GRIDMESH_WORKER"

_LOOPBACK = "127.0.0.1"
_FIRST_DELAY_SECONDS = 0.2
_LONGEST_DELAY_SECONDS = 5.0
_STEADY_SECONDS = 30.0
# Beyond the workers' own grace, for what their hooks may take at least.
_DRAIN_ALLOWANCE_SECONDS = 10.0

_log = get_logger(__name__)

Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class WorkersUnclean(Exception):
    """Unexpected: a worker did not end cleanly when it was asked to."""


def run_workers(
    module: str, config_type: type[ServiceConfig], main: Main, arguments: Sequence[str], environ: Mapping[str, str]
) -> int:
    """Runs a service as one process, or as so many as `--workers` or WORKERS says; gives the exit code.

    One is `run_service(main)` and nothing else. With more this process only watches over as many fresh interpreters
    that run `python -m <module>` and share the gRPC port; it opens no gRPC object itself, for those do not bear a fork.
    """
    number = environ.get(_WORKER_VARIABLE)
    if number is not None:
        structlog.contextvars.bind_contextvars(worker=number)
        return run_service(lambda stop: _until_orphaned(main, stop))
    try:
        chosen = _with_arguments(module, arguments, environ)
        config = config_type.load(chosen)
    except ConfigError as refused:
        sys.stderr.write(f"{refused}\n")
        return EXIT_CONFIGURATION
    if config.workers == 1:
        return run_service(main)
    return run_service(lambda stop: _watch_over(module, config, chosen, stop))


def _with_arguments(module: str, arguments: Sequence[str], environ: Mapping[str, str]) -> Mapping[str, str]:
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description="Settings come from the environment.")
    parser.add_argument("--workers", help="processes that share the port; default: WORKERS, else 1")
    workers = parser.parse_args(arguments).workers
    return environ if workers is None else {**environ, "WORKERS": workers}


async def _until_orphaned(main: Main, stop: asyncio.Event) -> None:
    # The parent holds the other end of stdin and never writes; its end, of whatever kind, is the end of the file.
    loop = asyncio.get_running_loop()

    def on_end() -> None:
        if not os.read(sys.stdin.fileno(), 1):
            loop.remove_reader(sys.stdin.fileno())
            stop.set()

    loop.add_reader(sys.stdin.fileno(), on_end)
    await main(stop)


async def _watch_over(module: str, config: ServiceConfig, environ: Mapping[str, str], stop: asyncio.Event) -> None:
    logs.configure(f"{module}-parent", config.log_level)
    require_free(config.bind_host, config.grpc_port, "GRPC_PORT")
    with reserve_shared(config.bind_host, config.grpc_port) as held:
        registry = CollectorRegistry()
        metrics = WorkerMetrics(registry)
        settings = {**environ, "GRPC_PORT": str(held.getsockname()[1]), "SO_REUSEPORT": "1"}
        workers = [_Worker(module, number, settings, metrics) for number in range(1, config.workers + 1)]
        server = MetricsServer(registry, config.bind_host, config.metrics_port)
        server.start()
        try:
            async with asyncio.TaskGroup() as keeping:
                for worker in workers:
                    keeping.create_task(worker.keep(stop), name=f"worker_{worker.number}")
                _log.info("workers_started", workers=len(workers), port=held.getsockname()[1])
                await stop.wait()
                limit_seconds = config.shutdown_grace_seconds + _DRAIN_ALLOWANCE_SECONDS
                codes = await asyncio.gather(*(worker.end(limit_seconds) for worker in workers))
        finally:
            await asyncio.to_thread(server.close)
    if any(codes):
        raise WorkersUnclean(f"exit codes {codes}")


class _Worker:
    """One child process, started again whenever it dies."""

    def __init__(self, module: str, number: int, environ: Mapping[str, str], metrics: WorkerMetrics) -> None:
        self.number = number
        self._module = module
        self._environ = {**environ, "METRICS_BIND_HOST": _LOOPBACK, _WORKER_VARIABLE: str(number)}
        self._metrics = metrics
        self._process: asyncio.subprocess.Process | None = None
        self._asked: asyncio.subprocess.Process | None = None
        self._has_ended = asyncio.Event()
        self._code = 0

    async def keep(self, stop: asyncio.Event) -> None:
        """Starts the process, and again after each death with a growing delay, until asked to stop."""
        loop = asyncio.get_running_loop()
        delay_seconds = _FIRST_DELAY_SECONDS
        try:
            while not stop.is_set():
                started = loop.time()
                self._code = await self._run_once(stop)
                if stop.is_set():
                    return
                _log.error("worker_died", worker=self.number, code=self._code, restart_seconds=delay_seconds)
                if loop.time() - started >= _STEADY_SECONDS:
                    delay_seconds = _FIRST_DELAY_SECONDS
                await _wait_unless(stop, delay_seconds)
                # A death before the stop has been made good or will not matter.
                self._code = 0
                delay_seconds = min(2 * delay_seconds, _LONGEST_DELAY_SECONDS)
        finally:
            self._has_ended.set()

    async def end(self, limit_seconds: float) -> int:
        """Asks the process to stop, waits until it has, kills it after the limit; gives its exit code."""
        self._ask_to_stop()
        try:
            async with asyncio.timeout(limit_seconds):
                await self._has_ended.wait()
        except TimeoutError:
            _log.error("worker_straggles", worker=self.number)
            self._signal(signal.SIGKILL)
            await self._has_ended.wait()
        return self._code

    async def _run_once(self, stop: asyncio.Event) -> int:
        port = _free_loopback_port()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            env={**self._environ, "METRICS_PORT": str(port)},
            stdin=asyncio.subprocess.PIPE,
            # A signal to the group must not reach it twice, by itself and from here: the second ends it at once.
            start_new_session=True,
        )
        self._process = process
        self._metrics.started(self.number, port)
        _log.info("worker_started", worker=self.number, pid=process.pid, metrics_port=port)
        if stop.is_set():
            # Asked while it was being started, so perhaps nobody has told it.
            self._ask_to_stop()
        try:
            code = await process.wait()
            # Ended by the signal itself: it had not begun yet, so there was nothing to drain.
            return 0 if stop.is_set() and code == -signal.SIGTERM else code
        finally:
            self._metrics.ended(self.number)
            self._process = None

    def _ask_to_stop(self) -> None:
        # A second signal would end the process at once, with what it still holds.
        if self._asked is not self._process:
            self._asked = self._process
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


async def _wait_unless(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _free_loopback_port() -> int:
    # Somebody may take it before the worker does; the worker then ends, and is started with another.
    with closing(socket.socket()) as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
