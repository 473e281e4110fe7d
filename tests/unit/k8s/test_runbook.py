"""That the pages for operators speak of things that exist, and that their arithmetic is right."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2

from tests.unit.k8s.manifests import OVERLAYS, ROOT, SERVICES, Manifest, Overlay, rendered, settable, the_container
from tests.unit.k8s.test_schemas import VERSIONS
from tests.unit.k8s.test_services import served_names

_README = (ROOT / "README.md").read_text()
_RUNBOOK = "".join((ROOT / "k8s" / name).read_text() for name in ("README.md", "RESTORE.md"))
_EXAMPLES = "".join((ROOT / service / "README.md").read_text() for service in SERVICES)
_PAGES = _README + _RUNBOOK + _EXAMPLES
_KINDS = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "service": "Service",
    "scaledobject": "ScaledObject",
    "cronjob": "CronJob",
}
_JOBS = {"job/mongodb-replica-set", "job/backup-now", "job/restore-1", "job/billing-run-now", "job/prepare-0.1.0"}


def deploy_block() -> str:
    """The commands by which the README deploys to a bare cluster."""
    (block,) = re.findall(r"```bash\n(docker build .*?)```", _README, re.DOTALL)
    return str(block)


def inside_block() -> str:
    """The commands by which the runbook deploys production with its servers inside."""
    (block,) = re.findall(r"```bash\n(kubectl apply .*?)```", _RUNBOOK, re.DOTALL)
    return str(block)


def secrets_made(block: str) -> list[Manifest]:
    """The secrets that commands make, run as they stand, with a kubectl that asks no cluster."""
    kubectl = Path(sys.executable).parent / "kubectl"
    asks_nobody = (
        f'kubectl() {{ [[ $* != *"create secret"* ]] || {{ echo ---; "{kubectl}" "$@" --dry-run=client -oyaml; }}; }}\n'
        "docker() { :; }\n"
        "openssl() { echo 0a1b2c; }\n"
    )
    answer = subprocess.run(  # noqa: S603 - the pages' own commands, which reach nothing
        ["/bin/bash", "-euc", asks_nobody + block], capture_output=True, text=True, check=True, timeout=60
    )
    return list(yaml.safe_load_all(answer.stdout))


def test_commands_name_only_what_is_in_the_manifests() -> None:
    """Each deployment, service, stateful set, autoscaler and job that is spoken of, in the namespace that is named."""
    commands = re.findall(r"kubectl -n (gridmesh[a-z-]*) (.*)", _PAGES)
    named = {
        (namespace, kind, name)
        for namespace, command in commands
        for kind, name in re.findall(r"\b(deployment|statefulset|service|scaledobject|cronjob)/([a-z-]+)", command)
    }
    existing = {
        (each["metadata"]["namespace"], kind, each["metadata"]["name"])
        for kind, of_kind in _KINDS.items()
        for name in (*OVERLAYS, "prod-inside")
        for each in rendered(name).manifests
        if each["kind"] == of_kind
    }

    assert len(named) > 10
    assert named - existing == set()
    assert set(re.findall(r"\bjob/[a-z0-9.-]*[a-z0-9]", _PAGES)) == _JOBS


def test_pods_and_claims_that_are_named_are_those_of_the_stateful_sets(servers: Overlay) -> None:
    """As the cluster names them; and each command that is run in them is one of the server's own."""
    pods = {
        f"{name}-{number}"
        for name, each in servers.of_kind("StatefulSet").items()
        for number in range(each["spec"]["replicas"])
    }
    programs = {
        "mongodb": {"bash", "df", "mongosh"},
        "rabbitmq": {"df", "rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-queues"},
    }
    commands = re.findall(r"-n gridmesh-servers exec (?:-it )?(\S+) -- (\S+)", _RUNBOOK)

    assert len(commands) > 8
    assert {pod for pod, _ in commands} | set(re.findall(r"\bpod/(\S+)", _RUNBOOK)) <= pods
    assert set(re.findall(r"\bdata-((?:rabbitmq|mongodb)-\d)", _RUNBOOK)) <= pods
    assert all(program in programs[pod.rsplit("-", 1)[0]] for pod, program in commands)


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
    code = "".join(path.read_text() for folder in ("common", "billing") for path in (ROOT / folder).rglob("*.py"))

    assert all(f'"{name}"' in code for name in names.split("|"))


