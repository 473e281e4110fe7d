"""What is told of a region's load now: unknown is not zero."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from analytics.fleet.fleet import FleetGroup
from analytics.windows.live_load import LiveLoad, live_load
from analytics.windows.region_capacity import RegionCapacity
from analytics.windows.window_metrics import RegionLoadMetrics

NOW_MS = 1_767_268_800_000
CAPACITY = RegionCapacity("North", 200_000_000, 0, "jo", 0)


def test_the_load_is_the_power_of_the_meters_that_are_not_silent() -> None:
    """In kW and percent."""
    load = live_load("North", NOW_MS, FleetGroup(5, 2, power_kw=50.0, power_device_count=3), CAPACITY)

    assert (load.load_kw, load.load_percent) == (50.0, 25.0)
    assert (load.meter_count, load.silent_meter_count, load.reporting_meter_count) == (5, 2, 3)


@pytest.mark.parametrize(
    ("meters", "capacity"),
    [(FleetGroup(5, 5), CAPACITY), (FleetGroup(5, 0), CAPACITY), (FleetGroup(5, 2, 50.0, 3), None)],
    ids=["all silent", "no power told", "no capacity"],
)
def test_what_is_not_known_is_no_percent(meters: FleetGroup, capacity: RegionCapacity | None) -> None:
    """Nor is it 0."""
    assert live_load("North", NOW_MS, meters, capacity).load_percent is None


def test_meters_that_take_nothing_are_a_load_of_zero() -> None:
    """Zero is a value."""
    load = live_load("North", NOW_MS, FleetGroup(5, 0, power_kw=0.0, power_device_count=5), CAPACITY)

    assert (load.load_kw, load.load_percent) == (0.0, 0.0)


def test_prometheus_sees_regions_and_only_what_is_known_of_them() -> None:
    """One value a region; the age goes on by itself."""
    registry = CollectorRegistry()
    clock = [NOW_MS]
    metrics = RegionLoadMetrics(registry, lambda: clock[0])
    known = LiveLoad("North", NOW_MS, 50.0, 5, 2, 200.0)
    unknown = LiveLoad("South", NOW_MS, None, 5, 5, None)

    metrics.show([known, unknown], {"North": NOW_MS - 60_000})
    clock[0] += 5_000

    def value(name: str, region: str) -> float | None:
        return registry.get_sample_value(name, {"region": region})

    assert value("region_load_kw", "North") == 50.0
    assert value("region_load_percent", "North") == 25.0
    assert value("region_newest_window_age_seconds", "North") == 65.0
    assert [value(name, "South") for name in ("region_load_kw", "region_load_percent")] == [None, None]
