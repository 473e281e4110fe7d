"""Asks a service of this machine for its health, for whoever only starts programs: `python -m common.health_probe`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_TIMEOUT_SECONDS = 3.0


def is_serving(address: str, service: str = "") -> bool:
    """Whether the health of a name at `host:port` is SERVING; the empty name is the whole server."""
    # A proxy of the environment must not stand between two processes of one machine.
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        # The typed stubs leave out the methods, which grpc adds when the object is made.
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 when it serves, else 1."""
    parser = argparse.ArgumentParser(prog="python -m common.health_probe")
    parser.add_argument("address", help="host:port")
    parser.add_argument("service", nargs="?", default="", help="a health name, such as liveness; default: all of it")
    given = parser.parse_args(arguments)
    return 0 if is_serving(given.address, given.service) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
