"""Sees before anything starts whether a port is taken, and says which, for what, and what to do."""

import contextlib
import socket
from collections.abc import Mapping, Sequence

from common.localstack.problem import LocalStackError
from common.localstack.services import Service
from common.localstack.settings import LAST_INSTANCE, LOOPBACK, LocalSettings


def needed_ports(settings: LocalSettings, services: Sequence[Service]) -> dict[str, int]:
    """What each port is for; a server that runs elsewhere needs none."""
    ports = settings.ports
    needed: dict[str, int] = {}
    if settings.amqp_url is None:
        needed |= {
            "RabbitMQ": ports.amqp,
            "RabbitMQ's Erlang distribution": ports.erlang_distribution,
            "Erlang's port mapper": ports.epmd,
        }
    if settings.mongo_url is None:
        needed["MongoDB"] = ports.mongo
    if settings.redis_url is None:
        needed["Redis"] = ports.redis
    for service in services:
        needed[service.name] = service.port
        needed[f"{service.name}'s metrics"] = service.metrics_port
    return needed


def check_ports_are_free(needed: Mapping[str, int], *, instance: int) -> None:
    """Raises LocalStackError, in one line, when somebody listens on a port that is needed."""
    taken = [f"{port} ({purpose})" for purpose, port in needed.items() if not is_free(port)]
    if taken:
        ports, verb = ("Port", "is") if len(taken) == 1 else ("Ports", "are")
        another = (instance + 1) % (LAST_INSTANCE + 1)
        raise LocalStackError(
            f"{ports} {', '.join(taken)} {verb} taken: stop the mesh that runs here with `make down`, "
            f"or move this one to other ports with GRIDMESH_INSTANCE={another}."
        )


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of the loopback address."""
    with contextlib.closing(socket.socket()) as probe:
        # Connections that have just ended do not count; a listener still does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
