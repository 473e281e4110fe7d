"""A private Redis or Valkey server that keeps nothing on disk: all it holds can be had again from the store."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from common.localstack import locate, probes
from common.localstack.program import Program
from common.localstack.settings import LOOPBACK, Ports

NAME = "redis"


def program(run_dir: Path, ports: Ports, environ: Mapping[str, str], *, redis_url: str) -> Program:
    """Makes the server's folder and returns its program.

    Raises:
        LocalStackError: when there is no such server on this machine.
    """
    folder = run_dir / NAME
    folder.mkdir(parents=True, exist_ok=True)
    return Program(
        name=NAME,
        argv=(
            str(locate.redis_server(environ)),
            *("--bind", LOOPBACK, "--port", str(ports.redis)),
            *("--save", "", "--appendonly", "no", "--dir", str(folder), "--daemonize", "no"),
            # A new title would be written over the environment, by which the leftovers of a run are recognised.
            *("--set-proc-title", "no"),
        ),
        environ=environ,
        folder=folder,
        address=f"{LOOPBACK}:{ports.redis}",
        probe=partial(probes.redis, redis_url),
        ready_limit_s=30.0,
        stop_limit_s=10.0,
    )
