"""The metrics port."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client import Counter

from common.metrics import MetricsServer, create_registry
from common.ports import PortTaken


def _fetch(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def test_the_registry_is_served_with_the_figures_of_the_process() -> None:
    """A counter of ours and the memory of the process; after close nobody answers."""
    registry = create_registry()
    Counter("readings_accepted", "Readings accepted.", registry=registry).inc(3)
    server = MetricsServer(registry, "127.0.0.1", 0)
    server.start()

    text = _fetch(server.port)
    server.close()

    assert "readings_accepted_total 3.0" in text
    assert "process_resident_memory_bytes" in text
    with pytest.raises(urllib.error.URLError):
        _fetch(server.port)


def test_a_taken_port_says_in_one_line_what_to_do() -> None:
    """It names the port and the settings that move it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(PortTaken) as refused:
            MetricsServer(create_registry(), "127.0.0.1", port).start()

    assert str(refused.value) == f"port {port} is taken; stop what uses it or set METRICS_PORT / GRIDMESH_INSTANCE"
