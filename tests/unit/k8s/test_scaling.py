"""How large the mesh is, and who decides that."""

import re

import pytest

from common.topology import ANALYTICS_QUEUE_BYTES, BILLING_QUEUE_BYTES, event_queue_name, queue_name
from ingestion.config import IngestionConfig
from tests.unit.k8s.manifests import ROOT, SERVICES, Overlay, pod_spec, rendered
from tests.unit.k8s.sizing import CPU_MICROSECONDS, FOLDED_PER_SECOND, FRAME, Size

_MEBIBYTE = 1 << 20
_UNITS = {"Mi": _MEBIBYTE, "Gi": 1 << 30}
# The share of the reserved CPU at which autoscalers add a replica.
_SCALED_AT = 0.7
# Of the broker's management interface, in queues.
_LARGEST_PAGE = 500
_QUEUE_BYTES = {"billing": BILLING_QUEUE_BYTES, "analytics": ANALYTICS_QUEUE_BYTES}


def bytes_of(quantity: str) -> int:
    """A quantity of memory in bytes."""
    return int(quantity[:-2]) * _UNITS[quantity[-2:]]


def cores_of(quantity: str | int) -> float:
    """A quantity of CPU in cores."""
    text = str(quantity)
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


@pytest.mark.parametrize("service", SERVICES)
def test_production_has_one_autoscaler_a_service_and_at_least_two_replicas(prod: Overlay, service: str) -> None:
    """Two that scale the same deployment would fight."""
    scalers = [each["spec"] for each in prod.manifests if each["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}]

    (mine,) = [each for each in scalers if each["scaleTargetRef"]["name"] == service]

    assert min(each for key, each in mine.items() if key.startswith("minReplica")) >= 2


@pytest.mark.parametrize("service", SERVICES)
def test_no_manifest_says_how_many_replicas_of_a_service_there_are(overlay: Overlay, service: str) -> None:
    """Else applying it would take back what the autoscaler has decided."""
    assert "replicas" not in overlay.of_kind("Deployment")[service]["spec"]


@pytest.mark.parametrize("service", ["billing", "analytics"])
def test_consumers_are_scaled_by_their_own_queues(prod: Overlay, service: str) -> None:
    """All of them, however many partitions there will be, and none else."""
    scaled = prod.of_kind("ScaledObject")[service]["spec"]
    (trigger,) = [each["metadata"] for each in scaled["triggers"] if each["type"] == "rabbitmq"]
    pattern = re.compile(trigger["queueName"])

    others = [queue_name(each, 0) for each in ("billing", "analytics") if each != service]

    assert all(pattern.search(queue_name(service, partition)) for partition in (0, 7, 1023))
    assert not any(pattern.search(name) for name in (*others, event_queue_name(service), "energy.dead-letters"))


@pytest.mark.parametrize("service", ["billing", "analytics"])
def test_autoscalers_see_every_queue_of_the_largest_page_that_the_broker_gives(prod: Overlay, service: str) -> None:
    """Without a size it is a hundred, and the broker refuses to give more than 500; partitions stay below it."""
    scaled = prod.of_kind("ScaledObject")[service]["spec"]
    (trigger,) = [each["metadata"] for each in scaled["triggers"] if each["type"] == "rabbitmq"]

    assert int(trigger["pageSize"]) == _LARGEST_PAGE
    assert scaled["maxReplicaCount"] <= prod.config(service).partitions <= _LARGEST_PAGE


@pytest.mark.parametrize("service", ["billing", "analytics"])
def test_there_are_never_more_consumers_than_partitions(prod: Overlay, service: str) -> None:
    """One more would lease nothing."""
    assert prod.of_kind("ScaledObject")[service]["spec"]["maxReplicaCount"] <= prod.config(service).partitions


@pytest.mark.parametrize("service", ["billing", "analytics"])
def test_replicas_are_added_long_before_a_queue_is_full(prod: Overlay, service: str) -> None:
    """At a quarter of it, even if all that waits were in one queue and every batch as large as it may be."""
    scaled = prod.of_kind("ScaledObject")[service]["spec"]
    (trigger,) = [each["metadata"] for each in scaled["triggers"] if each["type"] == "rabbitmq"]

    waiting_bytes = int(trigger["value"]) * IngestionConfig.load({}).batch_maximum_bytes

    assert waiting_bytes <= _QUEUE_BYTES[service] / 4


def measured_bytes(service: str) -> list[int]:
    """The memory of a service at the peaks of the benchmark's floods: that of the README's table, then later ones."""
    found = re.findall(
        rf"\| memory_{service} \| ([0-9,]+) \| MB|`memory_{service}` (?:was )?([0-9,]+) MB",
        (ROOT / "README.md").read_text(),
    )
    return [int((table or later).replace(",", "")) * 1_000_000 for table, later in found]


@pytest.mark.parametrize("service", SERVICES)
def test_production_reserves_the_memory_that_was_measured(prod: Overlay, service: str) -> None:
    """In the table and in the last run that tells of it; half as much again may be taken, and more than ever was."""
    resources = prod.service_container(service)["resources"]

    every = measured_bytes(service)
    in_force = max(every[0], every[-1])

    assert bytes_of(resources["requests"]["memory"]) >= in_force
    assert bytes_of(resources["limits"]["memory"]) >= max(1.5 * in_force, 1.25 * max(every))


@pytest.mark.parametrize("service", SERVICES)
def test_production_reserves_the_cpu_that_a_million_devices_take(prod: Overlay, service: str) -> None:
    """With as few replicas as there are then, by what a reading was measured to cost, below where another one is added.

    No replica reserves more than a core, for it is one process. Of billing what is measured is how much one folds.
    """
    size = Size(1_000_000, FRAME)
    microseconds = CPU_MICROSECONDS.get(service, 1e6 / FOLDED_PER_SECOND)

    cores = size.readings_per_second * microseconds / 1e6 / size.replicas(service)
    reserved = cores_of(prod.service_container(service)["resources"]["requests"]["cpu"])

    assert cores <= _SCALED_AT * reserved
    assert reserved <= 1


@pytest.mark.parametrize("service", SERVICES)
def test_replicas_are_added_at_one_share_of_the_reserved_cpu(prod: Overlay, service: str) -> None:
    """The same for all."""
    scaled = {**prod.of_kind("HorizontalPodAutoscaler"), **prod.of_kind("ScaledObject")}[service]["spec"]

    shares = [each["resource"]["target"]["averageUtilization"] for each in scaled.get("metrics", [])]
    shares += [int(each["metadata"]["value"]) for each in scaled.get("triggers", []) if each["type"] == "cpu"]

    assert shares == [round(100 * _SCALED_AT)]


@pytest.mark.parametrize("service", SERVICES)
def test_replicas_of_production_are_spread(prod: Overlay, service: str) -> None:
    """Over nodes, each revision of each service by itself; over zones where there are any.

    Neither is demanded: where a full node keeps a new replica out, a roll that takes no old one first would never end.
    """
    spec = pod_spec(prod.of_kind("Deployment")[service])
    labels = prod.of_kind("Deployment")[service]["spec"]["template"]["metadata"]["labels"]

    host, zone = spec["topologySpreadConstraints"]
    apart = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]

    assert (host["topologyKey"], host["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert (zone["topologyKey"], zone["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "ScheduleAnyway")
    assert [each["podAffinityTerm"]["topologyKey"] for each in apart] == ["kubernetes.io/hostname"]
    for each in (host, zone, apart[0]["podAffinityTerm"]):
        assert each["labelSelector"]["matchLabels"].items() <= labels.items()
        assert set(each["matchLabelKeys"]) - {"pod-template-hash"} <= labels.keys()


def test_one_node_has_the_servers_inside_and_production_has_not() -> None:
    """There they are clusters that somebody runs."""
    inside = {name: set(rendered(name).workloads()) - set(SERVICES) for name in ("dev", "prod")}

    assert inside == {
        "dev": {"mongodb", "rabbitmq", "redis", "billing-run", "prepare"},
        "prod": {"billing-run", "prepare"},
    }


def test_one_node_is_small(dev: Overlay) -> None:
    """Everything together reserves less than a core and 2.5 GiB."""
    requests = [container["resources"]["requests"] for _, container in dev.containers()]

    assert sum(cores_of(each["cpu"]) for each in requests) < 1
    assert sum(bytes_of(each["memory"]) for each in requests) < 2560 * _MEBIBYTE


def test_figures_of_every_service_are_collected(prod: Overlay) -> None:
    """The monitor selects each of them and names a port that they have."""
    (monitor,) = prod.of_kind("ServiceMonitor").values()
    selected = monitor["spec"]["selector"]["matchLabels"]
    (endpoint,) = monitor["spec"]["endpoints"]

    assert prod.of_kind("Service").keys() >= set(SERVICES)
    for service in prod.of_kind("Service").values():
        assert selected.items() <= service["metadata"]["labels"].items()
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        assert monitor["spec"]["jobLabel"] in service["metadata"]["labels"]
