"""How vehicles charged, one beside the other: no meter counts for another vehicle than the one it was linked to."""

from __future__ import annotations

from analytics.performance.efficiency_state import EfficiencyState
from analytics.performance.fleet_performance import FleetLinks, JudgedVehicle, fleet_performance
from analytics.performance.performance import MeterLink, Performance, efficiency
from analytics.usage.measured_energy import MeasuredEnergy, Window

DAY = Window(0, 1_000)
OK, LOW, TOO_SMALL, DATA_ERROR, NO_DATA = EfficiencyState


def vehicle(device_id: str, ac: int | None, dc: int | None, state: EfficiencyState) -> JudgedVehicle:
    """A vehicle that took and got so much."""
    return JudgedVehicle(device_id, Performance(DAY, (), ac, dc, efficiency(dc, ac), None, 1), state)


def test_devices_that_are_meant_over_the_same_part_are_asked_about_together() -> None:
    """Vehicles and meters that were linked all the time are one question, a meter that changed hands two more."""
    links = FleetLinks(
        DAY,
        {
            "v-1": [MeterLink("m-1", 0, None), MeterLink("m-3", 0, 400)],
            "v-2": [MeterLink("m-2", 0, None), MeterLink("m-3", 400, None)],
            "v-3": [],
        },
    )

    assert links.questions() == {
        DAY: ["v-1", "v-2", "v-3", "m-1", "m-2"],
        Window(0, 400): ["m-3"],
        Window(400, 1_000): ["m-3"],
    }


def test_a_meter_counts_for_each_vehicle_while_it_was_linked_to_it() -> None:
    """The vehicle without a meter, and a meter without a reading, have no AC."""
    links = FleetLinks(
        DAY,
        {
            "v-1": [MeterLink("m-1", 0, None), MeterLink("m-3", 0, 400)],
            "v-2": [MeterLink("m-3", 400, None)],
            "v-3": [MeterLink("m-4", 0, None)],
            "v-4": [],
        },
    )
    measured = {
        (DAY, "v-1"): MeasuredEnergy("v-1", 3, None, 90),
        (DAY, "m-1"): MeasuredEnergy("m-1", 5, 80, None),
        (Window(0, 400), "m-3"): MeasuredEnergy("m-3", 2, 20, None),
        (Window(400, 1_000), "m-3"): MeasuredEnergy("m-3", 2, 7, None),
    }

    found = links.performances(measured)

    assert {name: (one.ac_milliwatt_hours, one.dc_milliwatt_hours) for name, one in found.items()} == {
        "v-1": (100, 90),
        "v-2": (7, None),
        "v-3": (None, None),
        "v-4": (None, None),
    }
    assert found["v-1"].meter_ids == ("m-1", "m-3")
    assert found["v-1"].loss_milliwatt_hours == 10


def test_the_sums_are_over_vehicles_of_which_both_are_known_and_fit() -> None:
    """One vehicle's DC is never put over another's AC."""
    vehicles = [
        vehicle("ok", 100, 90, OK),
        vehicle("low", 100, 60, LOW),
        vehicle("small", 2, 1, TOO_SMALL),
        vehicle("error", 10, 500, DATA_ERROR),
        vehicle("no-dc", 10_000, None, NO_DATA),
        vehicle("no-ac", None, 10_000, NO_DATA),
    ]

    fleet = fleet_performance(DAY, vehicles, (), 10)

    assert (fleet.vehicle_count, fleet.compared_count) == (6, 3)
    assert (fleet.ac_milliwatt_hours, fleet.dc_milliwatt_hours) == (202, 151)
    assert fleet.state_counts == {OK: 1, LOW: 1, TOO_SMALL: 1, DATA_ERROR: 1, NO_DATA: 2}


def test_without_a_vehicle_to_compare_there_are_no_sums() -> None:
    """Absent, not 0."""
    fleet = fleet_performance(DAY, [vehicle("no-dc", 5, None, NO_DATA)], (), 10)

    assert (fleet.compared_count, fleet.ac_milliwatt_hours, fleet.dc_milliwatt_hours) == (0, None, None)


def test_the_greatest_loss_stands_first_and_an_unknown_one_last() -> None:
    """Of the same loss the first by id; at most so many, in the states that are asked for."""
    vehicles = [
        vehicle("e", None, 5, NO_DATA),
        vehicle("d", 10, 50, DATA_ERROR),
        vehicle("c", 30, 20, LOW),
        vehicle("b", 30, 20, LOW),
        vehicle("a", 100, 95, OK),
        vehicle("f", 200, 100, LOW),
    ]

    assert [one.device_id for one in fleet_performance(DAY, vehicles, (), 9).vehicles] == list("fbcade")
    assert [one.device_id for one in fleet_performance(DAY, vehicles, (), 2).vehicles] == ["f", "b"]
    assert [one.device_id for one in fleet_performance(DAY, vehicles, {OK, NO_DATA}, 9).vehicles] == ["a", "e"]
