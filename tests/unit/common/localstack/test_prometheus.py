"""The Prometheus beside a mesh: who is asked for figures, by which rules, and what is said where there is none."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from common.localstack import locate, prometheus
from common.localstack.services import mesh_services
from common.localstack.settings import LocalSettings, Ports
from common.localstack.state import RunState
from common.localstack.terminal import addresses


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """A machine without servers; its environment, whose PATH is the test's own folder."""
    monkeypatch.setattr(locate, "SERVER_FOLDERS", ())
    return {"PATH": str(tmp_path)}


def settings_for(environ: dict[str, str], root: Path) -> LocalSettings:
    """Settings with free ports, for a checkout and a run in the same folder."""
    return LocalSettings.for_run(environ, root=root, run_dir=root / "run", ports=Ports.free())


def put_program(folder: Path) -> None:
    """Something that can be executed and has the name of Prometheus."""
    program = folder / "prometheus"
    program.touch()
    program.chmod(0o755)


def test_every_replica_is_asked_under_the_name_of_its_service() -> None:
    """So that queries over a service's label find all of them, here as in a cluster."""
    ports = Ports.of_instance(1)

    asked = prometheus.targets(mesh_services(ports, {"billing": 2}))

    assert asked == [
        {"targets": ["127.0.0.1:9201"], "labels": {"job": "gateway"}},
        {"targets": ["127.0.0.1:9202"], "labels": {"job": "ingestion"}},
        {"targets": ["127.0.0.1:9203"], "labels": {"job": "billing"}},
        {"targets": ["127.0.0.1:9213"], "labels": {"job": "billing"}},
        {"targets": ["127.0.0.1:9204"], "labels": {"job": "analytics"}},
    ]


def test_only_rules_that_are_there_are_named(tmp_path: Path) -> None:
    """A checkout may have one file of them, both or none."""
    folder = tmp_path / prometheus.MONITORING
    folder.mkdir(parents=True)
    without = yaml.safe_load(prometheus.configuration(tmp_path))
    (folder / "recording-rules.yaml").touch()
    with_one = yaml.safe_load(prometheus.configuration(tmp_path))

    assert without["rule_files"] == []
    assert with_one["rule_files"] == [str(folder / "recording-rules.yaml")]


def test_the_program_keeps_to_loopback_and_to_the_folder_of_the_run(machine: dict[str, str], tmp_path: Path) -> None:
    """Its port moves with the others, and what it keeps is small."""
    put_program(tmp_path)
    settings = settings_for(machine, tmp_path)

    program = prometheus.program(settings, machine, mesh_services(settings.ports))

    folder = settings.run_dir / "prometheus"
    assert f"--web.listen-address=127.0.0.1:{settings.ports.prometheus}" in program.argv
    assert f"--storage.tsdb.path={folder / 'data'}" in program.argv
    assert any(each.startswith("--storage.tsdb.retention.size=") for each in program.argv)
    assert json.loads((folder / "targets.json").read_text()) == prometheus.targets(mesh_services(settings.ports))


def test_where_there_is_none_one_line_says_how_to_get_it(machine: dict[str, str], tmp_path: Path) -> None:
    """Nothing is raised, for the mesh works without."""
    note = prometheus.left_out(settings_for(machine, tmp_path), machine)

    assert note is not None
    assert "apt-get install -y prometheus" in note
    assert "\n" not in note


def test_a_port_that_the_systems_own_one_has_is_said_and_no_problem(machine: dict[str, str], tmp_path: Path) -> None:
    """Debian starts one on the same port as soon as the package is installed."""
    put_program(tmp_path)
    settings = settings_for(machine, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]

        note = prometheus.left_out(replace(settings, ports=replace(settings.ports, prometheus=port)), machine)

    assert note is not None
    assert f"port {port} is taken" in note


def test_with_program_and_port_it_is_not_left_out(machine: dict[str, str], tmp_path: Path) -> None:
    """The one case in which it starts."""
    put_program(tmp_path)

    assert prometheus.left_out(settings_for(machine, tmp_path), machine) is None


def test_nothing_but_a_mesh_that_stays_has_one_unless_asked() -> None:
    """Tests, measurements and faults have the machine for themselves."""
    assert not LocalSettings.from_mapping(os.environ, root=Path("/checkout")).with_prometheus


def test_whoever_has_started_the_mesh_reads_where_to_look(tmp_path: Path) -> None:
    """Its address, the page with all graphs, and what was left out."""
    running = RunState(environment={"PROMETHEUS_URL": "http://127.0.0.1:9090"}, notes=["A note."])

    lines = addresses(running, tmp_path)

    assert "  prometheus   http://127.0.0.1:9090" in lines
    assert any(line.startswith("Look: http://127.0.0.1:9090/consoles/") for line in lines)
    assert "A note." in lines
