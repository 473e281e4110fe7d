"""The metrics count readings, energy and delays by region and kind, and nothing by device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from analytics.fleet.fleet import FleetGroup
from analytics.fleet.fleet_metrics import FleetMetrics
from analytics.stream.observation import Observation, ReceivedBatches
from analytics.stream.reading_metrics import ReadingMetrics


@dataclass(frozen=True)
class Device:
    """A registered device."""

    region: str


DEVICES = {"m-1": Device("North"), "m-2": Device("South"), "v-1": Device("North"), "s-1": Device("North")}


ENERGY_NAMES = (
    "energy_import_kwh_total",
    "energy_export_kwh_total",
    "energy_delivered_kwh_total",
    "energy_charge_kwh_total",
    "energy_discharge_kwh_total",
)


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of its own for each test."""
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> ReadingMetrics:
    """Metrics that know the four devices of DEVICES."""
    return ReadingMetrics(registry, DEVICES.get)


def seen(
    device_id: str, kind: str, taken: int = 0, given: int = 0, *, end_ms: int = 0, receive_ms: int = 0
) -> Observation:
    """An observation with these milliwatt-hours."""
    return Observation(device_id, kind, end_ms - 60_000, end_ms, 0, receive_ms, "UNKNOWN", None, taken, given)


def record(
    metrics: ReadingMetrics, observations: Iterable[Observation], *, receive_ms: int = 0, now_ms: int = 0
) -> None:
    """Counts one part with these observations."""
    metrics.record(ReceivedBatches(("b-1",), [receive_ms], None, list(observations)), now_ms)


def test_readings_are_counted_by_region_and_kind(metrics: ReadingMetrics, registry: CollectorRegistry) -> None:
    """Two meters in two regions are two series."""
    record(metrics, [seen("m-1", "meter"), seen("m-1", "meter"), seen("m-2", "meter"), seen("v-1", "vehicle")])

    assert registry.get_sample_value("readings_total", {"region": "North", "kind": "meter"}) == 2
    assert registry.get_sample_value("readings_total", {"region": "South", "kind": "meter"}) == 1
    assert registry.get_sample_value("readings_total", {"region": "North", "kind": "vehicle"}) == 1


def test_a_device_that_the_registry_does_not_know_counts_in_the_region_unknown(
    metrics: ReadingMetrics, registry: CollectorRegistry
) -> None:
    """Its readings are not lost from the counts."""
    record(metrics, [seen("m-99", "meter")])

    assert registry.get_sample_value("readings_total", {"region": "unknown", "kind": "meter"}) == 1


@pytest.mark.parametrize(
    ("device_id", "kind", "expected"),
    [
        ("m-1", "meter", {"energy_import_kwh_total": 1.5, "energy_export_kwh_total": 0.25}),
        ("v-1", "vehicle", {"energy_delivered_kwh_total": 1.5}),
        ("s-1", "storage", {"energy_charge_kwh_total": 1.5, "energy_discharge_kwh_total": 0.25}),
    ],
)
def test_energy_is_told_in_kwh(
    metrics: ReadingMetrics, registry: CollectorRegistry, device_id: str, kind: str, expected: dict[str, float]
) -> None:
    """Each kind has its own names for what it takes and gives, and no other kind's."""
    record(metrics, [seen(device_id, kind, taken=1_500_000, given=250_000)])

    labels = {"region": "North", "kind": kind}
    told = {name: registry.get_sample_value(name, labels) for name in ENERGY_NAMES}
    assert {name: value for name, value in told.items() if value is not None} == expected


def test_energy_adds_up_without_losing_a_digit(metrics: ReadingMetrics, registry: CollectorRegistry) -> None:
    """Ten thousand times 0.1 kWh are 1000 kWh exactly, which binary floats would miss."""
    record(metrics, [seen("m-1", "meter", taken=100_000)] * 10_000)

    assert registry.get_sample_value("energy_import_kwh_total", {"region": "North", "kind": "meter"}) == 1000.0


@pytest.mark.parametrize(
    ("delay_ms", "bound", "below"),
    [
        pytest.param(100, "0.1", None, id="exactly a bound is in it"),
        pytest.param(101, "0.25", "0.1", id="above a bound is in the next"),
        pytest.param(-5_000, "0.1", None, id="before its end counts as 0"),
        pytest.param(10**12, "+Inf", "31536000.0", id="decades late"),
    ],
)
def test_the_delay_of_a_reading_is_from_the_end_of_its_interval(
    metrics: ReadingMetrics, registry: CollectorRegistry, delay_ms: int, bound: str, below: str | None
) -> None:
    """Receipt by the gateway minus end of the interval, clipped at 0, into cumulative buckets."""
    labels = {"region": "North", "kind": "meter"}

    record(metrics, [seen("m-1", "meter", end_ms=1_000, receive_ms=1_000 + delay_ms)])

    assert registry.get_sample_value("reading_delay_seconds_bucket", {**labels, "le": bound}) == 1
    assert registry.get_sample_value("reading_delay_seconds_count", labels) == 1
    assert registry.get_sample_value("reading_delay_seconds_sum", labels) == max(0, delay_ms) / 1000
    if below is not None:
        assert registry.get_sample_value("reading_delay_seconds_bucket", {**labels, "le": below}) == 0


def test_the_pipeline_delay_is_told_once_a_part(metrics: ReadingMetrics, registry: CollectorRegistry) -> None:
    """Now minus receipt, whatever the number of readings; a clock that is behind gives 0."""
    record(metrics, [seen("m-1", "meter")] * 5, receive_ms=1_000, now_ms=1_250)
    record(metrics, [seen("m-1", "meter")], receive_ms=2_000, now_ms=1_900)

    assert registry.get_sample_value("pipeline_delay_seconds_count") == 2
    assert registry.get_sample_value("pipeline_delay_seconds_sum") == 0.25


def test_no_device_is_ever_a_label(metrics: ReadingMetrics, registry: CollectorRegistry) -> None:
    """The series stay few however many devices there are."""
    record(metrics, [seen("m-1", "meter", 5), seen("m-99", "meter", 5)])

    exposition = generate_latest(registry).decode()

    assert "m-1" not in exposition
    assert "m-99" not in exposition


def test_the_fleet_is_shown_by_region_and_kind(registry: CollectorRegistry) -> None:
    """The newest survey replaces the one before, with regions that are gone."""
    fleet_metrics = FleetMetrics(registry)
    fleet_metrics.show({("South", 1): FleetGroup(device_count=1)})

    fleet_metrics.show({("North", 1): FleetGroup(device_count=3, stale_device_count=1, power_kw=-4.5)})

    labels = {"region": "North", "kind": "meter"}
    assert registry.get_sample_value("devices", labels) == 3
    assert registry.get_sample_value("devices_stale", labels) == 1
    assert registry.get_sample_value("power_kw", labels) == -4.5
    assert registry.get_sample_value("devices", {"region": "South", "kind": "meter"}) is None
