"""What schemas do not hold: that every port, probe, selector, variable and secret is one that the code uses."""

import importlib
import re
import runpy
from collections.abc import Iterable

import pytest
import yaml
from google.protobuf import descriptor_pool

from common import lifecycle, workers
from common.call_policy import UNARY_DEADLINE_SECONDS
from common.connection_age import ConnectionAge
from common.grpc_client import UNARY_TIMEOUT_SECONDS, channel_options
from common.health import LIVENESS, NOTICE_SECONDS
from tests.faults.ending import DRAIN_LIMIT_SECONDS
from tests.unit.k8s.manifests import OVERLAYS, ROOT, SERVICES, Overlay, config_type, pod_spec, rendered, settable

_SERVED = re.compile(r"\badd_(\w+)Servicer_to_server\b")


def served_names(service: str) -> set[str]:
    """The health names of a service: the full names of the protos' services that its code adds to a server."""
    text = "".join(path.read_text() for path in (ROOT / service).rglob("*.py"))
    modules = set(re.findall(r"from (energy\.\S+_service_pb2)_grpc import", text))
    found = set()
    for name in modules:
        file = importlib.import_module(name).DESCRIPTOR
        assert descriptor_pool.Default().FindFileByName(file.name)
        found |= {each.full_name for each in file.services_by_name.values() if each.name in _SERVED.findall(text)}
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_what_its_container_is_told(overlay: Overlay, service: str) -> None:
    """Its own loader takes the variables and gives the ports that the container declares."""
    container = overlay.service_container(service)

    config = overlay.config(service)

    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
        "grpc": config.grpc_port,
        "metrics": config.metrics_port,
    }
    assert config.metrics_host == config.bind_host == "0.0.0.0"  # noqa: S104 - what is tested
    assert config.insecure_bind_any_address


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_the_same_wherever_the_mesh_runs(overlay: Overlay, service: str) -> None:
    """They are the code's own defaults."""
    config, default = overlay.config(service), config_type(service).load({})

    assert (config.grpc_port, config.metrics_port) == (default.grpc_port, default.metrics_port)


@pytest.mark.parametrize("service", SERVICES)
def test_no_variable_is_set_that_a_service_does_not_read(overlay: Overlay, service: str) -> None:
    """A misspelt one would be overlooked by the loader."""
    variables = overlay.environment(overlay.service_container(service))

    assert variables.keys() - settable(service).keys() == set()


@pytest.mark.parametrize("service", SERVICES)
def test_the_image_is_told_which_service_it_is(overlay: Overlay, service: str) -> None:
    """By the one argument of its entry point, a module that can be run."""
    container = overlay.service_container(service)

    assert container["args"] == [service]
    assert "command" not in container
    assert runpy.run_module(service, run_name="only-loaded")["main"]


def test_invoices_are_drafted_when_a_month_is_over_everywhere(overlay: Overlay) -> None:
    """By a program that the image has, which asks billing where it is; on the second day of the next month."""
    cron_job = overlay.of_kind("CronJob")["billing-run"]
    (container,) = pod_spec(cron_job)["containers"]
    module, address = container["args"]

    program = runpy.run_module(module, run_name="only-loaded")

    assert program["main"]
    assert address == f"dns:///billing:{overlay.config('billing').grpc_port}"
    assert (cron_job["spec"]["schedule"], cron_job["spec"]["timeZone"]) == ("0 6 2 * *", "Etc/UTC")
    assert cron_job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] > program["LIMIT_SECONDS"]


@pytest.mark.parametrize("service", SERVICES)
def test_probes_ask_for_health_names_that_the_service_has(overlay: Overlay, service: str) -> None:
    """Readiness for what it does, start and liveness for the process alone, all on its gRPC port."""
    container, config = overlay.service_container(service), overlay.config(service)

    probes = {name: container[f"{name}Probe"]["grpc"] for name in ("startup", "readiness", "liveness")}

    assert {probe["port"] for probe in probes.values()} == {config.grpc_port}
    assert probes["startup"]["service"] == probes["liveness"]["service"] == LIVENESS
    assert probes["readiness"]["service"] in served_names(service)


@pytest.mark.parametrize("service", SERVICES)
def test_other_services_are_called_by_the_name_and_port_that_they_have(overlay: Overlay, service: str) -> None:
    """Each address is a headless service's, resolved to all of its replicas."""
    config = overlay.config(service)
    addresses = {name: getattr(config, name) for name in type(config).model_fields if name.endswith("_address")}
    addresses.pop("insecure_bind_any_address")

    for field, address in addresses.items():
        peer = field.removesuffix("_address")
        assert address == f"dns:///{peer}:{overlay.config(peer).grpc_port}"
        assert overlay.of_kind("Service")[peer]["spec"]["clusterIP"] == "None"


def test_services_and_budgets_select_the_pods_of_their_name(overlay: Overlay) -> None:
    """And each port of a service is one that the pod's container has."""
    workloads = overlay.workloads()
    for name, service in overlay.of_kind("Service").items():
        template = workloads[name]["spec"]["template"]
        ports = {
            port["name"]: port["containerPort"] for each in template["spec"]["containers"] for port in each["ports"]
        }

        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == ports
    for name, workload in workloads.items():
        if workload["kind"] == "CronJob":
            continue
        assert workload["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": name}
    budgets = overlay.of_kind("PodDisruptionBudget")
    assert {name: each["spec"]["selector"]["matchLabels"] for name, each in budgets.items()} == {
        name: {"app.kubernetes.io/name": name} for name in SERVICES
    }


