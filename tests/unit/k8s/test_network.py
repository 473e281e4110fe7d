"""Who may speak to whom: the arrows that the code needs, and no other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest

from tests.unit.k8s.manifests import ROOT, SERVICES, Manifest, Overlay, pod_template, rendered

_OURS = "gridmesh"
_OTLP_PORT = 4318
_SERVERS = {"mongodb": 27017, "rabbitmq": 5672, "redis": 6379}
# What a service's code does where it needs a server or a peer.
_SIGNS = {"mongodb": "open_database(", "rabbitmq": "config.amqp_url", "redis": "open_redis("}
_PUBLIC = ("gateway", "billing", "analytics")
# What servers that are several, and what keeps them, need among themselves.
_AMONG_SERVERS = {
    ("mongodb", "mongodb", 27017),
    ("mongodb-replica-set", "mongodb", 27017),
    ("mongodb-backup", "mongodb", 27017),
    ("mongodb-restore", "mongodb", 27017),
    ("rabbitmq", "rabbitmq", 4369),
    ("rabbitmq", "rabbitmq", 25672),
    ("scaler", "rabbitmq", 15672),
    ("prometheus", "rabbitmq", 15692),
}


@dataclass(frozen=True)
class Party:
    """A pod as a policy sees it."""

    name: str
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    namespace_labels: Mapping[str, str] = field(default_factory=dict, hash=False)


def outside(name: str, namespace: str, labels: Mapping[str, str] | None = None, *, is_client: bool = False) -> Party:
    """A pod that is not ours."""
    labelled = {"gridmesh/clients": "true"} if is_client else {}
    return Party(name, namespace, labels or {}, {"kubernetes.io/metadata.name": namespace, **labelled})


CLIENT = outside("client", "fleet", is_client=True)
STRANGER = outside("stranger", "elsewhere", {"app.kubernetes.io/name": "gateway"})
PROMETHEUS = outside("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"})
COLLECTOR = outside("collector", "monitoring", {"app.kubernetes.io/name": "opentelemetry-collector"})
NEIGHBOUR = outside("neighbour", "monitoring")
NAMES = outside("names", "kube-system", {"k8s-app": "kube-dns"})
SCALER = outside("scaler", "keda", {"app": "keda-operator"})
MANAGED = outside("managed", "gridmesh-servers")
INTRUDER = Party("intruder", _OURS, {}, {"kubernetes.io/metadata.name": _OURS})
OTHERS = (CLIENT, STRANGER, PROMETHEUS, COLLECTOR, NEIGHBOUR, NAMES, SCALER, MANAGED, INTRUDER)


class Policies:
    """The network policies of an overlay, answering as a cluster would that enforces them."""

    def __init__(self, overlay: Overlay) -> None:
        self._policies = [each for each in overlay.manifests if each["kind"] == "NetworkPolicy"]
        labels = {
            name: {"kubernetes.io/metadata.name": name, **namespace["metadata"]["labels"]}
            for name, namespace in overlay.of_kind("Namespace").items()
        }
        self._namespaces = set(labels)
        self.pods = [
            Party(
                name,
                workload["metadata"]["namespace"],
                pod_template(workload)["metadata"]["labels"],
                labels[workload["metadata"]["namespace"]],
            )
            for name, workload in overlay.workloads().items()
        ]
        self.ports = {
            name: {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            for name, container in overlay.containers()
        }

    def arrows(self) -> set[tuple[str, str, int]]:
        """Every (from, to, port) that is let through, over all parties and all ports that anybody has."""
        ports = {port for each in self.ports.values() for port in each.values()} | {
            53,
            4369,
            15672,
            15692,
            25672,
            _OTLP_PORT,
            *_SERVERS.values(),
        }
        parties = (*self.pods, *OTHERS)
        return {
            (source.name, target.name, port)
            for source, target, port in product(parties, parties, ports)
            if not self._namespaces.isdisjoint({source.namespace, target.namespace})
            and self._lets("Egress", source, target, target, port)
            and self._lets("Ingress", target, source, target, port)
        }

    def _lets(self, direction: str, here: Party, there: Party, listener: Party, port: int) -> bool:
        if here.namespace not in self._namespaces:
            return True
        applied = [
            each["spec"]
            for each in self._policies
            if each["metadata"]["namespace"] == here.namespace
            and direction in each["spec"]["policyTypes"]
            and _selects(each["spec"]["podSelector"], here.labels)
        ]
        rules = [rule for spec in applied for rule in spec.get(direction.lower(), [])]
        peers = "to" if direction == "Egress" else "from"
        return not applied or any(
            self._is_port(rule, listener, port) and any(_is_peer(peer, there, here.namespace) for peer in rule[peers])
            for rule in rules
        )

    def _is_port(self, rule: Manifest, listener: Party, port: int) -> bool:
        named = self.ports.get(listener.name, {}) if listener.namespace in self._namespaces else {}
        return any(named.get(each["port"], each["port"]) == port for each in rule["ports"])


def _selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    expressions: list[Any] = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def _is_peer(peer: Manifest, party: Party, namespace: str) -> bool:
    assert peer.keys() <= {"podSelector", "namespaceSelector"}
    if "namespaceSelector" in peer:
        in_namespace = _selects(peer["namespaceSelector"], party.namespace_labels)
    else:
        in_namespace = party.namespace == namespace
    return in_namespace and _selects(peer.get("podSelector", {}), party.labels)


def needed(overlay: Overlay) -> Iterator[tuple[str, str, int]]:
    """The arrows that the services' own code draws, and those of the people and programs that use and watch them."""
    grpc = {service: overlay.config(service).grpc_port for service in SERVICES}
    for service in SERVICES:
        application = "".join(path.read_text() for path in (ROOT / service).rglob("*.py"))
        for peer, port in grpc.items():
            if f"open_channel(config.{peer}_address" in application:
                yield service, peer, port
        for server, port in _SERVERS.items():
            if _SIGNS[server] in application:
                yield service, server if server in overlay.workloads() else MANAGED.name, port
        if "open_observability(" in application:
            yield service, COLLECTOR.name, _OTLP_PORT
        yield PROMETHEUS.name, service, overlay.config(service).metrics_port
    yield from needed_by_jobs(overlay)
    for service in _PUBLIC:
        yield CLIENT.name, service, grpc[service]
    for pod in (*overlay.workloads(), INTRUDER.name):
        yield pod, NAMES.name, 53
    if "gridmesh-servers" in overlay.of_kind("Namespace"):
        yield MANAGED.name, NAMES.name, 53
        yield from _AMONG_SERVERS


