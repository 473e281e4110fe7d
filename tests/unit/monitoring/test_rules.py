"""The rules speak of figures that there are, and every alert says what it is about and what to do."""

from __future__ import annotations

import re

import pytest
import yaml
from grpc import StatusCode

from common.topology import CONSUMING_SERVICES
from tests.unit.k8s.manifests import Overlay, rendered
from tests.unit.monitoring.exported import SERVICES, ExportedMetric
from tests.unit.monitoring.rules import MONITORING, ROOT, RULE_FILES, Rule, alerts, groups, recording_rules, rules

_PAGE = (MONITORING / "README.md").read_text()
_RUNBOOK = (ROOT / "k8s/README.md").read_text()
_SECTIONS = "When an alert fires"
# What Prometheus adds to all that it collects, and what the parent of workers does.
_ADDED = {"job", "instance", "worker"}
_OF_PROMETHEUS = {"up"}
# What a cluster tells of itself, with the labels to choose by: kube-state-metrics, the kubelet, the broker's nodes.
_OF_CLUSTERS = {
    "kube_job_failed": {"namespace", "job_name", "condition"},
    "kube_cronjob_created": {"namespace", "cronjob"},
    "kube_cronjob_status_last_successful_time": {"namespace", "cronjob"},
    "kube_statefulset_replicas": {"namespace", "statefulset"},
    "kube_statefulset_status_replicas_ready": {"namespace", "statefulset"},
    "kubelet_volume_stats_available_bytes": {"namespace", "persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"namespace", "persistentvolumeclaim"},
    "rabbitmq_alarms_memory_used_watermark": set(),
    "rabbitmq_alarms_free_disk_space_watermark": set(),
    "rabbitmq_process_resident_memory_bytes": set(),
    "rabbitmq_resident_memory_limit_bytes": set(),
    "rabbitmq_disk_space_available_bytes": set(),
    "rabbitmq_disk_space_available_limit_bytes": set(),
}


@pytest.fixture(scope="module")
def prod() -> Overlay:
    """The overlay for production."""
    return rendered("prod")


def anchor(heading: str) -> str:
    """How a page's heading is linked to."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """What is said under each heading about alerts, by its anchor."""
    (about_alerts,) = re.findall(rf"^## {_SECTIONS}\n(.*?)^## ", _RUNBOOK, re.DOTALL | re.MULTILINE)
    parts = re.split(r"^### (.*)\n", about_alerts, flags=re.MULTILINE)[1:]
    return {anchor(heading): text for heading, text in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_a_rule_speaks_of_figures_that_are_exported_or_recorded_before_it(
    exported: tuple[ExportedMetric, ...], rule: Rule
) -> None:
    """A name that is misspelt would never match and never alert."""
    names = {name for metric in exported for name in metric.series_names}
    earlier = {one.name for one in recording_rules()}
    if not rule.is_alert:
        earlier = {one.name for one in recording_rules()[: [one.name for one in recording_rules()].index(rule.name)]}

    assert rule.metrics
    assert rule.metrics - names - earlier - _OF_PROMETHEUS - _OF_CLUSTERS.keys() == set()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_a_rule_chooses_by_labels_that_its_figures_have(exported: tuple[ExportedMetric, ...], rule: Rule) -> None:
    """Those of a recorded figure are in its name."""
    has = {label for metric in exported if metric.series_names & rule.metrics for label in metric.labels_of_series}
    has |= {label for name in rule.metrics if ":" in name for label in _level(name)}
    has |= {label for name in rule.metrics for label in _OF_CLUSTERS.get(name, set())}

    assert rule.label_names - has - _ADDED == set()


def _level(name: str) -> set[str]:
    level = name.partition(":")[0]
    return {"queue_service"} if level == "queue_service" else set(level.split("_"))


@pytest.mark.parametrize("rule", recording_rules(), ids=lambda rule: rule.name)
def test_what_is_recorded_is_named_by_level_figure_and_operations(rule: Rule) -> None:
    """As Prometheus' own guide has it."""
    _, figure, operations = rule.name.split(":")

    assert _level(rule.name) <= {"job", "method", "outcome", "queue_service"}
    assert re.fullmatch(r"[a-z_]+", figure)
    assert re.fullmatch(r"(ratio_)?(rate|p50_|p99_)5m|max|sum", operations)


def test_services_and_codes_that_rules_name_are_those_there_are() -> None:
    """Jobs are the services, codes those of gRPC."""
    text = " ".join(rule.expression for rule in rules())
    jobs = {job for named in re.findall(r'\bjob=~?"([^"]+)"', text) for job in named.split("|")}
    codes = {code for named in re.findall(r'code=~"([^"]+)"', text) for code in named.split("|")}

    assert jobs == set(SERVICES)
    assert codes < {code.name for code in StatusCode} - {StatusCode.OK.name}
    assert set(re.findall(r'queue_service="(\w+)"', text)) <= set(CONSUMING_SERVICES)


def test_jobs_servers_and_volumes_that_rules_name_are_those_of_the_manifests() -> None:
    """In the namespace that a rule looks in."""
    inside = rendered("prod-inside")
    text = " ".join(rule.expression for rule in rules())
    named = set(re.findall(r'namespace="([\w-]+)",cronjob="([\w-]+)"', text))
    spaces = {space for found in re.findall(r'namespace=~?"([^"]+)"', text) for space in found.split("|")}

    assert named == {
        (each["metadata"]["namespace"], name)
        for name, each in inside.of_kind("CronJob").items()
        if not each["spec"].get("suspend", False)
    }
    assert spaces == inside.of_kind("Namespace").keys()
    assert (
        set(re.findall(r'persistentvolumeclaim!?="([\w-]+)"', text)) <= inside.of_kind("PersistentVolumeClaim").keys()
    )


def test_names_of_rules_are_unique() -> None:
    """An alert is found by its name alone."""
    names = [rule.name for rule in rules()]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("alert", alerts().values(), ids=lambda rule: rule.name)
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(alert: Rule) -> None:
    """In a summary that is the same for all of its kind, a description with what it is about, and a section."""
    assert alert.labels.keys() == {"severity"}
    assert alert.labels["severity"] in {"critical", "warning"}
    assert alert.annotations.keys() == {"summary", "description", "runbook"}
    assert "{{" not in alert.annotations["summary"]
    assert alert.annotations["description"].endswith(".")
    page, _, section = alert.annotations["runbook"].partition("#")
    assert page == "k8s/README.md"
    assert alert.name in _opening(section)


def _opening(section: str) -> list[str]:
    return re.findall(r"\w+", sections()[section].strip().partition(". ")[0])


def test_every_section_about_alerts_begins_with_those_that_lead_to_it() -> None:
    """None is missing, and none is there that no rule has."""
    leading = {section: set(_opening(section)) for section in sections()}
    led = {section: set[str]() for section in leading}
    for alert in alerts().values():
        led[alert.annotations["runbook"].partition("#")[2]].add(alert.name)

    assert leading == led


def test_the_cluster_gets_the_very_rules_that_the_local_mesh_loads(prod: Overlay) -> None:
    """`make rules` was run after the last change."""
    manifests = prod.of_kind("PrometheusRule")

    assert {name: each["spec"]["groups"] for name, each in manifests.items()} == {
        path.stem: groups(path) for path in RULE_FILES
    }
    assert "`make rules`" in (MONITORING / "prometheus-rules.yaml").read_text().splitlines()[0]
    assert yaml.safe_load((MONITORING / "kustomization.yaml").read_text())["resources"].count("prometheus-rules.yaml")


def test_figures_that_the_pages_speak_of_are_exported(exported: tuple[ExportedMetric, ...]) -> None:
    """In the section on what is measured, and where it is said what to do about an alert."""
    (measured,) = re.findall(r"^## What is measured\n(.*?)^## ", _PAGE, re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", measured + "".join(sections().values())))
    names = {name for metric in exported for name in (metric.name, *metric.series_names)}

    assert len(named) > 30
    # What stands in the log.
    assert named - names == {"error_id", "missing_batches_given_up"}
