"""The rule files as data, and what an expression of them speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
MONITORING = ROOT / "k8s/base/monitoring"
RULE_FILES = tuple(MONITORING / f"{name}.yaml" for name in ("recording-rules", "alerting-rules", "cluster-rules"))

_STRINGS = re.compile(r'"[^"]*"')
_MATCHERS = re.compile(r"\{([^}]*)\}")
_LABEL_LISTS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_RANGES = re.compile(r"\[[^\]]*\]")
_NAMES = re.compile(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
_WORDS = {"and", "or", "unless", "by", "on", "without", "ignoring", "group_left", "group_right", "bool", "offset"}


@dataclass(frozen=True)
class Rule:
    """A rule of either kind: `name` is what it records or how the alert is called."""

    name: str
    expression: str
    is_alert: bool
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> frozenset[str]:
        """The names of figures in the expression."""
        bare = _MATCHERS.sub("", _STRINGS.sub("", self.expression))
        bare = _RANGES.sub("", _LABEL_LISTS.sub(" ", bare))
        return frozenset(_NAMES.findall(bare)) - _WORDS

    @property
    def label_names(self) -> frozenset[str]:
        """The labels in the expression, to choose series by and to keep."""
        bare = _STRINGS.sub('""', self.expression)
        chosen = re.findall(r"(\w+)\s*[=!]~?", " ".join(_MATCHERS.findall(bare)))
        kept = re.findall(r"\w+", " ".join(_LABEL_LISTS.findall(bare)))
        return frozenset(chosen) | frozenset(kept)


def groups(path: Path) -> list[dict[str, Any]]:
    """The groups of a rule file."""
    content = yaml.safe_load(path.read_text())
    assert content.keys() == {"groups"}
    found: list[dict[str, Any]] = content["groups"]
    return found


def rules() -> list[Rule]:
    """Every rule of all files."""
    return [_rule(one) for path in RULE_FILES for group in groups(path) for one in group["rules"]]


def recording_rules() -> list[Rule]:
    """Those that record."""
    return [rule for rule in rules() if not rule.is_alert]


def alerts() -> dict[str, Rule]:
    """Those that alert, by name."""
    return {rule.name: rule for rule in rules() if rule.is_alert}


def _rule(one: dict[str, Any]) -> Rule:
    if "record" in one:
        return Rule(one["record"], one["expr"], is_alert=False)
    return Rule(one["alert"], one["expr"], is_alert=True, labels=one["labels"], annotations=one["annotations"])
