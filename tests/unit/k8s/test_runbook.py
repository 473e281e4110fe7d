"""That the pages for operators speak of things that exist, and that their arithmetic is right."""

import re
import subprocess
import sys
from pathlib import Path

import yaml
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2

from tests.unit.k8s.manifests import ROOT, SERVICES, Overlay, rendered
from tests.unit.k8s.test_schemas import VERSIONS
from tests.unit.k8s.test_services import served_names

_README = (ROOT / "README.md").read_text()
_RUNBOOK = (ROOT / "k8s/README.md").read_text()
_PAGES = _README + _RUNBOOK
_KINDS = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "service": "Service",
    "scaledobject": "ScaledObject",
}


def deploy_block() -> str:
    """The commands by which the README deploys to a bare cluster."""
    (block,) = re.findall(r"```bash\n(docker build .*?)```", _README, re.DOTALL)
    return str(block)


def test_commands_name_only_what_is_in_the_manifests() -> None:
    """Each deployment, service, stateful set and autoscaler that is spoken of."""
    named = set(re.findall(r"\b(deployment|statefulset|service|scaledobject)/([a-z]+)", _PAGES))
    existing = {
        (kind, name)
        for kind, of_kind in _KINDS.items()
        for each in ("dev", "prod")
        for name in rendered(each).of_kind(of_kind)
    }

    assert len(named) > 6
    assert named <= existing


def test_forwarded_ports_are_those_of_the_services(overlay: Overlay) -> None:
    """As `service/name port`."""
    forwarded = re.findall(r"port-forward service/([a-z]+) (\d+)", _PAGES)

    assert forwarded
    for name, port in forwarded:
        assert int(port) in {each["port"] for each in overlay.of_kind("Service")[name]["spec"]["ports"]}


def test_called_methods_are_in_the_contract() -> None:
    """And belong to the service that listens on the port that is named."""
    calls = re.findall(r"127\.0\.0\.1:(\d+) ([a-z]+[\w.]+)/(\w+)", _RUNBOOK)
    by_port = {rendered("dev").config(service).grpc_port: service for service in SERVICES}
    assert len(calls) >= 3
    for port, name, method in calls:
        served = served_names(by_port[int(port)]) | {health_pb2.DESCRIPTOR.services_by_name["Health"].full_name}

        assert name in served
        assert method in descriptor_pool.Default().FindServiceByName(name).methods_by_name


def test_figures_that_are_looked_for_exist() -> None:
    """Each metric is named in the code."""
    (names,) = re.findall(r"grep -E '\^\((.*?)\)'", _RUNBOOK)
    code = "".join(path.read_text() for folder in ("common", "billing") for path in (ROOT / folder).glob("*.py"))

    assert all(f'"{name}"' in code for name in names.split("|"))


def test_settings_and_files_that_are_spoken_of_exist(dev: Overlay) -> None:
    """Variables are set somewhere in the manifests, and paths lead to files."""
    variables = set().union(*(dev.environment(dev.service_container(service)) for service in SERVICES))
    spoken_of = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+|PARTITIONS)`", _RUNBOOK))
    paths = set(re.findall(r"`((?:base|overlays)/[\w/.-]+)`", _RUNBOOK))

    assert spoken_of <= variables
    assert {path for path in paths if not (ROOT / "k8s" / path).exists()} == set()
    assert {
        path for path in re.findall(r"k8s/(?:base|overlays)[\w/.-]*\w", _README) if not (ROOT / path).exists()
    } == set()


def test_the_secrets_that_the_readme_makes_are_those_that_one_node_needs(dev: Overlay) -> None:
    """Its commands are run as they stand, with a kubectl that asks no cluster."""
    kubectl = Path(sys.executable).parent / "kubectl"
    asks_nobody = (
        f'kubectl() {{ [[ $* != *"create secret"* ]] || {{ echo ---; "{kubectl}" "$@" --dry-run=client -oyaml; }}; }}\n'
        "docker() { :; }\n"
        "openssl() { echo 0a1b2c; }\n"
    )
    answer = subprocess.run(  # noqa: S603 - the README's own commands, which reach nothing
        ["/bin/bash", "-euc", asks_nobody + deploy_block()], capture_output=True, text=True, check=True, timeout=60
    )

    secrets = list(yaml.safe_load_all(answer.stdout))

    assert {each["metadata"]["name"]: set(each["data"]) for each in secrets} == dev.secret_keys()
    assert {each["metadata"]["namespace"] for each in secrets} == {"gridmesh"}


def test_every_secret_of_production_is_in_the_table_and_no_other(prod: Overlay, dev: Overlay) -> None:
    """The table has one row a secret and overlay."""
    rows = re.findall(r"^\| `(gridmesh-\w+)` \| (.*?) \| (dev|prod)", _README, re.MULTILINE)

    told = {(where, name): set(keys.replace("`", "").split(", ")) for name, keys, where in rows}

    assert told == {
        (overlay.name, name): keys for overlay in (dev, prod) for name, keys in overlay.secret_keys().items()
    }


def test_the_versions_that_are_promised_are_those_that_are_checked() -> None:
    """In both pages, and the image's."""
    assert f"Kubernetes {VERSIONS[0]} and {VERSIONS[1]}" in _RUNBOOK
    assert f"Kubernetes {VERSIONS[0]} or newer" in _README
    images = {rendered("dev").service_container(service)["image"] for service in SERVICES}
    assert set(re.findall(r"gridmesh:\d+\.[\d.]*\d", _PAGES)) == images
