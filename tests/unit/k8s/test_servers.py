"""The servers of production in a cluster: three that agree, on different nodes, and what their programs need."""

import json
import math
import re

import pytest

from tests.unit.k8s.manifests import ROOT, Overlay, pod_spec, pod_template, rendered, the_container
from tests.unit.k8s.test_scaling import bytes_of

CLUSTERS = ("mongodb", "rabbitmq")
_FOLDER = ROOT / "k8s/servers"


def test_production_inside_is_production_and_its_servers() -> None:
    """Nothing is changed and nothing added, so what holds for both holds for it."""

    def documents(*names: str) -> list[str]:
        return sorted(json.dumps(each, sort_keys=True) for name in names for each in rendered(name).manifests)

    assert documents("prod-inside") == documents("prod", "../servers")


def test_production_looks_for_its_servers_where_they_are(prod: Overlay, servers: Overlay) -> None:
    """In their namespace, and at ports that they have."""
    (namespace,) = servers.of_kind("Namespace")
    for server, port in (("mongodb", 27017), ("rabbitmq", 5672), ("redis", 6379)):
        (rule,) = prod.of_kind("NetworkPolicy")[f"to-{server}"]["spec"]["egress"]

        assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]
        assert [each["port"] for each in rule["ports"]] == [port]
        assert port in {each["port"] for each in servers.of_kind("Service")[server]["spec"]["ports"]}


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_cluster_outlives_the_loss_of_a_node(servers: Overlay, name: str) -> None:
    """Three members on three nodes, of which people may take one at a time."""
    workload = servers.of_kind("StatefulSet")[name]
    labels = {"app.kubernetes.io/name": name}
    spec, budget = pod_spec(workload), servers.of_kind("PodDisruptionBudget")[name]["spec"]

    (apart,) = spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (zones,) = spec["topologySpreadConstraints"]

    assert workload["spec"]["replicas"] == 3
    assert apart == {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}
    assert (zones["topologyKey"], zones["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "ScheduleAnyway")
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
    assert workload["spec"]["podManagementPolicy"] == "Parallel"
    assert [each["metadata"]["name"] for each in workload["spec"]["volumeClaimTemplates"]] == ["data"]


@pytest.mark.parametrize("name", [*CLUSTERS, "redis"])
def test_a_server_that_is_there_may_not_be_pushed_aside(servers: Overlay, name: str) -> None:
    """A cluster's members reserve all the memory that they may take; a cache may be started anew elsewhere."""
    resources = the_container(servers.workloads()[name])["resources"]

    assert (resources["requests"]["memory"] == resources["limits"]["memory"]) == (name in CLUSTERS)


@pytest.mark.parametrize(("name", "measured"), [("mongodb", "memory_mongodb"), ("rabbitmq", "memory_rabbitmq")])
def test_a_server_has_more_memory_than_was_measured(servers: Overlay, name: str, measured: str) -> None:
    """The README's benchmark has it, in megabytes, with everything on one machine."""
    found = re.search(rf"\| {measured} \| ([0-9,]+) \| MB", (ROOT / "README.md").read_text())
    assert found is not None

    memory_bytes = bytes_of(the_container(servers.of_kind("StatefulSet")[name])["resources"]["requests"]["memory"])

    assert memory_bytes >= 1.5 * int(found[1].replace(",", "")) * 1_000_000


def test_services_lead_to_ports_that_their_pods_have(servers: Overlay) -> None:
    """By the name of the port, to the pods of the server whose label the service has."""
    for service in servers.of_kind("Service").values():
        name = service["metadata"]["labels"]["app.kubernetes.io/name"]
        workload = servers.workloads()[name]
        ports = {each["name"]: each["containerPort"] for each in the_container(workload)["ports"]}

        assert service["spec"]["selector"].items() <= pod_template(workload)["metadata"]["labels"].items()
        assert all(ports[each["targetPort"]] == each["port"] for each in service["spec"]["ports"])
    for name in CLUSTERS:
        governing = servers.of_kind("StatefulSet")[name]["spec"]["serviceName"]
        spec = servers.of_kind("Service")[governing]["spec"]
        assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
    for name, workload in servers.workloads().items():
        assert pod_template(workload)["metadata"]["labels"]["app.kubernetes.io/name"] == name


def test_members_of_the_replica_set_are_the_pods_of_its_stateful_set(servers: Overlay) -> None:
    """By names that lead to them from the services' namespace too, in each program that names them."""
    workload = servers.of_kind("StatefulSet")["mongodb"]
    (namespace,) = servers.of_kind("Namespace")
    hosts = [f"mongodb-{number}.mongodb.{namespace}:27017" for number in range(workload["spec"]["replicas"])]
    environment = {each["name"]: each for each in the_container(servers.of_kind("Job")["mongodb-replica-set"])["env"]}

    assert environment["MEMBERS"]["value"].split(",") == hosts
    assert all(host in (_FOLDER / "mongodb/restore.sh").read_text() for host in hosts)
    assert all(host.split(".")[0] in (_FOLDER / "mongodb/backup.sh").read_text() for host in hosts)


def test_programs_are_told_the_variables_that_they_read(servers: Overlay) -> None:
    """No more and no fewer, and each is in the folder that is mounted."""
    (programs,) = [name for name in servers.of_kind("ConfigMap") if name.startswith("mongodb-programs")]
    files = servers.of_kind("ConfigMap")[programs]["data"]
    own = {"MEMBERS", "HOST"}
    for name, file in (
        ("mongodb-replica-set", "replica-set.js"),
        ("mongodb-backup", "backup.sh"),
        ("mongodb-restore", "restore.sh"),
    ):
        container = the_container(servers.workloads()[name])
        read = set(re.findall(r"process\.env\.([A-Z_]+)|\$\{?([A-Z_]{3,})\b", files[file]))
        told = {each["name"] for each in container["env"]} - {"HOME"}

        assert [*container["command"], *container.get("args", [])][-1] == f"/programs/{file}"
        assert {first or second for first, second in read} - (own if file.endswith(".sh") else set()) == told


def test_servers_and_their_jobs_are_of_one_version(servers: Overlay, dev: Overlay) -> None:
    """Of MongoDB everywhere; of the broker the same as on one node, with its management interface."""
    images = {name: container["image"] for name, container in servers.containers()}
    single = {name: container["image"] for name, container in dev.containers()}

    assert {images[name] for name in images if name.startswith("mongodb")} == {single["mongodb"]}
    assert images["rabbitmq"] == f"{single['rabbitmq']}-management"
    assert images["redis"] == single["redis"]


def test_a_restore_never_begins_by_itself(servers: Overlay) -> None:
    """A backup does, and neither runs twice at a time."""
    restore, backup = (servers.of_kind("CronJob")[f"mongodb-{name}"]["spec"] for name in ("restore", "backup"))

    assert (restore["suspend"], backup.get("suspend", False)) == (True, False)
    assert {restore["concurrencyPolicy"], backup["concurrencyPolicy"]} == {"Forbid"}


def test_the_job_that_makes_the_replica_set_may_be_applied_again(servers: Overlay) -> None:
    """It goes by itself, for a job that is there cannot be changed."""
    assert servers.of_kind("Job")["mongodb-replica-set"]["spec"]["ttlSecondsAfterFinished"] <= 600


def test_the_cache_drops_what_is_old_before_it_is_ended(servers: Overlay) -> None:
    """It keeps nothing on disk, and may fill three quarters of its memory."""
    container = the_container(servers.of_kind("Deployment")["redis"])
    settings = dict(re.findall(r"^(\S+) (.+)$", "\n".join(container["args"]), re.MULTILINE))

    limit_bytes = int(settings["maxmemory"].removesuffix("mb")) << 20

    assert settings["maxmemory-policy"] == "allkeys-lru"
    assert (settings["save"], settings["appendonly"]) == ('""', "no")
    assert math.isclose(limit_bytes, 0.75 * bytes_of(container["resources"]["limits"]["memory"]))
