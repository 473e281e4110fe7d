"""A private MongoDB-protocol server: mongod as a replica set of one, else the wheel's program beside us."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from common.localstack import locate, probes
from common.localstack.program import Program
from common.localstack.settings import LOOPBACK, Ports

NAME = "mongodb"
CACHE_GIB = 1


def program(
    run_dir: Path, ports: Ports, environ: Mapping[str, str], *, mongo_url: str, sync_on_commit: bool
) -> Program:
    """Makes the server's folder and returns its program.

    With `sync_on_commit` the wheel's server flushes every commit; mongod does so when a write asks for its journal,
    which the address then does.

    Raises:
        LocalStackError: when there is no such server on this machine.
    """
    folder = run_dir / NAME
    folder.mkdir(parents=True, exist_ok=True)
    mongod = locate.mongod(environ)
    argv = _mongod(mongod, folder, ports.mongo) if mongod else _secantusd(folder, ports.mongo, sync=sync_on_commit)
    return Program(
        name=NAME,
        argv=argv,
        environ={**environ, "HOME": str(folder)},
        folder=folder,
        address=f"{LOOPBACK}:{ports.mongo}",
        # The wheel's server presents itself as a replica set already.
        probe=partial(probes.mongo, mongo_url, initiate=mongod is not None),
        ready_limit_s=90.0,
        stop_limit_s=30.0,
    )


def _mongod(mongod: Path, folder: Path, port: int) -> tuple[str, ...]:
    data = folder / "mongod"
    data.mkdir(exist_ok=True)
    return (
        str(mongod),
        *("--bind_ip", LOOPBACK, "--port", str(port)),
        *("--dbpath", str(data), "--replSet", probes.REPLICA_SET),
        *("--wiredTigerCacheSizeGB", str(CACHE_GIB)),
    )


def _secantusd(folder: Path, port: int, *, sync: bool) -> tuple[str, ...]:
    data = folder / "secantusdb"
    data.mkdir(exist_ok=True)
    # Its storage engine reads this file on top of what the program asks for. By itself the program keeps the last
    # commits in its own memory and loses them when it is killed; with this each commit is handed to the system first.
    (data / "WiredTiger.config").write_text("" if sync else "transaction_sync=(enabled=true,method=none)\n")
    # Without a file of our own it would take one from the home directory or the system.
    configuration = folder / "secantusd.toml"
    configuration.write_text("# Everything is said on the command line.\n")
    return (
        str(locate.secantusd()),
        *("--config", str(configuration)),
        *("--host", LOOPBACK, "--port", str(port)),
        *("--storage-path", str(data)),
        *("--cache-size", f"{CACHE_GIB}G", "--log-level", "WARNING"),
        *(("--sync-on-commit",) if sync else ()),
    )
