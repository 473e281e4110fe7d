"""A vehicle and its charger: two devices that tell one story of the same energy."""

from datetime import date
from itertools import islice, pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from energy.telemetry.v1 import reading_pb2

from loadgen.itinerary import ChargingState, Itinerary, Leg, VehicleProfile, draw_profile
from loadgen.meter import MeterFields
from loadgen.surroundings import instant_ms_of, surroundings_at
from loadgen.vehicle import Vehicle, VehicleFields

ZONE = ZoneInfo("Asia/Kolkata")
MINUTE_MS = 60_000
DAY_MS = 1440 * MINUTE_MS
MIDNIGHT_MS = 1_759_257_000_000  # 2025-10-01T00:00 in Kolkata
PROFILES = [draw_profile(Random(number)) for number in range(20)]


def legs_from(profile: VehicleProfile, start_ms: int, *, number: int = 1) -> list[Leg]:
    """The first legs of a vehicle, about ten days of them."""
    plan = Itinerary(profile, vehicle_id=f"vehicle-{number:05d}", seed=3, zone=ZONE)
    return list(islice(plan.legs(start_ms), 60))


def day_of(
    number: int, *, start_ms: int = MIDNIGHT_MS, interval_ms: int = MINUTE_MS
) -> list[tuple[MeterFields, VehicleFields]]:
    """Charger's and vehicle's readings of a day."""
    profile = PROFILES[number]
    vehicle = Vehicle(profile, iter(legs_from(profile, start_ms, number=number)), draw=Random(number).random)
    starts = range(start_ms, start_ms + DAY_MS, interval_ms)
    return [vehicle.measure(surroundings_at(each, interval_ms, ZONE)) for each in starts]


@pytest.mark.parametrize("number", range(len(PROFILES)))
def test_less_energy_reaches_the_battery_than_leaves_the_wall(number: int) -> None:
    """In every interval DC stays below AC, and over the day the loss is that of level 2 charging."""
    day = day_of(number)

    wall = sum(charger["import_kwh"] for charger, _ in day)
    battery = sum(vehicle["energy_delivered_kwh"] for _, vehicle in day)

    assert all(v["energy_delivered_kwh"] < c["import_kwh"] or c["import_kwh"] == 0 for c, v in day)
    assert all(v["energy_delivered_kwh"] == 0 for c, v in day if c["import_kwh"] == 0)
    assert 0.86 < battery / wall < 0.94


@pytest.mark.parametrize("start_ms", [MIDNIGHT_MS, MIDNIGHT_MS + 9 * 3_600_000])
def test_every_vehicle_charges_on_every_day(start_ms: int) -> None:
    """A day's window has energy for each vehicle, wherever it begins."""
    for number in range(len(PROFILES)):
        assert sum(vehicle["energy_delivered_kwh"] for _, vehicle in day_of(number, start_ms=start_ms)) > 5


@pytest.mark.parametrize("number", range(0, len(PROFILES), 4))
def test_the_state_of_charge_rises_by_what_the_pack_took(number: int) -> None:
    """While it charges, percent of the pack's capacity and delivered energy say the same."""
    day = day_of(number)
    capacity_kwh = PROFILES[number].capacity_kwh

    charged = 0
    for (_, before), (_, after) in pairwise(day):
        if before["charging_state"] == after["charging_state"] == ChargingState.CHARGING:
            gained_percent = after["energy_delivered_kwh"] / capacity_kwh * 100
            rise = after["state_of_charge_percent"] - before["state_of_charge_percent"]
            assert rise == pytest.approx(gained_percent, abs=0.0011)
            charged += 1
    assert charged > 60


@pytest.mark.parametrize("number", range(0, len(PROFILES), 4))
def test_energy_flows_in_the_charging_state_and_in_no_other(number: int) -> None:
    """State and power never contradict each other, and power never exceeds the charger's."""
    charger_kw = PROFILES[number].charger_w / 1000

    for charger, vehicle in day_of(number):
        assert (charger["import_kwh"] > 0) == (vehicle["charging_state"] == ChargingState.CHARGING)
        assert 0 <= vehicle["power_kw"] <= charger["power_kw"] <= charger_kw + 0.001


