"""The figures of all services are named alike, say what they are, and stay few however large the fleet is."""

from __future__ import annotations

import math
import re

import pytest
from energy.analytics.v1.alert_pb2 import AlertSeverity, AlertState, AlertType
from energy.common.v1.error_reason_pb2 import ErrorReason
from grpc import StatusCode

from common.call_policy import contract
from common.topology import CONSUMING_SERVICES, EVENT_KEYS
from tests.unit.monitoring.exported import PARENT, SERVICES, ExportedMetric

# Every label there may be, with how many values it has at most: none grows with devices, accounts, sites or people.
# Regions are data, tens of them; 256 partitions are the most that the sizes in k8s/README.md have.
LABEL_VALUES_MAXIMUM = {
    "action": 8,
    "channel": 4,
    "code": len(StatusCode),
    "currency": 1,  # of a region, which has one
    "dependency": 8,
    "kind": 4,
    "method": sum(len(service.methods) for service in contract()) + 3,  # health and reflection
    "outcome": 6,
    "partition": 256,
    "queue_service": len(CONSUMING_SERVICES),
    "reason": len(ErrorReason.items()),
    "region": 40,
    "severity": len(AlertSeverity.items()),
    "source": 4,
    "state": len(AlertState.items()),
    "type": max(len(AlertType.items()), sum(map(len, EVENT_KEYS.values()))),
    "worker": 64,
    # Of the figures of Python itself.
    "generation": 3,
    **dict.fromkeys(("implementation", "major", "minor", "patchlevel", "version"), 1),
}
SERIES_MAXIMUM = 10_000

# Base units, and the domain's own: people and meters speak kW, kWh and percent, and so does the contract (a figure in
# joules or watts would be converted by everybody who compares it with a bill or a rating plate).
UNITS = ("seconds", "bytes", "kw", "kwh", "percent", "info")
OTHER_UNITS = {
    *("ms", "us", "ns", "millis", "milliseconds", "microseconds", "nanoseconds", "minutes", "hours"),
    *("kb", "mb", "gb", "kib", "mib", "gib", "kilobytes", "megabytes", "bits"),
    *("w", "mw", "wh", "mwh", "milliwatt", "joules", "ratio100", "pct"),
}
PEOPLE_AND_THINGS = {
    "device",
    "account",
    "site",
    "user",
    "customer",
    "tenant",
    "group",
    "meter",
    "id",
    "actor",
    "batch",
}


def of_ours(exported: tuple[ExportedMetric, ...]) -> list[ExportedMetric]:
    """Without those of Python and the process, which are the client library's."""
    return [metric for metric in exported if not metric.name.startswith(("python_", "process_"))]


def test_names_are_words_in_snake_case_and_no_counter_carries_its_suffix_twice(
    exported: tuple[ExportedMetric, ...],
) -> None:
    """A counter ends in `_total` when it is exposed, and nothing else does."""
    wrong = [metric.name for metric in exported if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", metric.name)]
    reserved = re.compile(r"_(total|count|sum|bucket|created|info)$")

    assert wrong == []
    assert {metric.name for metric in of_ours(exported) if reserved.search(metric.name)} == set()
    assert all(
        name.endswith("_total") == (metric.kind == "counter") for metric in exported for name in metric.series_names
    )


def test_units_are_base_units_or_the_domains_own_and_stand_last(exported: tuple[ExportedMetric, ...]) -> None:
    """Seconds, bytes; kW and kWh. A price is of a kWh, and a moment says that it is one."""
    parts = {metric.name: metric.name.split("_") for metric in of_ours(exported)}

    assert {name for name, words in parts.items() if OTHER_UNITS & set(words)} == set()
    assert {name for name, words in parts.items() if set(UNITS) & set(words[:-1])} == set()


def test_what_is_measured_in_seconds_or_bytes_says_so_in_its_name(exported: tuple[ExportedMetric, ...]) -> None:
    """By its help text, in both directions; a counter of seconds or bytes as well."""
    for unit in ("seconds", "bytes"):
        told = re.compile(
            rf"^(Seconds|Time|How long|How far behind|Wait)\b|, {unit}\b" if unit == "seconds" else "^Bytes"
        )
        wrong = [
            metric.name
            for metric in of_ours(exported)
            if told.search(metric.documentation) and not metric.name.endswith(f"_{unit}")
        ]

        assert wrong == []


def test_everything_has_a_help_text_that_is_a_sentence(exported: tuple[ExportedMetric, ...]) -> None:
    """It begins with a capital or a figure, ends with a full stop, and says more than the name."""
    wrong = [
        metric.name
        for metric in of_ours(exported)
        if not re.fullmatch(r"[A-Z0-9].{10,}\.", metric.documentation)
        or metric.documentation.lower().strip(".").replace(" ", "_") == metric.name
    ]

    assert wrong == []


def test_a_name_means_the_same_in_every_service(exported: tuple[ExportedMetric, ...]) -> None:
    """The same kind, text and labels, so that they can be added up."""
    meanings: dict[str, set[tuple[str, str, tuple[str, ...]]]] = {}
    for metric in exported:
        meanings.setdefault(metric.name, set()).add((metric.kind, metric.documentation, metric.labels))

    assert {name for name, found in meanings.items() if len(found) > 1} == set()


def test_labels_are_few_and_none_names_a_device_or_a_person(exported: tuple[ExportedMetric, ...]) -> None:
    """Such a label would be a series for each of them."""
    used = {label for metric in exported for label in metric.labels}

    assert used - LABEL_VALUES_MAXIMUM.keys() == set()
    assert {label for label in used if PEOPLE_AND_THINGS & set(label.split("_"))} == set()


@pytest.mark.parametrize("service", [*SERVICES, PARENT])
def test_a_process_has_a_bounded_number_of_series(exported: tuple[ExportedMetric, ...], service: str) -> None:
    """Even if each label had each of its values together with each of all the others."""
    mine = [metric for metric in exported if metric.service == service]

    series = {
        metric.name: math.prod(LABEL_VALUES_MAXIMUM[label] for label in metric.labels)
        * (metric.buckets + 2 if metric.buckets else 1)
        for metric in mine
    }

    assert len(mine) > 1
    assert sum(series.values()) <= SERIES_MAXIMUM, sorted(series.items(), key=lambda one: -one[1])[:5]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("grpc_server_handled", id="rate and errors of calls"),
        pytest.param("grpc_server_handling_seconds", id="duration of calls"),
        pytest.param("dependency_up", id="what it needs"),
        pytest.param("health_serving", id="whether it serves"),
        pytest.param("process_resident_memory_bytes", id="memory"),
        pytest.param("process_cpu_seconds", id="processor"),
    ],
)
def test_every_service_tells_of_its_calls_its_needs_and_its_process(
    exported: tuple[ExportedMetric, ...], name: str
) -> None:
    """Under the same name."""
    assert {metric.service for metric in exported if metric.name == name} == set(SERVICES)
