"""The page that stands for the dashboards where there is no Grafana."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from common.localstack.console import graph, page
from tests.dashboards import FOLDER, PATHS, load, panels, queries


def test_every_panel_is_on_the_page_with_what_it_says() -> None:
    """Under its dashboard."""
    text = unescape(page(FOLDER))

    for path in PATHS:
        dashboard = load(path)
        assert f"<h2>{dashboard['title']}</h2>" in text
        for panel in panels(dashboard):
            assert f">{panel['title']}</a></dt><dd>{panel['description']}</dd>" in text


def test_prometheus_finds_nothing_to_fill_in() -> None:
    """Its templates have double braces, and so have Grafana's legends."""
    assert "{{" not in page(FOLDER)


def test_a_graph_has_every_query_of_its_panel_without_variables() -> None:
    """For all regions, as lines, not as a table."""
    asked = parse_qs(urlsplit(graph(['sum(rate(a_total{region=~"$region"}[$__rate_interval]))', "b"])).query)

    assert asked["g0.expr"] == ['sum(rate(a_total{region=~".*"}[1m]))']
    assert asked["g1.expr"] == ["b"]
    assert asked["g0.tab"] == asked["g1.tab"] == ["0"]


def test_no_variable_of_grafana_reaches_prometheus() -> None:
    """Whichever a dashboard uses."""
    expressions = parse_qs(urlsplit(graph([query.expression for query in queries()])).query)

    assert len(expressions) > 1
    assert not any("$" in text for texts in expressions.values() for text in texts if "label_replace" not in text)


def test_a_checkout_without_dashboards_has_a_page_as_well(tmp_path: Path) -> None:
    """It leads to alerts and targets."""
    assert 'href="/targets"' in page(tmp_path)
