"""Grafana's dashboards as tests see them: their panels, and their queries as Grafana would send them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "k8s/base/monitoring/dashboards"
PATHS = sorted(FOLDER.glob("*.json"))

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_LABELS = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)")
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
_OPERATORS = {"and", "or", "unless", "bool", "offset", "group_left", "group_right"}


@dataclass(frozen=True)
class Query:
    """One expression of a panel, or of a variable, with Grafana's variables in it."""

    dashboard: str
    panel: str
    expression: str
    legend: str = ""

    def sent(self, *, rate_interval: str) -> str:
        """The expression as Prometheus gets it, for every region and for rates over so long."""
        text = self.expression.replace("$__rate_interval", rate_interval)
        return re.sub(r"\$region\b", ".*", text)

    def metrics(self) -> set[str]:
        """The names of the metrics in it."""
        plain = _LABELS.sub(" ", _QUOTED.sub('""', self.expression))
        return set(_NAME.findall(plain)) - _OPERATORS


def load(path: Path) -> dict[str, Any]:
    """A dashboard."""
    dashboard: dict[str, Any] = json.loads(path.read_text())
    return dashboard


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels that show something; not the headings between them."""
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def queries() -> list[Query]:
    """Every query of every panel."""
    return [
        Query(path.stem, panel["title"], target["expr"], target["legendFormat"])
        for path in PATHS
        for panel in panels(load(path))
        for target in panel["targets"]
    ]
