"""The broker as three nodes: that they make one cluster and stay one, and how a node leaves it."""

import re
import subprocess
from pathlib import Path

import pytest

from common.topology import ANALYTICS_QUEUE_BYTES, BILLING_QUEUE_BYTES
from tests.unit.k8s.manifests import ROOT, SERVERS, Overlay, pod_spec, rendered, the_container
from tests.unit.k8s.test_scaling import bytes_of

_FOLDER = ROOT / "k8s/servers/rabbitmq"
_NODE_PORTS = {"epmd": 4369, "distribution": 25672}


def broker_settings(servers: Overlay) -> dict[str, str]:
    """What the broker is told, by key."""
    (settings,) = [each for name, each in servers.of_kind("ConfigMap").items() if name.startswith("rabbitmq-settings")]
    lines = settings["data"]["gridmesh.conf"].splitlines()
    return dict(line.split(" = ") for line in lines if line and not line.startswith("#"))


def test_broker_nodes_find_each_other_by_names_that_stay(servers: Overlay) -> None:
    """Each by its pod's name under the headless service; a plugin that the settings rely on is enabled."""
    workload = servers.of_kind("StatefulSet")["rabbitmq"]
    environment = {each["name"]: each for each in the_container(workload)["env"]}
    names = list(environment)

    assert environment["RABBITMQ_NODENAME"]["value"] == "rabbit@$(POD_NAME).rabbitmq-nodes.$(POD_NAMESPACE)"
    assert environment["POD_NAME"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    # Only variables that stand before it are put in.
    assert names.index("RABBITMQ_NODENAME") > max(names.index("POD_NAME"), names.index("POD_NAMESPACE"))
    assert workload["spec"]["serviceName"] == "rabbitmq-nodes"
    assert (
        _NODE_PORTS.items()
        <= {
            each["name"]: each["port"] for each in servers.of_kind("Service")["rabbitmq-nodes"]["spec"]["ports"]
        }.items()
    )
    backend = broker_settings(servers)["cluster_formation.peer_discovery_backend"]
    assert f"rabbitmq_peer_discovery_{backend}" in (_FOLDER / "enabled_plugins").read_text()


def test_every_queue_has_a_member_on_each_node(servers: Overlay) -> None:
    """Also one that is declared while nodes are missing."""
    settings = broker_settings(servers)
    replicas = str(servers.of_kind("StatefulSet")["rabbitmq"]["spec"]["replicas"])

    assert settings["quorum_queue.initial_cluster_size"] == replicas
    assert settings["quorum_queue.continuous_membership_reconciliation.target_group_size"] == replicas
    assert settings["quorum_queue.continuous_membership_reconciliation.enabled"] == "true"
    assert settings["cluster_formation.target_cluster_size_hint"] == replicas
    assert settings["cluster_partition_handling"] == "pause_minority"


def test_the_disk_of_a_broker_node_holds_all_that_may_wait(servers: Overlay, prod: Overlay) -> None:
    """Every queue of every partition full, twice, for their files go only as wholes; and the watermark below it."""
    (claim,) = servers.of_kind("StatefulSet")["rabbitmq"]["spec"]["volumeClaimTemplates"]
    free_bytes = int(broker_settings(servers)["disk_free_limit.absolute"].removesuffix("GB")) * 10**9

    queues_bytes = prod.config("gateway").partitions * (BILLING_QUEUE_BYTES + ANALYTICS_QUEUE_BYTES)

    assert bytes_of(claim["spec"]["resources"]["requests"]["storage"]) >= 2 * queues_bytes + free_bytes


@pytest.mark.parametrize("name", ["dev", SERVERS])
def test_publishers_wait_before_a_broker_is_killed_for_its_memory(name: str) -> None:
    """At half of its container's limit: a relative watermark would be reckoned from the memory of the whole machine."""
    part = rendered(name)
    settings = broker_settings(part)
    limit = the_container(part.of_kind("StatefulSet")["rabbitmq"])["resources"]["limits"]["memory"]

    assert "vm_memory_high_watermark.relative" not in settings
    assert bytes_of(settings["vm_memory_high_watermark.absolute"].removesuffix("B")) == bytes_of(limit) / 2


def test_a_broker_node_leaves_when_the_others_can_do_without_it(servers: Overlay) -> None:
    """It waits for that and hands over within the grace of its pod."""
    spec = pod_spec(servers.of_kind("StatefulSet")["rabbitmq"])
    program = the_container(servers.of_kind("StatefulSet")["rabbitmq"])["lifecycle"]["preStop"]["exec"]["command"][-1]

    steps = re.findall(r"^rabbitmq-upgrade (\w+) --timeout (\d+)$", program, re.MULTILINE)

    assert [step for step, _ in steps] == ["await_online_quorum_plus_one", "drain"]
    assert sum(int(seconds) for _, seconds in steps) + 60 <= spec["terminationGracePeriodSeconds"]


@pytest.mark.parametrize(
    ("pod", "has_data", "running", "seed"),
    [
        pytest.param("rabbitmq-0", False, "", None, id="a first start"),
        pytest.param("rabbitmq-0", False, "rabbitmq-2", "rabbitmq-2", id="a new volume beside a cluster"),
        pytest.param("rabbitmq-0", True, "rabbitmq-1", None, id="a restart"),
        pytest.param("rabbitmq-1", False, "rabbitmq-2", None, id="another one, which never begins a cluster"),
    ],
)
def test_a_broker_node_never_begins_a_second_cluster(
    tmp_path: Path, pod: str, has_data: bool, running: str, seed: str | None
) -> None:
    """Its start program is run as it stands, in folders of the test and with programs that only answer."""
    domain = "rabbitmq-nodes.gridmesh-servers"
    for folder in ("settings", "etc/conf.d", "var/mnesia", "home"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "settings/gridmesh.conf").write_text("cluster_name = gridmesh\n")
    if has_data:
        (tmp_path / f"var/mnesia/rabbit@{pod}.{domain}").mkdir()
    program = (_FOLDER / "start.sh").read_text()
    for real, here in (("/settings", "settings"), ("/etc/rabbitmq", "etc"), ("/var/lib/rabbitmq", "var")):
        program = program.replace(real, str(tmp_path / here))
    answers = (
        f'rabbitmq-diagnostics() {{ [[ $* == *"@{running or "nobody"}.{domain} "*check_running ]]; }}\n'
        'exec() { echo "$@"; }\n'
    )

    ended = subprocess.run(  # noqa: S603 - our own program, with programs of the test
        ["/bin/bash", "-c", answers + program],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path / "home"),
            "POD_NAME": pod,
            "ERLANG_COOKIE": "secret",
            "RABBITMQ_NODENAME": f"rabbit@{pod}.{domain}",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    added = tmp_path / "etc/conf.d/95-seed.conf"
    assert ended.stdout == "docker-entrypoint.sh rabbitmq-server\n"
    assert (tmp_path / "etc/conf.d/90-gridmesh.conf").read_text() == "cluster_name = gridmesh\n"
    assert (tmp_path / "home/.erlang.cookie").read_text() == "secret"
    assert (tmp_path / "home/.erlang.cookie").stat().st_mode & 0o777 == 0o600
    assert added.exists() == (seed is not None)
    if seed:
        assert added.read_text() == f"cluster_formation.k8s.seed_node = rabbit@{seed}.{domain}\n"