def needed_by_jobs(overlay: Overlay) -> Iterator[tuple[str, str, int]]:
    """The arrows of what the calendar or a person starts."""
    yield "billing-run", "billing", overlay.config("billing").grpc_port
    for server in ("mongodb", "rabbitmq"):
        yield "prepare", server if server in overlay.workloads() else MANAGED.name, _SERVERS[server]


@pytest.mark.parametrize("name", ["dev", "prod", "prod-inside"])
def test_just_the_arrows_of_the_code_are_let_through(name: str) -> None:
    """Over every pair of parties and every port, strangers and a stray pod in each namespace among them."""
    overlay = rendered(name)

    assert Policies(overlay).arrows() == set(needed(overlay))


def test_the_code_draws_the_arrows_of_the_design(dev: Overlay) -> None:
    """Said once more in full, so that a new one is noticed."""
    drawn = {(source, target) for source, target, port in needed(dev) if port != 53 and source in SERVICES}

    assert drawn == {
        ("gateway", "ingestion"),
        ("gateway", "mongodb"),
        ("ingestion", "rabbitmq"),
        ("billing", "gateway"),
        ("billing", "mongodb"),
        ("billing", "rabbitmq"),
        ("billing", "redis"),
        ("analytics", "gateway"),
        ("analytics", "billing"),
        ("analytics", "mongodb"),
        ("analytics", "rabbitmq"),
        *product(SERVICES, ["collector"]),
    }


def test_everything_is_forbidden_first(part: Overlay) -> None:
    """In both directions, for every pod that there is or will be."""
    assert part.of_kind("NetworkPolicy")["default-deny"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_nothing_is_open_to_the_world(part: Overlay, kind: str) -> None:
    """While callers have no identity there is no way in from outside of the cluster."""
    types = {each["spec"].get("type", "ClusterIP") for each in part.of_kind("Service").values()}

    assert kind not in types
    assert part.of_kind("Ingress") == {}
