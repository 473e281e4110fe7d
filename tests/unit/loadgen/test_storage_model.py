"""A grid battery: the state machine tick by tick, and what its readings say of the ticks."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain, pairwise, repeat
from random import Random
from zoneinfo import ZoneInfo

import pytest
from energy.telemetry.v1 import reading_pb2

from loadgen.storage import Pack, StorageFields
from loadgen.storage_preset import GRID_BATTERY, LEGAL_MOVES, OperatingState, StoragePreset
from loadgen.surroundings import surroundings_at

DOCUMENTED = StoragePreset()
ZONE = ZoneInfo("Asia/Kolkata")
MINUTE_MS = 60_000
NO_LUCK, LUCK = 0.999, 0.0


def pack_in(state: OperatingState, charge_per_mille: int, lots: Iterable[float] = ()) -> Pack:
    """A pack of the documented preset whose lots are given, then never lucky."""
    draw = chain(lots, repeat(NO_LUCK))
    return Pack(DOCUMENTED, draw=lambda: next(draw), charge_per_mille=charge_per_mille, state=state)


def simulated(preset: StoragePreset, ticks: int, seed: int) -> list[tuple[OperatingState, int, int]]:
    """State after each tick, per mille moved in it, and cycles so far."""
    pack = Pack(preset, draw=Random(seed).random)
    history = []
    for _ in range(ticks):
        moved = pack.tick()
        history.append((pack.state, moved, pack.cycle_count))
    return history


def day_of(preset: StoragePreset, seed: int, interval_ms: int = MINUTE_MS) -> list[StorageFields]:
    """A pack's readings of a day."""
    pack = Pack(preset, draw=Random(seed).random)
    return [pack.measure(surroundings_at(each, interval_ms, ZONE)) for each in range(0, 86_400_000, interval_ms)]


@pytest.mark.parametrize(
    ("state", "charge", "lots", "following"),
    [
        (OperatingState.STARTUP, 201, [], OperatingState.DISCHARGING),
        (OperatingState.STARTUP, 200, [LUCK], OperatingState.FAULT),
        (OperatingState.STARTUP, 200, [NO_LUCK], OperatingState.IDLE),
        (OperatingState.CHARGING, 900, [], OperatingState.IDLE),
        (OperatingState.CHARGING, 899, [0.0049], OperatingState.FAULT),
        (OperatingState.CHARGING, 899, [0.0051], OperatingState.CHARGING),
        (OperatingState.DISCHARGING, 100, [], OperatingState.CHARGING),
        (OperatingState.DISCHARGING, 101, [0.0049], OperatingState.FAULT),
        (OperatingState.DISCHARGING, 101, [0.0051], OperatingState.DISCHARGING),
        (OperatingState.IDLE, 199, [NO_LUCK, 0.69], OperatingState.CHARGING),
        (OperatingState.IDLE, 199, [NO_LUCK, 0.71], OperatingState.IDLE),
        (OperatingState.IDLE, 200, [NO_LUCK, 0.49], OperatingState.DISCHARGING),
        (OperatingState.IDLE, 200, [NO_LUCK, 0.51], OperatingState.IDLE),
        (OperatingState.IDLE, 500, [LUCK], OperatingState.SHUTDOWN),
        (OperatingState.FAULT, 500, [0.29], OperatingState.MAINTENANCE),
        (OperatingState.FAULT, 500, [0.31], OperatingState.FAULT),
        (OperatingState.MAINTENANCE, 500, [0.19], OperatingState.STARTUP),
        (OperatingState.MAINTENANCE, 500, [0.21], OperatingState.MAINTENANCE),
        (OperatingState.SHUTDOWN, 500, [0.09], OperatingState.STARTUP),
        (OperatingState.SHUTDOWN, 500, [0.11], OperatingState.SHUTDOWN),
    ],
)
def test_a_tick_makes_the_documented_move(
    state: OperatingState, charge: int, lots: list[float], following: OperatingState
) -> None:
    """Each rule of the machine, on both sides of its limit or probability."""
    pack = pack_in(state, charge, lots)

    pack.tick()

    assert pack.state is following


@pytest.mark.parametrize(
    ("state", "charge", "moved", "after"),
    [
        (OperatingState.CHARGING, 500, -20, 520),
        (OperatingState.DISCHARGING, 500, 20, 480),
        (OperatingState.CHARGING, 900, 0, 900),
        (OperatingState.DISCHARGING, 100, 0, 100),
        (OperatingState.IDLE, 500, 0, 500),
    ],
)
def test_a_tick_moves_twenty_per_mille(state: OperatingState, charge: int, moved: int, after: int) -> None:
    """Charge changes while it charges or discharges, and not in the tick that leaves."""
    pack = pack_in(state, charge)

    assert pack.tick() == moved
    assert pack.charge_per_mille == after


