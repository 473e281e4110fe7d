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
