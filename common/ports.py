"""Whether a port is free to listen on, said in one line when it is not."""

from __future__ import annotations

import socket

from common.config import ConfigError


class PortTaken(ConfigError):
    """Expected: another program listens on the port."""

    def __init__(self, port: int, variable: str) -> None:
        super().__init__(f"port {port} is taken; stop what uses it or set {variable} / GRIDMESH_INSTANCE")


def require_free(host: str, port: int, variable: str) -> None:
    """Checks that nothing listens on the address.

    Raises:
        PortTaken: something does.
        ConfigError: the host is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror as unknown:
            raise ConfigError(f"BIND_HOST: {host} is no address of this machine") from unknown
        except OSError as refused:
            raise PortTaken(port, variable) from refused


def reserve_shared(host: str, port: int) -> socket.socket:
    """A socket that holds the port, without listening, against all but those who share it by SO_REUSEPORT.

    With port 0 the system chooses one. Close it in the end.

    Raises:
        PortTaken: the port is somebody else's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as refused:
        held.close()
        raise PortTaken(port, "GRPC_PORT") from refused
    return held
