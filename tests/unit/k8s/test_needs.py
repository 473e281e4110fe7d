"""What production with its servers inside asks of a cluster: the page has the sums of the manifests."""

from collections.abc import Mapping

import pytest

from tests.unit.k8s.manifests import ROOT, Manifest, Overlay, rendered, the_container
from tests.unit.k8s.test_scaling import bytes_of, cores_of

_SIZES = (ROOT / "k8s/SIZES.md").read_text()


@pytest.fixture(scope="module")
def inside() -> Overlay:
    """Production and its servers."""
    return rendered("prod-inside")


def replicas(overlay: Overlay, least_or_most: str) -> Mapping[str, int]:
    """How many pods each workload has, where autoscalers decide as few or as many as they may; jobs have none."""
    decided = {
        each["spec"]["scaleTargetRef"]["name"]: count
        for each in overlay.manifests
        if each["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}
        for key, count in each["spec"].items()
        if key.startswith(f"{least_or_most}Replica")
    }
    return {
        name: decided.get(name, each["spec"].get("replicas", 1))
        for kind in ("Deployment", "StatefulSet")
        for name, each in overlay.of_kind(kind).items()
    }


def reserved(overlay: Overlay, counts: Mapping[str, int]) -> tuple[float, float]:
    """Cores and GiB that so many pods of each workload reserve."""

    def of(name: str) -> Manifest:
        requests: Manifest = the_container(overlay.workloads()[name])["resources"]["requests"]
        return requests

    cores = sum(count * cores_of(of(name)["cpu"]) for name, count in counts.items())
    memory_bytes = sum(count * bytes_of(of(name)["memory"]) for name, count in counts.items())
    return cores, memory_bytes / (1 << 30)


@pytest.mark.parametrize("least_or_most", ["min", "max"])
def test_the_page_says_what_all_pods_reserve(inside: Overlay, least_or_most: str) -> None:
    """With as few replicas as autoscalers keep, and with as many as they may make."""
    counts = replicas(inside, least_or_most)
    cores, gibibytes = reserved(inside, counts)
    words = {"min": "as few as autoscalers keep", "max": "as many as they make"}[least_or_most]

    assert f"| {words} | {sum(counts.values())} | {cores:.1f} | {gibibytes:.1f} GiB |" in _SIZES


def test_the_page_says_which_pods_there_are_at_first(inside: Overlay) -> None:
    """By workload."""
    counts = replicas(inside, "min")
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))

    assert f"({told})" in " ".join(_SIZES.split())


def test_the_page_says_which_volumes_are_claimed(inside: Overlay) -> None:
    """Each with its size, and their sum."""
    claims = {
        name: (each["spec"]["replicas"], claim["spec"]["resources"]["requests"]["storage"])
        for name, each in inside.of_kind("StatefulSet").items()
        for claim in each["spec"]["volumeClaimTemplates"]
    }
    claims |= {
        name: (1, each["spec"]["resources"]["requests"]["storage"])
        for name, each in inside.of_kind("PersistentVolumeClaim").items()
    }
    told = ", ".join(f"{count} of {size}B ({name})" for name, (count, size) in sorted(claims.items()))
    together_bytes = sum(count * bytes_of(size) for count, size in claims.values())

    assert f"{told}, together {together_bytes >> 30:,} GiB" in " ".join(_SIZES.split()).replace(" GiB (", "GiB (")


def test_the_page_says_what_a_job_reserves_while_it_runs(inside: Overlay) -> None:
    """The largest of them."""
    requests = [the_container(each)["resources"]["requests"] for each in inside.of_kind("CronJob").values()]
    cores = max(cores_of(each["cpu"]) for each in requests)
    memory_bytes = max(bytes_of(each["memory"]) for each in requests)

    assert f"at most {cores:g} cores and {memory_bytes >> 20} MiB" in " ".join(_SIZES.split())
