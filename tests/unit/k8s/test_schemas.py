"""Whether a cluster would take the manifests: its schemas, of two versions, and those of the custom resources."""

import copy
import json

import jsonschema
import kubernetes_validate
import pytest

from tests.unit.k8s.manifests import ROOT, Manifest, Overlay

# From the oldest in which every field that is used works by itself, to the newest there is.
VERSIONS = ("1.32", "1.37")
SCHEMAS = ROOT / "tests/unit/k8s/schemas"
CUSTOM = {path.stem: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}


def problems_of(manifest: Manifest, version: str) -> str | None:
    """What is wrong with a manifest, fields that do not exist included."""
    try:
        custom = CUSTOM.get(manifest["kind"].lower())
        if custom is None:
            kubernetes_validate.validate(manifest, version, strict=True)
        else:
            jsonschema.validate(manifest, custom)
    except jsonschema.ValidationError as invalid:
        return f"{manifest['kind']} {manifest['metadata']['name']}: {invalid.message}"
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_in_the_oldest_and_the_newest_kubernetes(part: Overlay, version: str) -> None:
    """By the published schemas, of which none is missing."""
    problems = [problems_of(manifest, version) for manifest in part.manifests]

    assert [problem for problem in problems if problem] == []
    assert len(problems) > 20


@pytest.mark.parametrize("version", VERSIONS)
def test_a_misspelt_field_is_found(prod: Overlay, version: str) -> None:
    """In one of Kubernetes' own kinds and in custom ones."""
    found = []
    for kind in ("Deployment", "ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule"):
        manifest = copy.deepcopy(next(iter(prod.of_kind(kind).values())))
        manifest["spec"]["misspelt"] = 1
        found.append(problems_of(manifest, version))

    assert all(found)


def test_names_are_unique(part: Overlay) -> None:
    """No manifest replaces another one."""
    names = [(each["kind"], each["metadata"]["name"]) for each in part.manifests]

    assert len(names) == len(set(names))


def test_everything_is_in_one_namespace(part: Overlay) -> None:
    """The one that the manifests make."""
    (namespace,) = part.of_kind("Namespace")
    others = [each["metadata"].get("namespace") for each in part.manifests if each["kind"] != "Namespace"]

    assert set(others) == {namespace}


def test_one_node_needs_nothing_that_is_not_in_kubernetes_itself(dev: Overlay) -> None:
    """Custom resources are only for production, where their operators are installed."""
    assert {each["kind"].lower() for each in dev.manifests} & CUSTOM.keys() == set()
