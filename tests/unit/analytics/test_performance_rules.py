"""Performance adds up the vehicle and its meters, each while it was linked; absent is absent, never 0."""

from __future__ import annotations

import pytest

from analytics.performance.performance import MeterLink, efficiency, meters_by_window, performance_of
from analytics.usage.measured_energy import MeasuredEnergy, Window

DAY = Window(1_000, 2_000)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        pytest.param(MeterLink("m", 0, None), {DAY: ["m"]}, id="linked before and still"),
        pytest.param(MeterLink("m", 1_400, None), {Window(1_400, 2_000): ["m"]}, id="linked in the window"),
        pytest.param(MeterLink("m", 0, 1_600), {Window(1_000, 1_600): ["m"]}, id="unlinked in the window"),
        pytest.param(MeterLink("m", 1_400, 1_600), {Window(1_400, 1_600): ["m"]}, id="a while of the window"),
        pytest.param(MeterLink("m", 0, 1_000), {}, id="ended where the window starts"),
        pytest.param(MeterLink("m", 2_000, None), {}, id="begins where the window ends"),
        pytest.param(MeterLink("m", 1_000, 2_000), {DAY: ["m"]}, id="exactly the window"),
    ],
)
def test_a_meter_counts_only_while_it_was_linked(link: MeterLink, expected: dict[Window, list[str]]) -> None:
    """The part of the window is where link and window overlap, both half-open."""
    assert meters_by_window(DAY, [link]) == expected


def test_meters_of_the_same_part_are_asked_for_together() -> None:
    """Two meters over the whole window are one question, a third one with another part is a second."""
    links = [MeterLink("m-2", 0, None), MeterLink("m-1", 0, 5_000), MeterLink("m-3", 1_500, None)]

    parts = meters_by_window(DAY, links)

    assert parts == {DAY: ["m-1", "m-2"], Window(1_500, 2_000): ["m-3"]}


def test_a_meter_that_was_linked_twice_counts_in_both_parts() -> None:
    """Unlinked and linked again, the time between is left out."""
    links = [MeterLink("m", 0, 1_300), MeterLink("m", 1_700, None)]

    parts = meters_by_window(DAY, links)

    assert parts == {Window(1_000, 1_300): ["m"], Window(1_700, 2_000): ["m"]}


def test_energy_of_all_meters_adds_up() -> None:
    """AC is the sum over meters and parts, DC the vehicle's, efficiency their ratio."""
    vehicle = MeasuredEnergy("v", 10, delivered_milliwatt_hours=9_000_000, mean_temperature_celsius=31.5)
    meters = [
        MeasuredEnergy("m-1", 5, import_milliwatt_hours=7_500_000),
        MeasuredEnergy("m-2", 5, import_milliwatt_hours=2_500_000),
    ]

    performance = performance_of(DAY, vehicle, meters, ["m-2", "m-1", "m-2"])

    assert performance.ac_milliwatt_hours == 10_000_000
    assert performance.dc_milliwatt_hours == 9_000_000
    assert performance.efficiency == 0.9
    assert performance.battery_temperature_celsius == 31.5
    assert performance.meter_ids == ("m-1", "m-2")
    assert performance.reading_count == 10


def test_without_any_reading_everything_is_absent() -> None:
    """A vehicle that was silent and had no meter has no energy, which is not an energy of 0."""
    performance = performance_of(DAY, None, [], [])

    assert performance.ac_milliwatt_hours is None
    assert performance.dc_milliwatt_hours is None
    assert performance.efficiency is None
    assert performance.battery_temperature_celsius is None
    assert performance.reading_count == 0


def test_meters_that_measured_no_import_leave_ac_absent() -> None:
    """A meter that only told its voltage has not measured an import of 0."""
    vehicle = MeasuredEnergy("v", 1, delivered_milliwatt_hours=5)

    performance = performance_of(DAY, vehicle, [MeasuredEnergy("m", 3)], ["m"])

    assert performance.ac_milliwatt_hours is None
    assert performance.efficiency is None
    assert performance.meter_ids == ("m",)


def test_one_meter_that_measured_import_is_enough() -> None:
    """Beside a meter without import, the other's counts alone."""
    meters = [MeasuredEnergy("m-1", 3), MeasuredEnergy("m-2", 3, import_milliwatt_hours=8)]

    performance = performance_of(DAY, None, meters, ["m-1", "m-2"])

    assert performance.ac_milliwatt_hours == 8


@pytest.mark.parametrize(
    ("dc", "ac", "expected"),
    [
        pytest.param(9, 10, 0.9, id="both measured"),
        pytest.param(0, 10, 0.0, id="nothing reached the battery"),
        pytest.param(None, 10, None, id="DC absent"),
        pytest.param(9, None, None, id="AC absent"),
        pytest.param(9, 0, None, id="AC is 0"),
        pytest.param(11, 10, 1.1, id="the meter saw less than the vehicle"),
    ],
)
def test_efficiency_is_dc_over_ac(dc: int | None, ac: int | None, expected: float | None) -> None:
    """Absent when either is, or when nothing was taken from the grid."""
    assert efficiency(dc, ac) == expected
