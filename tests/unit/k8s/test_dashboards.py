"""The dashboards are whole before anybody opens them: what they show, they explain, and each query can be asked."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.metrics import create_registry
from tests.dashboards import PATHS, ROOT, Query, load, panels, queries
from tests.unit.k8s.manifests import SERVICES, Overlay

NAMES = {"billing", "devices-alerts", "grid", "ingest-path"}
UNITS = {"bytes", "cps", "kwatt", "kwatth", "percent", "percentunit", "s", "short"}
# What Prometheus appends to the name of a counter or a histogram.
_SUFFIX = re.compile(r"_(total|bucket|sum|count)$")
_DASHBOARDS = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def literals(path: Path) -> Iterator[str]:
    """The texts in a file of code, with a star for each part that is only known when it runs."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def exported() -> tuple[set[str], list[re.Pattern[str]]]:
    """What may be a metric's name in the code of the services: whole names, and patterns of names."""
    names = {metric.name for metric in create_registry().collect()}
    patterns = []
    for package in (*SERVICES, "common"):
        for path in (ROOT / package).rglob("*.py"):
            if "prometheus_client" not in path.read_text():
                continue
            for literal in literals(path):
                if re.fullmatch(r"[a-z_]+", literal):
                    names.add(literal)
                elif re.fullmatch(r"\*_[a-z_]+", literal):
                    patterns.append(re.compile(literal.replace("*", "[a-z_]+")))
    return names, patterns


def test_there_is_a_dashboard_for_each_thing_people_look_after() -> None:
    """Four of them."""
    assert {path.stem for path in PATHS} == NAMES


@_DASHBOARDS
def test_a_dashboard_is_one_that_any_grafana_takes(path: Path) -> None:
    """It knows no number of a database and no source of data but the one that is chosen."""
    dashboard = load(path)

    assert dashboard["uid"] == f"gridmesh-{path.stem}"
    assert dashboard["schemaVersion"] >= 41
    assert "id" not in dashboard
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert set(re.findall(r'"uid": "([^"]*)"', path.read_text())) == {dashboard["uid"], "${datasource}"}


def test_names_are_unique() -> None:
    """Grafana would show only one of two with the same."""
    dashboards = [load(path) for path in PATHS]

    assert len({dashboard["uid"] for dashboard in dashboards}) == len(PATHS)
    assert len({dashboard["title"] for dashboard in dashboards}) == len(PATHS)


@_DASHBOARDS
def test_panels_have_numbers_and_titles_of_their_own_and_do_not_overlap(path: Path) -> None:
    """Each cell of the grid of 24 columns belongs to one panel at most."""
    every: list[dict[str, Any]] = load(path)["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in every)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in every}) == len(every)
    assert len({(panel["type"], panel["title"]) for panel in every}) == len(every)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23


@_DASHBOARDS
def test_each_panel_says_what_it_shows_and_in_what_unit(path: Path) -> None:
    """In a sentence, for whoever looks at it first at night."""
    for panel in panels(load(path)):
        assert re.fullmatch(r"[A-Z].{10,}\.", panel["description"]), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]


@_DASHBOARDS
def test_lines_of_a_panel_can_be_told_apart(path: Path) -> None:
    """Each drawn query has a legend; a single number needs none."""
    for panel in panels(load(path)):
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert len(set(legends)) == len(legends), panel["title"]
        assert all(legends) == (panel["type"] != "stat"), panel["title"]
        assert panel["datasource"] == panel["targets"][0]["datasource"]


def test_every_metric_that_is_asked_for_is_one_that_a_service_has() -> None:
    """By the code of the services."""
    names, patterns = exported()

    def has(metric: str) -> bool:
        found = {metric, _SUFFIX.sub("", metric)}
        return bool(found & names) or any(each.fullmatch(name) for each in patterns for name in found)

    assert {metric for query in queries() for metric in query.metrics() if not has(metric)} == set()
    assert not has("billing_logged_reading_total")


def test_every_metric_is_asked_of_the_services_alone() -> None:
    """Other programs of a cluster may have metrics of the same names."""
    without = [query for query in queries() if len(re.findall(r"[^,{ ]\{job", query.expression)) < len(query.metrics())]

    assert without == []


def test_metrics_are_found_in_a_query() -> None:
    """Not functions, labels, texts or durations."""
    query = Query("", "", 'sum by (le, kind) (rate(a_total{b="c"}[5m])) / on (d) max(e:f) - 1 unless g offset 5m or h')

    assert query.metrics() == {"a_total", "e:f", "g", "h"}


def test_prometheus_understands_every_query(promtool: Path, tmp_path: Path) -> None:
    """As rules, which is what its tool can check without a server."""
    rules = [
        {"record": "query", "labels": {"number": str(number)}, "expr": query.sent(rate_interval="1m")}
        for number, query in enumerate(queries())
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))

    checked = subprocess.run(  # noqa: S603 - our own file
        [promtool, "check", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )

    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


def test_a_cluster_gets_the_same_files_where_grafana_looks_for_them(prod: Overlay, dev: Overlay) -> None:
    """As config maps with the label that its sidecar follows, under names that stay."""
    found = {
        name: each
        for name, each in prod.of_kind("ConfigMap").items()
        if each["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
    }

    assert found.keys() == {f"gridmesh-dashboard-{path.stem}" for path in PATHS}
    for path in PATHS:
        data = found[f"gridmesh-dashboard-{path.stem}"]["data"]
        assert {name: json.loads(text) for name, text in data.items()} == {path.name: load(path)}
    assert not any(name.startswith("gridmesh-dashboard") for name in dev.of_kind("ConfigMap"))


def test_a_cluster_tells_services_apart_as_the_queries_do(prod: Overlay) -> None:
    """The label `job` is made of a label of the service that has its name."""
    (monitor,) = prod.of_kind("ServiceMonitor").values()
    label = monitor["spec"]["jobLabel"]

    assert {each["metadata"]["labels"].get(label) for each in prod.of_kind("Service").values()} >= set(SERVICES)
    assert {job for query in queries() for job in re.findall(r'\bjob="(\w+)"', query.expression)} <= set(SERVICES)
