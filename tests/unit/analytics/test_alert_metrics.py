"""What a scrape gets of the open alerts."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from analytics.alerts.alert import Alert, AlertType, Cause, Severity, Sighting
from analytics.alerts.alert_life import acknowledged, raised
from analytics.alerts.alert_metrics import OTHER_REGIONS, REGIONS_MAXIMUM, OpenAlertMetrics

NOW_MS = 1_767_268_800_000


def alert(number: int, region: str, severity: Severity = Severity.HIGH) -> Alert:
    """An alert of a device."""
    sighting = Sighting(Cause(AlertType.OVER_TEMPERATURE, region, f"pack-{number}"), severity, NOW_MS)
    return raised(sighting, f"a-{number}", NOW_MS)


def scraped(alerts: Iterable[Alert]) -> CollectorRegistry:
    """A registry that shows these as the open ones."""
    registry = CollectorRegistry()
    by_key = {one.cause.key: one for one in alerts}
    OpenAlertMetrics(registry, lambda: by_key)
    return registry


def test_open_alerts_are_counted_by_type_severity_and_state() -> None:
    """An acknowledged one is open, too."""
    registry = scraped([alert(1, "North"), acknowledged(alert(2, "North"), "jo", "", NOW_MS), alert(3, "South")])

    labels = {"type": "OVER_TEMPERATURE", "severity": "HIGH"}
    assert registry.get_sample_value("alerts_open", {**labels, "state": "RAISED"}) == 2
    assert registry.get_sample_value("alerts_open", {**labels, "state": "ACKNOWLEDGED"}) == 1


def test_open_alerts_are_counted_by_region_and_severity() -> None:
    """A region without any has no series."""
    registry = scraped([alert(1, "North"), alert(2, "North"), alert(3, "North", Severity.LOW), alert(4, "South")])

    def count(region: str, severity: str) -> float | None:
        return registry.get_sample_value("region_alerts_open", {"region": region, "severity": severity})

    assert (count("North", "HIGH"), count("North", "LOW"), count("South", "HIGH")) == (2, 1, 1)
    assert count("East", "HIGH") is None


def test_however_many_regions_there_are_the_series_stay_few() -> None:
    """Those with the most alerts are told apart, the others together; nothing is left out."""
    alerts = [alert(number, f"region-{number}") for number in range(REGIONS_MAXIMUM + 5)]
    (family,) = [
        one for one in scraped([*alerts, alert(999, "region-9")]).collect() if one.name == "region_alerts_open"
    ]

    counts = {sample.labels["region"]: sample.value for sample in family.samples}
    assert len(counts) == REGIONS_MAXIMUM
    assert (counts["region-9"], counts[OTHER_REGIONS]) == (2, 6)
    assert sum(counts.values()) == len(alerts) + 1
