"""How much of what a grid battery took in it gave back, corrected by what is in its cells and was not before."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analytics.performance.efficiency_state import EfficiencyState, state_of_percent
from analytics.usage.measured_energy import Window

_MILLIWATT_HOURS_A_KWH = 1_000_000
# A state of charge is told to a tenth of a per cent or so, so a small turnover says nothing.
_TURNOVER_SHARE_MINIMUM = 0.1
_TURNOVER_MINIMUM_MILLIWATT_HOURS = _MILLIWATT_HOURS_A_KWH // 2
_SAME_WITHIN_PERCENT = 0.1


@dataclass(frozen=True, slots=True)
class ChargeReading:
    """A reading that carries a state of charge: that at its end, percent; UTC milliseconds."""

    start_ms: int
    end_ms: int
    percent: float


@dataclass(frozen=True, slots=True)
class Turnover:
    """What a battery took in and gave out after a first reading and up to a last one; None: not measured."""

    first: ChargeReading
    last: ChargeReading
    charge_milliwatt_hours: int | None
    discharge_milliwatt_hours: int | None


@dataclass(frozen=True, slots=True)
class StoragePerformance:
    """How a battery did; None stands for what is not known. Energies are milliwatt-hours."""

    window: Window
    turnover: Turnover | None
    capacity_kwh: float | None
    stored_milliwatt_hours: float | None
    loss_milliwatt_hours: float | None
    efficiency: float | None
    state: EfficiencyState


def storage_performance(
    window: Window, turnover: Turnover | None, capacity_kwh: float | None, low_percent: float
) -> StoragePerformance:
    """Judges a battery; `turnover` is None where no two readings carry a state of charge."""
    stored = None if turnover is None else _stored(turnover, capacity_kwh)
    charge = None if turnover is None else turnover.charge_milliwatt_hours
    discharge = None if turnover is None else turnover.discharge_milliwatt_hours
    # Without a charge, or a discharge, none was measured: a battery that is there measures a 0.
    if stored is None or charge is None or discharge is None:
        return StoragePerformance(window, turnover, capacity_kwh, stored, None, None, EfficiencyState.NO_DATA)
    efficiency, state = None, EfficiencyState.TOO_SMALL
    if charge + discharge >= _turnover_minimum(capacity_kwh):
        efficiency = round_trip_efficiency(charge, discharge, stored)
        state = EfficiencyState.NO_DATA if efficiency is None else state_of_percent(100 * efficiency, low_percent)
    return StoragePerformance(window, turnover, capacity_kwh, stored, charge - discharge - stored, efficiency, state)


def round_trip_efficiency(charge: float, discharge: float, stored: float) -> float | None:
    """What comes out of what goes in, where both ways lose the same share; `stored` is what the cells have more.

    With a one-way efficiency x the cells get charge·x and give discharge/x: charge·x - discharge/x = stored. Of both
    solutions the positive one counts, and the round trip is x². None where nothing was taken in, or nothing came of it.
    """
    root = math.sqrt(stored * stored + 4 * charge * discharge)
    # The same number written in two ways, so that neither takes a difference of what is nearly the same.
    if stored < 0:
        one_way = 2 * discharge / (root - stored)
    elif charge > 0:
        one_way = (root + stored) / (2 * charge)
    else:
        return None
    return one_way * one_way if one_way > 0 else None


def _stored(turnover: Turnover, capacity_kwh: float | None) -> float | None:
    more_percent = turnover.last.percent - turnover.first.percent
    if capacity_kwh is None:
        return 0.0 if round(abs(more_percent), 6) <= _SAME_WITHIN_PERCENT else None
    return capacity_kwh * _MILLIWATT_HOURS_A_KWH * more_percent / 100


def _turnover_minimum(capacity_kwh: float | None) -> float:
    if capacity_kwh is None:
        return _TURNOVER_MINIMUM_MILLIWATT_HOURS
    return capacity_kwh * _MILLIWATT_HOURS_A_KWH * _TURNOVER_SHARE_MINIMUM
