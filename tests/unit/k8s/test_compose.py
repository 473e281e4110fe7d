"""The mesh in containers on one machine: what its file tells the services is what they read."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.localstack.prometheus import MONITORING, RULE_FILES
from tests.dashboards import FOLDER
from tests.unit.k8s.manifests import ROOT, SERVICES, Overlay, config_type, settable

_TEXT = (ROOT / "compose.yaml").read_text()
_REQUIRED = re.compile(r"(?<!\$)\$\{(\w+):\?[^}]*\}")
_PARTS: dict[str, Any] = yaml.safe_load(_REQUIRED.sub("secret", _TEXT))["services"]
_CONFIGS = {name: yaml.safe_load(each["content"]) for name, each in yaml.safe_load(_TEXT)["configs"].items()}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_what_its_container_is_told(service: str) -> None:
    """Its loader takes the variables, none of which is unknown to it."""
    environ = _PARTS[service]["environment"]

    config = config_type(service).load(environ)

    assert environ.keys() - settable(service).keys() == set()
    assert _PARTS[service]["command"] == [service]
    assert _PARTS[service]["ports"] == [f"127.0.0.1:{config.grpc_port}:{config.grpc_port}"]
    assert _PARTS[service]["healthcheck"]["test"][-1] == f"127.0.0.1:{config.grpc_port}"
    assert int(_PARTS[service]["stop_grace_period"].removesuffix("s")) > config.shutdown_grace_seconds + 10


@pytest.mark.parametrize("service", SERVICES)
def test_settings_are_those_of_the_cluster(service: str, dev: Overlay) -> None:
    """But for ports, which have their defaults, and streams; servers go by the same names."""
    cluster = dev.environment(dev.service_container(service))
    here = _PARTS[service]["environment"]

    same = cluster.keys() - {"GRPC_PORT", "METRICS_PORT", "INGESTION_STREAMS", "MONGO_URL", "AMQP_URL", "REDIS_URL"}

    assert {name: here[name] for name in same} == {name: cluster[name] for name in same}
    assert {name for name in here if name.endswith("_URL")} == {name for name in cluster if name.endswith("_URL")}


@pytest.mark.parametrize("service", SERVICES)
def test_our_containers_are_restricted(service: str) -> None:
    """As in the cluster."""
    part = _PARTS[service]

    assert part["user"] == "10001:10001"
    assert part["read_only"] is True
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]


def test_images_are_those_of_the_cluster(dev: Overlay) -> None:
    """Exact versions, and the same."""
    # What a cluster starts by the calendar a person starts here.
    by_calendar = dev.of_kind("CronJob").keys()
    images = {name: container["image"] for name, container in dev.containers() if name not in by_calendar}

    assert {name: part["image"] for name, part in _PARTS.items() if name in images} == images
    assert all(re.search(r":v?\d+\.\d+\.\d+$", part["image"]) for part in _PARTS.values())


def test_everybody_waits_until_what_it_needs_is_healthy() -> None:
    """And everything has a way to be asked for its health."""
    assert all("healthcheck" in part for part in _PARTS.values())
    for service in SERVICES:
        waits_for = _PARTS[service]["depends_on"]
        environ = _PARTS[service]["environment"]
        needed = {name.removesuffix("_ADDRESS").lower() for name in environ if name.endswith("_ADDRESS")} - {
            "insecure_bind_any"
        }
        servers = {"MONGO_URL": "mongodb", "AMQP_URL": "rabbitmq", "REDIS_URL": "redis"}

        assert waits_for.keys() == needed | {server for name, server in servers.items() if name in environ}
        assert {each["condition"] for each in waits_for.values()} == {"service_healthy"}


def test_nothing_listens_beyond_this_machine() -> None:
    """Every published port names the loopback address; the servers publish none."""
    published = [port for part in _PARTS.values() for port in part.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert not any("ports" in _PARTS[name] for name in ("rabbitmq", "mongodb", "redis"))


def test_passwords_are_required_and_never_given() -> None:
    """The file's head says how to make each of them; none has a default."""
    (told,) = re.findall(r"for name in ([A-Z_ ]+);", _TEXT)

    assert set(_REQUIRED.findall(_TEXT)) == set(told.split())
    assert re.findall(r"(?<!\$)\$\{?\w+:?-", _TEXT) == []
    assert "\n.env\n" in (ROOT / ".gitignore").read_text()


def test_figures_of_every_service_are_collected() -> None:
    """By the ports on which they are served."""
    jobs = _CONFIGS["prometheus"]["scrape_configs"]

    assert {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs} == {
        service: [f"{service}:{config_type(service).load({}).metrics_port}"] for service in SERVICES
    }


def mounted(part: str) -> dict[str, str]:
    """The folders of this checkout that a container sees, by where it sees them."""
    volumes = [volume.split(":") for volume in _PARTS[part]["volumes"]]
    assert all(rest == ["ro"] for source, _, *rest in volumes if source.startswith("./"))
    return {target: source.removeprefix("./") for source, target, *_ in volumes if source.startswith("./")}


def test_rules_are_those_of_the_cluster() -> None:
    """The very files, where there are any."""
    (target, source), *others = mounted("prometheus").items()

    assert others == []
    assert source == str(MONITORING)
    assert _CONFIGS["prometheus"]["rule_files"] == [f"{target}/{name}" for name in RULE_FILES]


def test_dashboards_are_those_of_the_cluster_and_ask_the_prometheus_that_is_there() -> None:
    """The very files, and one source of data, which every dashboard takes because there is no other."""
    (provider,) = _CONFIGS["grafana-dashboards"]["providers"]
    (source,) = _CONFIGS["grafana-data-sources"]["datasources"]
    targets = {each["source"]: each["target"] for each in _PARTS["grafana"]["configs"]}

    assert (ROOT / mounted("grafana")[provider["options"]["path"]]).samefile(FOLDER)
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == _CONFIGS["prometheus"]["global"]["scrape_interval"]
    assert re.fullmatch(r"/etc/grafana/provisioning/dashboards/.*\.yaml", targets["grafana-dashboards"])
    assert re.fullmatch(r"/etc/grafana/provisioning/datasources/.*\.yaml", targets["grafana-data-sources"])


def test_prometheus_understands_its_configuration(promtool: Path, tmp_path: Path) -> None:
    """By its own check."""
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(_CONFIGS["prometheus"]))

    checked = subprocess.run(  # noqa: S603 - our own file
        [promtool, "check", "config", "--syntax-only", file], capture_output=True, text=True, timeout=60, check=False
    )

    assert checked.returncode == 0, checked.stderr
