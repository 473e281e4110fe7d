"""Rules tried by Prometheus' own tool: series go in, and what is recorded or fires at a moment is compared."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.localstack import locate
from tests.unit.monitoring.rules import RULE_FILES, alerts

SPACING_SECONDS = 15

Series = Mapping[str, str]
"""Values by series, 15 seconds apart, as promtool writes them: `0+6x40` is 0, then 40 values, each 6 more."""

UNKNOWN = " ".join(["NaN"] * 130)
"""The values of something that is not known for half an hour."""


@dataclass(frozen=True)
class Firing:
    """An alert that fires: its labels without the severity, and its description as a person reads it."""

    labels: Mapping[str, str]
    description: str


@dataclass(frozen=True)
class Incident:
    """What happens, when the alert does not fire yet, and when it does; `afterwards`, if named, it is over again."""

    alert: str
    series: Series
    quiet_at: str
    fires_at: str
    firing: Sequence[Firing]
    afterwards: str = ""


@dataclass(frozen=True)
class Calm:
    """What is near an incident and none: the alert never fires."""

    alert: str
    why: str
    series: Series
    at: Sequence[str] = field(default=("5m", "10m", "20m", "29m"))


def program() -> Path:
    """promtool; without it a test is skipped, in continuous integration it fails."""
    found = locate.promtool(os.environ)
    if found:
        return found
    reason = f"promtool is missing: {locate.PROMETHEUS_PACKAGES}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def try_incident(incident: Incident, folder: Path) -> str:
    """What promtool has against it; nothing if all is as it should be."""
    firing = [_expected(incident.alert, one) for one in incident.firing]
    moments: list[tuple[str, list[dict[str, Any]]]] = [(incident.quiet_at, []), (incident.fires_at, firing)]
    if incident.afterwards:
        moments.append((incident.afterwards, []))
    return _run(_alert_test(incident.alert, incident.series, moments), folder)


def try_calm(calm: Calm, folder: Path) -> str:
    """What promtool has against it; nothing if the alert never fires."""
    return _run(_alert_test(calm.alert, calm.series, [(moment, []) for moment in calm.at]), folder)


def try_recorded(series: Series, moment: str, expected: Mapping[str, Mapping[str, float]], folder: Path) -> str:
    """What promtool has against it; `expected` are samples by what is asked, each by its series."""
    tests = [
        {
            "expr": expression,
            "eval_time": moment,
            "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
        }
        for expression, samples in expected.items()
    ]
    return _run({"input_series": _input(series), "promql_expr_test": tests}, folder)


def _alert_test(alert: str, series: Series, moments: Sequence[tuple[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    tests = [{"eval_time": moment, "alertname": alert, "exp_alerts": firing} for moment, firing in moments]
    return {"input_series": _input(series), "alert_rule_test": tests}


def _expected(alert: str, firing: Firing) -> dict[str, Any]:
    rule = alerts()[alert]
    return {
        "exp_labels": {**rule.labels, **firing.labels},
        "exp_annotations": {**rule.annotations, "description": firing.description},
    }


def _input(series: Series) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]


def _run(test: Mapping[str, Any], folder: Path) -> str:
    content = {
        "rule_files": [str(path) for path in RULE_FILES],
        "evaluation_interval": f"{SPACING_SECONDS}s",
        "tests": [{"interval": f"{SPACING_SECONDS}s", **test}],
    }
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(content))
    answer = subprocess.run(  # noqa: S603 - Prometheus' own tool on our own file
        [program(), "test", "rules", path], capture_output=True, text=True, check=False, timeout=60
    )
    if answer.returncode == 0:
        return ""
    return answer.stdout + answer.stderr
