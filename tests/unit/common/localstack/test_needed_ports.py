"""Which ports a mesh needs, and what is said of a taken one."""

import socket
from dataclasses import astuple
from pathlib import Path

import pytest

from common.localstack.problem import LocalStackError
from common.localstack.services import mesh_services
from common.localstack.settings import LocalSettings
from common.localstack.taken_ports import check_ports_are_free, needed_ports


def test_the_whole_mesh_needs_every_port() -> None:
    """No port of the settings is forgotten in the check; but without Prometheus a mesh starts as well."""
    settings = LocalSettings.from_mapping({}, root=Path("/checkout"))

    needed = needed_ports(settings, mesh_services(settings.ports))

    assert sorted([*needed.values(), settings.ports.prometheus]) == sorted(astuple(settings.ports))


def test_more_replicas_stand_ten_ports_above_each_other() -> None:
    """The first keeps the ports that others know; no two share one."""
    environ = {"BILLING_REPLICAS": "3", "ANALYTICS_REPLICAS": "2"}
    settings = LocalSettings.from_mapping(environ, root=Path("/checkout"))

    needed = needed_ports(settings, mesh_services(settings.ports, settings.replicas))

    assert (needed["billing"], needed["billing-2"], needed["billing-3"]) == (50053, 50063, 50073)
    assert (needed["analytics-2"], needed["analytics-2's metrics"]) == (50064, 9114)
    assert len(set(needed.values())) == len(needed)


@pytest.mark.parametrize("text", ["0", "10", "two", "-1"])
def test_a_number_of_replicas_that_cannot_be_meant_is_refused(text: str) -> None:
    """One line, naming the variable."""
    with pytest.raises(LocalStackError, match="BILLING_REPLICAS must be a whole number from 1 to 9"):
        LocalSettings.from_mapping({"BILLING_REPLICAS": text}, root=Path("/checkout"))


def test_a_server_elsewhere_needs_no_port() -> None:
    """Three of the five server ports belong to RabbitMQ and its Erlang."""
    settings = LocalSettings.from_mapping({"AMQP_URL": "amqp://elsewhere/"}, root=Path("/checkout"))

    needed = needed_ports(settings, [])

    assert set(needed) == {"MongoDB", "Redis"}


@pytest.mark.parametrize(("instance", "another"), [(0, 1), (1, 2), (99, 0)])
def test_a_taken_port_is_named_with_its_purpose_and_a_way_out(instance: int, another: int) -> None:
    """One line, with an instance that is not the own one."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]

        with pytest.raises(LocalStackError) as taken:
            check_ports_are_free({"Redis": port}, instance=instance)

    assert str(taken.value) == (
        f"Port {port} (Redis) is taken: stop the mesh that runs here with `make down`, "
        f"or move this one to other ports with GRIDMESH_INSTANCE={another}."
    )


def test_a_free_port_is_no_problem() -> None:
    """Also right after a listener on it has gone."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]

    check_ports_are_free({"Redis": port}, instance=0)
