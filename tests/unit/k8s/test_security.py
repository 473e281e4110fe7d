"""That no container may do more than it needs."""

import re

import pytest

from tests.unit.k8s.manifests import ROOT, SERVICES, Overlay, pod_spec

_VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
_ADDRESS_WITH_PASSWORD = re.compile(r"://[^\s/@]*:[^\s/@$][^\s/@]*@")


def test_every_container_is_restricted(part: Overlay) -> None:
    """By the restricted pod security standard, and with a root file system that cannot be written."""
    assert part.workloads()
    for _, container in part.containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_no_pod_is_root_or_has_a_token(part: Overlay) -> None:
    """A number for the user, the default filter of system calls, and nothing of the node."""
    for workload in part.workloads().values():
        spec = pod_spec(workload)
        context = spec["securityContext"]

        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["runAsGroup"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec.keys() & {"hostNetwork", "hostPID", "hostIPC"} == set()
        assert all(volume.keys() & {"hostPath"} == set() for volume in spec.get("volumes", []))
        assert len(spec["containers"]) == 1
        assert "initContainers" not in spec


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_an_account_of_its_own_without_a_token(overlay: Overlay, service: str) -> None:
    """Nothing is bound to it."""
    account = overlay.of_kind("ServiceAccount")[service]

    assert pod_spec(overlay.of_kind("Deployment")[service])["serviceAccountName"] == service
    assert account["automountServiceAccountToken"] is False
    assert {each["kind"] for each in overlay.manifests} & {"RoleBinding", "ClusterRoleBinding"} == set()


def test_the_namespace_refuses_what_is_not_restricted(part: Overlay) -> None:
    """So nothing that is added later is let in either."""
    (namespace,) = part.of_kind("Namespace").values()

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_images_are_named_by_exact_versions(part: Overlay) -> None:
    """Ours by the project's own."""
    assert _VERSION is not None
    images = {name: container["image"] for name, container in part.containers()}

    assert {images[service] for service in SERVICES if service in images} <= {f"gridmesh:{_VERSION[1]}"}
    assert all(re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+(-management)?", image) for image in images.values()), images


def test_the_manifests_hold_no_secret(part: Overlay) -> None:
    """Only references to them: no value of a variable or setting is a password or an address with one."""
    assert part.of_kind("Secret") == {}
    for _, container in part.containers():
        for each in container.get("env", []):
            if re.search(r"PASS|KEY|URL|USER|COOKIE", each["name"]) and each["name"] != "RABBITMQ_USE_LONGNAME":
                assert each.keys() == {"name", "valueFrom"}
    for settings in part.of_kind("ConfigMap").values():
        assert not _ADDRESS_WITH_PASSWORD.search("".join(settings["data"].values()))


def test_an_address_with_a_password_would_be_found() -> None:
    """One that is put together of variables is none."""
    assert _ADDRESS_WITH_PASSWORD.search("AMQP_URL=amqp://user:password@rabbitmq:5672/")
    assert not _ADDRESS_WITH_PASSWORD.search("`mongodb://user:${password}@mongodb:27017/`, grpc://host:1 a@b")


def test_memory_is_limited_and_nothing_is_throttled(part: Overlay) -> None:
    """Every container reserves what it needs; one that takes more CPU than that only takes what is idle."""
    for _, container in part.containers():
        resources = container["resources"]

        assert resources["requests"].keys() == {"cpu", "memory"}
        assert resources["limits"].keys() == {"memory"}
