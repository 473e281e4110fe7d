"""The settings of the local stack: one number moves every port and the folder; bad values are named."""

from dataclasses import astuple, fields
from pathlib import Path

import pytest

from common.localstack.problem import LocalStackError
from common.localstack.settings import LAST_INSTANCE, LocalSettings, Ports

ROOT = Path("/checkout")


def test_without_an_instance_the_documented_ports_and_folder_are_used() -> None:
    """Instance 0 is what the README speaks of."""
    settings = LocalSettings.from_mapping({}, root=ROOT)

    assert settings.run_dir == ROOT / ".run"
    assert (settings.ports.gateway, settings.ports.ingestion) == (50051, 50052)
    assert (settings.ports.billing, settings.ports.analytics) == (50053, 50054)
    assert (settings.ports.gateway_metrics, settings.ports.analytics_metrics) == (9101, 9104)


def test_an_instance_moves_every_port_by_a_hundred_and_the_folder() -> None:
    """Nothing of one copy is in the way of another, Erlang's ports included."""
    settings = LocalSettings.from_mapping({"GRIDMESH_INSTANCE": "3"}, root=ROOT)

    assert settings.run_dir == ROOT / ".run-3"
    assert astuple(settings.ports) == tuple(port + 300 for port in astuple(Ports()))


def test_no_two_instances_share_a_port_and_all_are_ports() -> None:
    """A hundred copies would fit on one machine."""
    ports = [port for instance in range(LAST_INSTANCE + 1) for port in astuple(Ports.of_instance(instance))]

    assert len(set(ports)) == len(ports) == (LAST_INSTANCE + 1) * len(fields(Ports))
    assert min(ports) > 1024
    assert max(ports) < 65536


@pytest.mark.parametrize("text", ["100", "-1", "one", "1.0", " 1", "²"])
def test_an_instance_that_is_no_number_from_0_to_99_is_refused_in_one_line(text: str) -> None:
    """The line names the variable, the range and what was given."""
    with pytest.raises(LocalStackError) as refused:
        LocalSettings.from_mapping({"GRIDMESH_INSTANCE": text}, root=ROOT)

    assert str(refused.value) == f"GRIDMESH_INSTANCE must be a whole number from 0 to 99, not {text!r}."


def test_a_flush_at_every_commit_is_off_unless_asked_for() -> None:
    """It is far slower, so nobody gets it by accident."""
    assert not LocalSettings.from_mapping({}, root=ROOT).sync_on_commit
    assert LocalSettings.from_mapping({"GRIDMESH_SYNC_ON_COMMIT": "1"}, root=ROOT).sync_on_commit
    with pytest.raises(LocalStackError, match="GRIDMESH_SYNC_ON_COMMIT must be 0 or 1, not 'yes'"):
        LocalSettings.from_mapping({"GRIDMESH_SYNC_ON_COMMIT": "yes"}, root=ROOT)


def test_an_empty_address_counts_as_none_given() -> None:
    """A variable that is set to nothing does not switch a private server off."""
    settings = LocalSettings.from_mapping({"AMQP_URL": "", "MONGO_URL": "mongodb://elsewhere/"}, root=ROOT)

    assert settings.amqp_url is None
    assert settings.mongo_url == "mongodb://elsewhere/"


def test_free_ports_are_all_different() -> None:
    """They are held together while they are picked."""
    ports = astuple(Ports.free())

    assert len(set(ports)) == len(ports)