def test_the_register_of_the_charger_is_the_sum_of_its_energies() -> None:
    """The charger is a meter and keeps a meter's word."""
    day = day_of(2)

    summed = round(sum(charger["import_kwh"] for charger, _ in day) * 1e6)

    assert round(day[-1][0]["import_register_kwh"] * 1e6) == summed


def test_coarser_intervals_carry_the_same_energy_at_the_wall() -> None:
    """Where an interval is cut does not change what the day adds up to."""
    by_minute = sum(charger["import_kwh"] for charger, _ in day_of(4))
    by_hour = sum(charger["import_kwh"] for charger, _ in day_of(4, interval_ms=3_600_000))

    assert round(by_minute * 1e6) == round(by_hour * 1e6)


def test_a_vehicle_arrives_with_a_third_and_leaves_with_four_fifths() -> None:
    """Means over many sessions follow the published ones: 33.7 % on arrival, 79.1 % on departure."""
    arrivals, departures = [], []
    for number, profile in enumerate(PROFILES):
        for before, after in pairwise(legs_from(profile, MIDNIGHT_MS, number=number)):
            evening = surroundings_at(after.start_ms, MINUTE_MS, ZONE).local_minute >= 17 * 60
            if after.state is ChargingState.PREPARING and evening:
                arrivals.append(after.start_percent)
            if before.state is ChargingState.FINISHING and before.end_ms - before.start_ms > 600_000:
                departures.append(before.end_percent)

    assert len(arrivals) > 100
    assert 31 < sum(arrivals) / len(arrivals) < 37
    assert 77 < sum(departures) / len(departures) < 81


def test_legs_have_no_gap_and_the_state_of_charge_no_jump() -> None:
    """A vehicle is always somewhere, and its battery never changes on its own."""
    for number, profile in enumerate(PROFILES):
        legs = legs_from(profile, MIDNIGHT_MS, number=number)

        assert legs[0].start_ms <= MIDNIGHT_MS < legs[0].end_ms
        assert all(one.end_ms == other.start_ms for one, other in pairwise(legs))
        assert all(one.end_percent == other.start_percent for one, other in pairwise(legs))
        assert all(0 <= leg.end_percent <= 100 and leg.end_ms > leg.start_ms for leg in legs)


def test_the_same_day_is_planned_whenever_the_window_begins() -> None:
    """A window that begins in the middle of a session meets it as it is."""
    early = legs_from(PROFILES[0], MIDNIGHT_MS)
    late = legs_from(PROFILES[0], MIDNIGHT_MS + 20 * 3_600_000)

    assert late[:20] == early[early.index(late[0]) :][:20]


def test_cold_and_low_current_cost_efficiency() -> None:
    """The same car loses more on a January night, and in the taper at half the current."""
    profile = VehicleProfile(capacity_kwh=60.0, charger_w=7_400, efficiency=0.93)

    def efficiencies(day: date) -> set[int]:
        legs = legs_from(profile, instant_ms_of(day, 0, ZONE))[:6]
        return {leg.efficiency_permille for leg in legs if leg.wall_w}

    assert efficiencies(date(2025, 6, 15)) == {930, 910}
    assert max(efficiencies(date(2025, 1, 15))) < 930
    assert min(efficiencies(date(2025, 1, 15))) < 910


def test_charging_warms_the_battery() -> None:
    """At the end of a session the pack is warmer than the air, and always in its normal band."""
    day = day_of(0)
    temperatures = [vehicle["battery_temperature_celsius"] for _, vehicle in day]
    sessions = [n for n, (charger, _) in enumerate(day) if charger["import_kwh"] > 0 and n > 17 * 60]

    end = sessions[-1]

    assert temperatures[end] > surroundings_at(MIDNIGHT_MS + end * MINUTE_MS, MINUTE_MS, ZONE).ambient_celsius + 3
    assert all(10 < each < 45 for each in temperatures)


def test_charging_states_are_numbered_as_in_the_contract() -> None:
    """The model needs no message, yet speaks its numbers."""
    for state in ChargingState:
        assert int(reading_pb2.ChargingState.Value(f"CHARGING_STATE_{state.name}")) == int(state)