@pytest.mark.parametrize("service", SERVICES)
def test_the_grace_of_a_pod_covers_its_pause_and_its_drain(overlay: Overlay, service: str) -> None:
    """With what the last steps may take, and what a parent of several workers waits for them."""
    spec = pod_spec(overlay.of_kind("Deployment")[service])
    pause_seconds = overlay.service_container(service)["lifecycle"]["preStop"]["sleep"]["seconds"]

    drain_seconds = overlay.config(service).shutdown_grace_seconds
    beyond_seconds = max(workers._DRAIN_ALLOWANCE_SECONDS, 20 * lifecycle._LEAST_HOOK_SECONDS)

    assert spec["terminationGracePeriodSeconds"] >= pause_seconds + drain_seconds + beyond_seconds


@pytest.mark.parametrize("service", SERVICES)
def test_a_drain_has_the_time_that_the_faults_hold_it_to(overlay: Overlay, service: str) -> None:
    """`make faults` ends and rolls every service under load; one that takes longer than this fails there."""
    spec = pod_spec(overlay.of_kind("Deployment")[service])
    pause_seconds = overlay.service_container(service)["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert overlay.config(service).shutdown_grace_seconds == DRAIN_LIMIT_SECONDS
    assert spec["terminationGracePeriodSeconds"] - pause_seconds >= 2 * DRAIN_LIMIT_SECONDS
    assert spec["terminationGracePeriodSeconds"] > pause_seconds + NOTICE_SECONDS + UNARY_TIMEOUT_SECONDS


@pytest.mark.parametrize("service", SERVICES)
def test_a_replica_answers_until_callers_ask_its_name_again(overlay: Overlay, service: str) -> None:
    """The pause before its end is longer than callers keep to what the name gave them last."""
    pause_seconds = overlay.service_container(service)["lifecycle"]["preStop"]["sleep"]["seconds"]

    kept_seconds = int(dict(channel_options())["grpc.dns_min_time_between_resolutions_ms"]) / 1000

    assert pause_seconds >= 2 * kept_seconds


@pytest.mark.parametrize("service", SERVICES)
def test_connections_come_of_age_after_upgrades_and_before_people_wonder(overlay: Overlay, service: str) -> None:
    """A new replica is ready before callers are told to look for one, and has its share within a quarter of an hour."""
    ready_seconds = overlay.of_kind("Deployment")[service]["spec"]["minReadySeconds"]
    age = ConnectionAge(overlay.config(service).connection_age_seconds)

    assert 10 * ready_seconds < age.stream_seconds
    assert 1.1 * age.seconds < 15 * 60
    assert age.grace_seconds > UNARY_DEADLINE_SECONDS


@pytest.mark.parametrize("service", SERVICES)
def test_an_upgrade_takes_no_replica_before_there_is_another(overlay: Overlay, service: str) -> None:
    """Replica by replica, the new one first."""
    strategy = overlay.of_kind("Deployment")[service]["spec"]["strategy"]

    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_only_secrets_that_are_documented_are_asked_for(overlay: Overlay) -> None:
    """The runbook says each secret with its keys, in the order of the alphabet."""
    text = (ROOT / "k8s/README.md").read_text()

    for name, keys in overlay.secret_keys().items():
        assert f"| `{name}` | {', '.join(f'`{key}`' for key in sorted(keys))} |" in text, (name, keys)


def test_a_server_is_told_of_only_where_it_is_used(overlay: Overlay) -> None:
    """The variable of a server's address is set for just the services whose code reads it."""
    fields = {"MONGO_URL": "mongo_url", "AMQP_URL": "amqp_url", "REDIS_URL": "redis_url"}
    used = {name: _reading("app.py", f"config.{field}", SERVICES) for name, field in fields.items()}

    set_for = {
        name: {service for service in SERVICES if name in overlay.environment(overlay.service_container(service))}
        for name in fields
    }

    assert set_for == used


def _reading(file: str, text: str, services: Iterable[str]) -> set[str]:
    return {service for service in services if text in (ROOT / service / file).read_text()}


def test_settings_have_names_that_change_with_them(overlay: Overlay) -> None:
    """So that replicas are rolled when a setting changes, and rolled back with what they had."""
    used = {source["configMapRef"]["name"] for _, each in overlay.containers() for source in each.get("envFrom", [])}

    assert used <= overlay.of_kind("ConfigMap").keys()
    assert used
    assert all(re.fullmatch(r"[a-z-]+-[a-z0-9]{10}", name) for name in used)


def test_overlays_hold_only_differences() -> None:
    """No file of an overlay is a manifest that base has already."""
    base = {(each["kind"], each["metadata"]["name"]) for each in rendered("../base").manifests}
    for name in OVERLAYS:
        for path in (ROOT / "k8s/overlays" / name).rglob("*.yaml"):
            manifests = [each for each in yaml.safe_load_all(path.read_text()) if isinstance(each, dict)]
            assert {(each["kind"], each.get("metadata", {}).get("name")) for each in manifests} & base == set(), path


def test_as_many_streams_lead_to_ingestion_as_there_are_partitions(overlay: Overlay) -> None:
    """More of them would carry nothing."""
    variables = overlay.environment(overlay.service_container("gateway"))

    assert variables["INGESTION_STREAMS"] == variables["PARTITIONS"]
