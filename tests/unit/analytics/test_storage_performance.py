"""How much of what a battery took in it gave back, wherever its state of charge was at both ends."""

from __future__ import annotations

import math
import random

import pytest

from analytics.performance.efficiency_state import EfficiencyState
from analytics.performance.storage_performance import (
    ChargeReading,
    Turnover,
    round_trip_efficiency,
    storage_performance,
)
from analytics.usage.measured_energy import Window

KWH = 1_000_000
DAY = Window(0, 86_400_000)


def turnover(
    charge_kwh: float | None, discharge_kwh: float | None, first: float = 50.0, last: float = 50.0
) -> Turnover:
    """A day of a battery."""
    charge, discharge = (None if energy is None else round(energy * KWH) for energy in (charge_kwh, discharge_kwh))
    return Turnover(ChargeReading(0, 60_000, first), ChargeReading(86_340_000, 86_400_000, last), charge, discharge)


@pytest.mark.parametrize("seed", range(20))
def test_the_efficiency_of_a_made_up_battery_is_found_again(seed: int) -> None:
    """Whatever went in and came out, and however full it was before and after."""
    chance = random.Random(seed)
    efficiency, cells_in, cells_out = chance.uniform(0.3, 0.99), chance.uniform(0, 9e9), chance.uniform(0, 9e9)
    one_way = math.sqrt(efficiency)

    found = round_trip_efficiency(cells_in / one_way, cells_out * one_way, cells_in - cells_out)

    assert found == pytest.approx(efficiency, rel=1e-9)


@pytest.mark.parametrize(
    ("charge", "discharge", "stored", "expected"),
    [
        (100.0, 85.0, 0.0, 0.85),
        (100.0, 0.0, 90.0, 0.81),
        (0.0, 90.0, -100.0, 0.81),
        (1e-9, 90.0, -100.0, 0.81),
        (0.0, 0.0, 0.0, None),
        (0.0, 0.0, -5.0, None),
        (0.0, 0.0, 5.0, None),
        (100.0, 0.0, 0.0, None),
        (100.0, 0.0, -5.0, None),
    ],
)
def test_one_way_is_enough_where_the_cells_tell_the_other(
    charge: float, discharge: float, stored: float, expected: float | None
) -> None:
    """Nothing is known of what neither went in nor came out."""
    found = round_trip_efficiency(charge, discharge, stored)

    assert found == (None if expected is None else pytest.approx(expected))


def test_a_fuller_battery_has_lost_less_than_it_seems() -> None:
    """100 kWh in and 50 out, but 40 more in the cells."""
    found = storage_performance(DAY, turnover(100, 50, 30, 70), 100.0, 85.0)

    assert (found.stored_milliwatt_hours, found.loss_milliwatt_hours) == (40 * KWH, 10 * KWH)
    assert found.efficiency is not None
    assert 0.85 < found.efficiency < 0.9
    assert found.state is EfficiencyState.OK


@pytest.mark.parametrize(
    ("turned", "capacity_kwh", "state"),
    [
        (turnover(100, 85), 100.0, EfficiencyState.OK),
        (turnover(100, 84.9), 100.0, EfficiencyState.LOW),
        (turnover(100, 102), 100.0, EfficiencyState.DATA_ERROR),
        (turnover(5, 4), 100.0, EfficiencyState.TOO_SMALL),
        (turnover(0, 0), 100.0, EfficiencyState.TOO_SMALL),
        (turnover(100, 0), 100.0, EfficiencyState.NO_DATA),
        (turnover(None, 50), 100.0, EfficiencyState.NO_DATA),
        (turnover(50, None), 100.0, EfficiencyState.NO_DATA),
        (None, 100.0, EfficiencyState.NO_DATA),
        (turnover(100, 90), None, EfficiencyState.OK),
        (turnover(100, 90, 50.0, 50.1), None, EfficiencyState.OK),
        (turnover(0.2, 0.2), None, EfficiencyState.TOO_SMALL),
    ],
)
def test_each_case_has_its_state(turned: Turnover | None, capacity_kwh: float | None, state: EfficiencyState) -> None:
    """85 per cent is the limit here."""
    found = storage_performance(DAY, turned, capacity_kwh, 85.0)

    assert found.state is state
    if state in {EfficiencyState.NO_DATA, EfficiencyState.TOO_SMALL}:
        assert found.efficiency is None


def test_without_a_capacity_nothing_is_known_of_a_battery_that_is_fuller_than_before() -> None:
    """Neither the loss nor the efficiency: they are absent, and not what they would be without a correction."""
    found = storage_performance(DAY, turnover(100, 50, 30, 70), None, 85.0)

    assert (found.stored_milliwatt_hours, found.loss_milliwatt_hours, found.efficiency) == (None, None, None)
    assert found.state is EfficiencyState.NO_DATA