def test_monitors_and_rules_get_the_label_that_a_stock_prometheus_looks_for(tmp_path: Path) -> None:
    """By the patch that the runbook has, in an overlay over production and its servers."""
    (block,) = re.findall(r"```yaml\n(patches:.*?)```", _RUNBOOK, re.DOTALL)
    overlay = os.path.relpath(ROOT / "k8s/overlays/prod-inside", tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{overlay}]\n{block}")

    patched = rendered(str(tmp_path))

    seen = {
        (each["kind"], each["metadata"]["name"]): each["metadata"]["labels"].get("release")
        for each in patched.manifests
        if each["kind"] in {"ServiceMonitor", "PrometheusRule"}
    }
    assert {kind for kind, _ in seen} == {"ServiceMonitor", "PrometheusRule"}
    assert set(seen.values()) == {"kube-prometheus-stack"}
    assert len(seen) == sum(
        each["kind"] in {"ServiceMonitor", "PrometheusRule"} for each in rendered("prod-inside").manifests
    )


def test_settings_and_files_that_are_spoken_of_exist() -> None:
    """Some service reads each variable, and paths lead to files."""
    variables = set().union(*(settable(service) for service in SERVICES))
    spoken_of = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+|PARTITIONS)`", _RUNBOOK))
    paths = set(re.findall(r"`((?:base|overlays|servers)/[\w/.-]+)`", _RUNBOOK))

    assert spoken_of <= variables
    assert {path for path in paths if not (ROOT / "k8s" / path).exists()} == set()
    assert {
        path for path in re.findall(r"k8s/(?:base|overlays|servers)[\w/.-]*\w", _README) if not (ROOT / path).exists()
    } == set()


def test_the_secrets_that_the_readme_makes_are_those_that_one_node_needs(dev: Overlay) -> None:
    """Its commands are run as they stand, with a kubectl that asks no cluster."""
    secrets = secrets_made(deploy_block())

    assert {each["metadata"]["name"]: set(each["data"]) for each in secrets} == dev.secret_keys()
    assert {each["metadata"]["namespace"] for each in secrets} == {"gridmesh"}


def test_the_secrets_that_the_runbook_makes_are_those_of_production_and_its_servers(
    prod: Overlay, servers: Overlay
) -> None:
    """In each namespace its own, and what is in both is the same."""
    made = {
        (each["metadata"]["namespace"], each["metadata"]["name"]): each["data"] for each in secrets_made(inside_block())
    }

    assert {key: set(data) for key, data in made.items()} == {
        (namespace, name): keys
        for namespace, part in (("gridmesh", prod), ("gridmesh-servers", servers))
        for name, keys in part.secret_keys().items()
    }
    told = {key: base64.b64decode(data["url"]).decode() for key, data in made.items() if key[0] == "gridmesh"}
    url = told["gridmesh", "gridmesh-mongodb"]
    members = {each["name"]: each for each in the_container(servers.of_kind("Job")["mongodb-replica-set"])["env"]}
    assert url.split("@")[1].split("/")[0] == members["MEMBERS"]["value"].replace(":27017", "")
    assert {"w=majority", "replicaSet=gridmesh", "authSource=admin"} <= set(url.split("?")[1].split("&"))
    assert urlsplit(told["gridmesh", "gridmesh-rabbitmq"]).hostname == "rabbitmq.gridmesh-servers"
    assert urlsplit(told["gridmesh", "gridmesh-redis"]).hostname == "redis.gridmesh-servers"


def test_every_secret_of_production_is_in_the_table_and_no_other(prod: Overlay, dev: Overlay, servers: Overlay) -> None:
    """The table has one row a secret and overlay; `servers` is what prod-inside has besides."""
    rows = re.findall(r"^\| `(gridmesh-\w+)` \| (.*?) \| (dev|prod|servers)", _RUNBOOK, re.MULTILINE)

    told = {(where, name): set(keys.replace("`", "").split(", ")) for name, keys, where in rows}

    assert told == {
        (overlay.name.removeprefix("../"), name): keys
        for overlay in (dev, prod, servers)
        for name, keys in overlay.secret_keys().items()
    }


def test_the_versions_that_are_promised_are_those_that_are_checked() -> None:
    """In both pages, and the image's."""
    assert f"Kubernetes {VERSIONS[0]} and {VERSIONS[1]}" in _RUNBOOK
    assert f"Kubernetes {VERSIONS[0]} or newer" in _README
    images = {rendered("dev").service_container(service)["image"] for service in SERVICES}
    assert set(re.findall(r"gridmesh:\d+\.[\d.]*\d", _PAGES)) == images