def test_temperature_climbs_by_a_twentieth_to_its_cap_and_falls_to_the_ambient() -> None:
    """The thermal model: x1.05 under load up to 100, x0.95 at rest down to 22 degrees."""
    pack = pack_in(OperatingState.CHARGING, 0)
    pack.tick()
    first = pack.temperature_celsius
    pack.temperature_celsius = 99.0
    pack.tick()
    highest = pack.temperature_celsius
    pack.state = OperatingState.FAULT
    pack.tick()
    cooled = pack.temperature_celsius
    pack.temperature_celsius = 22.5
    pack.tick()

    assert (first, highest, cooled) == (22 * 1.05, 100.0, 95.0)
    assert pack.temperature_celsius == 22.0


def test_a_full_charge_counts_one_cycle() -> None:
    """Cycles count when charging is complete."""
    pack = pack_in(OperatingState.CHARGING, 900)

    pack.tick()

    assert pack.cycle_count == 2


def test_only_legal_moves_happen_and_all_seven_states_are_seen() -> None:
    """In a long life every state is reached, shutdown too, and each is left as it may be."""
    states = [state for seed in range(3) for state, _, _ in simulated(DOCUMENTED, 30_000, seed)]
    lives = [states[start : start + 30_000] for start in range(0, 90_000, 30_000)]

    moves = Counter((before, after) for life in lives for before, after in pairwise(life) if before is not after)

    assert set(states) == set(OperatingState)
    assert all(after in LEGAL_MOVES[before] for before, after in moves)
    assert {(before, after) for before, legal in LEGAL_MOVES.items() for after in legal} - set(moves) <= {
        # Needs a pack that starts up nearly empty and fails at once.
        (OperatingState.STARTUP, OperatingState.FAULT)
    }


def test_no_energy_moves_in_fault_maintenance_idle_startup_or_shutdown() -> None:
    """A pack that does not work has no power, whatever it had before."""
    moving = {(state, moved > 0) for state, moved, _ in simulated(DOCUMENTED, 50_000, seed=5) if moved}

    assert moving == {(OperatingState.DISCHARGING, True), (OperatingState.CHARGING, False)}


def test_maintenance_keeps_the_cycle_count() -> None:
    """Cycles are the battery's age: nothing resets them."""
    history = simulated(DOCUMENTED, 50_000, seed=5)

    assert any(state is OperatingState.MAINTENANCE for state, _, _ in history)
    assert all(after >= before for (_, _, before), (_, _, after) in pairwise(history))


@pytest.mark.parametrize("preset", [DOCUMENTED, GRID_BATTERY], ids=["documented", "grid"])
def test_readings_carry_the_energy_of_their_ticks(preset: StoragePreset) -> None:
    """Energy over a day equals the moved charge, less the loss on the way in and the way out."""
    one_way = preset.round_trip_efficiency**0.5
    day = day_of(preset, seed=9)

    charged = sum(each["charge_kwh"] for each in day)
    discharged = sum(each["discharge_kwh"] for each in day)
    gained = (day[-1]["state_of_charge_percent"] - 100) / 100 * preset.capacity_kwh

    assert charged > 0
    assert discharged > 0
    # Each tick's energy is cut to whole milliwatt-hours, a ten-thousandth of the small preset's ticks.
    assert abs(charged * one_way - discharged / one_way - gained) < 2e-4 * charged


def test_power_is_the_mean_over_the_interval_and_positive_when_discharging() -> None:
    """Power times interval is discharge less charge."""
    for each in day_of(GRID_BATTERY, seed=2):
        assert each["power_kw"] / 60 == pytest.approx(each["discharge_kwh"] - each["charge_kwh"], abs=1e-6)


def test_a_grid_battery_has_a_plausible_day() -> None:
    """A four-hour unit: 979 kW at the cells, some cycles a day, cells cool enough, charge between its limits."""
    day = day_of(GRID_BATTERY, seed=2)

    assert GRID_BATTERY.power_kw == pytest.approx(979)
    assert max(abs(each["power_kw"]) for each in day) <= GRID_BATTERY.charging_power_kw + 0.001
    assert 2 <= day[-1]["cycle_count"] <= 6
    assert all(22 <= each["temperature_celsius"] <= 38 for each in day)
    assert all(9.5 <= each["state_of_charge_percent"] <= 100 for each in day)
    assert all(470 < each["voltage_v"] < 490 for each in day)


def test_operating_states_are_numbered_as_in_the_contract() -> None:
    """The model needs no message, yet speaks its numbers."""
    for state in OperatingState:
        assert int(reading_pb2.OperatingState.Value(f"OPERATING_STATE_{state.name}")) == int(state)
    assert len(OperatingState) == len(reading_pb2.OperatingState.values()) - 1
