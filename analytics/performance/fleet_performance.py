"""How well vehicles charged, one beside the other: what to ask, which answer is whose, what they come to together."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from analytics.performance.efficiency_state import EfficiencyState
from analytics.performance.performance import MeterLink, Performance, meters_by_window, performance_of
from analytics.usage.measured_energy import MeasuredEnergy, Window

_COMPARED = {EfficiencyState.OK, EfficiencyState.LOW, EfficiencyState.TOO_SMALL}

Measured = Mapping[tuple[Window, str], MeasuredEnergy]
"""What devices measured in parts of the window; those without a reading are absent."""


@dataclass(frozen=True, slots=True)
class JudgedVehicle:
    """A vehicle, how it charged and what can be said of it."""

    device_id: str
    performance: Performance
    state: EfficiencyState


@dataclass(frozen=True, slots=True)
class FleetPerformance:
    """How a fleet charged; the energies are over the `compared_count` vehicles whose AC and DC are known and fit."""

    window: Window
    vehicle_count: int
    state_counts: Mapping[EfficiencyState, int]
    compared_count: int
    ac_milliwatt_hours: int | None
    dc_milliwatt_hours: int | None
    vehicles: Sequence[JudgedVehicle]


class FleetLinks:
    """Which meters measured the charging of which vehicles in which part of a window."""

    def __init__(self, window: Window, links: Mapping[str, Iterable[MeterLink]]) -> None:
        self._window = window
        self._parts = {device_id: meters_by_window(window, some) for device_id, some in links.items()}

    def questions(self) -> dict[Window, list[str]]:
        """Which devices have to be asked about over which part, each once; the whole window comes first."""
        found: dict[Window, dict[str, None]] = {self._window: dict.fromkeys(self._parts)}
        for parts in self._parts.values():
            for part, meter_ids in parts.items():
                found.setdefault(part, {}).update(dict.fromkeys(meter_ids))
        return {part: list(device_ids) for part, device_ids in found.items()}

    def performances(self, measured: Measured) -> dict[str, Performance]:
        """How each vehicle charged, by its id."""
        return {
            device_id: performance_of(
                self._window,
                measured.get((self._window, device_id)),
                [
                    measured[part, meter_id]
                    for part, meter_ids in parts.items()
                    for meter_id in meter_ids
                    if (part, meter_id) in measured
                ],
                [meter_id for meter_ids in parts.values() for meter_id in meter_ids],
            )
            for device_id, parts in self._parts.items()
        }


def fleet_performance(
    window: Window, vehicles: Collection[JudgedVehicle], states: Collection[EfficiencyState], limit: int
) -> FleetPerformance:
    """What vehicles come to, and those of some states (none: any) that lost most, at most so many."""
    compared = [vehicle.performance for vehicle in vehicles if vehicle.state in _COMPARED]
    listed = (vehicle for vehicle in vehicles if not states or vehicle.state in states)
    return FleetPerformance(
        window=window,
        vehicle_count=len(vehicles),
        state_counts=Counter(vehicle.state for vehicle in vehicles),
        compared_count=len(compared),
        ac_milliwatt_hours=sum(one.ac_milliwatt_hours or 0 for one in compared) if compared else None,
        dc_milliwatt_hours=sum(one.dc_milliwatt_hours or 0 for one in compared) if compared else None,
        vehicles=heapq.nsmallest(limit, listed, key=_by_loss),
    )


def _by_loss(vehicle: JudgedVehicle) -> tuple[bool, int, str]:
    lost = vehicle.performance.loss_milliwatt_hours
    return lost is None, -(lost or 0), vehicle.device_id
