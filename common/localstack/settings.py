"""Says which ports and which folder one copy of the mesh uses on this machine."""

import contextlib
import random
import socket
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Self

from common.localstack.problem import LocalStackError

LOOPBACK = "127.0.0.1"
PORTS_APART = 100
LAST_INSTANCE = 99
REPLICA_PORTS_APART = 10
MOST_REPLICAS = 9
SHARING_SERVICES = ("billing", "analytics")
_SPARE_PORTS = range(20_000, 24_300)


@dataclass(frozen=True)
class Ports:
    """Every port one mesh listens on; the defaults are those of instance 0."""

    gateway: int = 50051
    ingestion: int = 50052
    billing: int = 50053
    analytics: int = 50054
    gateway_metrics: int = 9101
    ingestion_metrics: int = 9102
    billing_metrics: int = 9103
    analytics_metrics: int = 9104
    amqp: int = 25671
    # Not 25672: there a RabbitMQ of the system itself, with default settings, has its Erlang distribution.
    erlang_distribution: int = 25673
    epmd: int = 24369
    mongo: int = 27117
    redis: int = 26479
    prometheus: int = 9090

    @classmethod
    def of_instance(cls, instance: int) -> Self:
        """The default ports, each moved by 100 for every instance."""
        return cls(*(port + PORTS_APART * instance for port in astuple(cls())))

    @classmethod
    def free(cls) -> Self:
        """Ports nobody listens on now; all are held at once while picking, so no two are the same."""
        return cls(*free_ports(len(fields(cls))))


def free_ports(count: int) -> list[int]:
    """Different ports nobody listens on now, of those that no connection going out is given and no instance uses."""
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        for port in random.sample(_SPARE_PORTS, len(_SPARE_PORTS)):
            if len(ports) == count:
                break
            with contextlib.suppress(OSError):
                held.enter_context(socket.socket()).bind((LOOPBACK, port))
                ports.append(port)
    return ports


@dataclass(frozen=True)
class LocalSettings:
    """What the local stack is told: where it keeps its things, its ports, and the servers that run elsewhere.

    `amqp_url`, `mongo_url` and `redis_url` are None where a private server is to be started.
    With `sync_on_commit` the MongoDB-protocol server flushes every commit to disk before it answers. `replicas` says
    how many processes share the work of a service, where it is more than one. With `with_prometheus` a Prometheus runs
    beside the services, where the machine has one.
    """

    root: Path
    run_dir: Path
    ports: Ports
    instance: int = 0
    amqp_url: str | None = None
    mongo_url: str | None = None
    redis_url: str | None = None
    sync_on_commit: bool = False
    log_level: str = "info"
    replicas: Mapping[str, int] = field(default_factory=dict)
    with_prometheus: bool = False

    @classmethod
    def from_mapping(cls, environ: Mapping[str, str], *, root: Path) -> Self:
        """The settings an environment asks for, for the checkout at `root`.

        Raises:
            LocalStackError: when a value cannot be meant, in one line.
        """
        instance = instance_of(environ)
        return cls.for_run(
            environ,
            root=root,
            run_dir=root / (f".run-{instance}" if instance else ".run"),
            ports=Ports.of_instance(instance),
            instance=instance,
        )

    @classmethod
    def for_run(cls, environ: Mapping[str, str], *, root: Path, run_dir: Path, ports: Ports, instance: int = 0) -> Self:
        """The settings an environment asks for, with the folder and the ports chosen by the caller."""
        return cls(
            root=root,
            run_dir=run_dir.resolve(),
            ports=ports,
            instance=instance,
            amqp_url=environ.get("AMQP_URL") or None,
            mongo_url=environ.get("MONGO_URL") or None,
            redis_url=environ.get("REDIS_URL") or None,
            sync_on_commit=_flag("GRIDMESH_SYNC_ON_COMMIT", environ.get("GRIDMESH_SYNC_ON_COMMIT", "")),
            log_level=(environ.get("LOG_LEVEL") or "info").lower(),
            replicas={name: _replicas(f"{name.upper()}_REPLICAS", environ) for name in SHARING_SERVICES},
        )


def instance_of(environ: Mapping[str, str]) -> int:
    """Which of several copies on one machine an environment means; each has its own ports and folder.

    Raises:
        LocalStackError: it is no number from 0 to 99.
    """
    text = environ.get("GRIDMESH_INSTANCE", "")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text) > LAST_INSTANCE:
        raise LocalStackError(f"GRIDMESH_INSTANCE must be a whole number from 0 to {LAST_INSTANCE}, not {text!r}.")
    return int(text)


def _replicas(name: str, environ: Mapping[str, str]) -> int:
    text = environ.get(name) or "1"
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MOST_REPLICAS:
        raise LocalStackError(f"{name} must be a whole number from 1 to {MOST_REPLICAS}, not {text!r}.")
    return int(text)


def _flag(name: str, text: str) -> bool:
    if text not in {"", "0", "1"}:
        raise LocalStackError(f"{name} must be 0 or 1, not {text!r}.")
    return text == "1"
