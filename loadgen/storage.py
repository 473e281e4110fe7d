"""Where a grid battery's reading is born: the state machine ticks, and the interval's energy is read off its ticks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypedDict

from loadgen.storage_preset import (
    CHARGING,
    DISCHARGING,
    FAULT,
    FULL_PER_MILLE,
    IDLE,
    MAINTENANCE,
    SHUTDOWN,
    STARTUP,
    OperatingState,
    StoragePreset,
)
from loadgen.surroundings import Surroundings

_MILLIWATT_HOURS_PER_KWH = 1_000_000
_VOLTAGE_SWING = 0.01

# The machine's own limits, in per mille: charged to the first, discharged to the second, low below the third.
_CHARGED, _DISCHARGED, _LOW = 900, 100, 200


class StorageFields(TypedDict, total=False):
    """The fields of `energy.telemetry.v1.StorageMeasurement` by name; an absent key is not measured."""

    charge_kwh: float
    discharge_kwh: float
    power_kw: float
    state_of_charge_percent: float
    temperature_celsius: float
    voltage_v: float
    cycle_count: int
    operating_state: int


class Pack:
    """One battery: `tick` is the state machine, `measure` what a reading says of the ticks in its interval."""

    __slots__ = (
        "_charge_tick",
        "_discharge_tick",
        "_draw",
        "_elapsed_ms",
        "_moved",
        "charge_per_mille",
        "cycle_count",
        "preset",
        "state",
        "temperature_celsius",
    )

    def __init__(
        self,
        preset: StoragePreset,
        *,
        draw: Callable[[], float],
        charge_per_mille: int = FULL_PER_MILLE,
        cycle_count: int = 1,
        state: OperatingState = STARTUP,
    ) -> None:
        """`draw` gives uniform numbers 0..1."""
        self.preset = preset
        self.charge_per_mille = charge_per_mille
        self.cycle_count = cycle_count
        self.state = state
        self.temperature_celsius = preset.ambient_celsius
        self._draw = draw
        self._moved = 0
        self._elapsed_ms = preset.tick_ms  # no tick is under way
        one_way = math.sqrt(preset.round_trip_efficiency)
        per_mille = preset.capacity_kwh * _MILLIWATT_HOURS_PER_KWH / FULL_PER_MILLE
        self._charge_tick = per_mille / one_way
        self._discharge_tick = per_mille * one_way

    def tick(self) -> int:
        """One step of the machine; returns the per mille that the cells gave (positive) or took (negative) in it."""
        preset, state = self.preset, self.state
        if state is CHARGING:
            if self.charge_per_mille >= _CHARGED:
                self.cycle_count += 1
                return self._leave(IDLE)
            return self._move(min(preset.step_per_mille, FULL_PER_MILLE - self.charge_per_mille))
        if state is DISCHARGING:
            if self.charge_per_mille <= _DISCHARGED:
                return self._leave(CHARGING)
            return self._move(-min(preset.step_per_mille, self.charge_per_mille))
        self._cool()
        self.state = self._next_at_rest()
        return 0

    def measure(self, surroundings: Surroundings) -> StorageFields:
        """The reading of one interval. Call for intervals in their order, without gap."""
        charged, discharged = self._advance(surroundings.interval_ms)
        preset = self.preset
        undone = self._moved * (preset.tick_ms - self._elapsed_ms) / preset.tick_ms
        percent = (self.charge_per_mille + undone) / 10
        swing = _VOLTAGE_SWING * (2 * self._draw() - 1)
        return {
            "charge_kwh": charged / _MILLIWATT_HOURS_PER_KWH,
            "discharge_kwh": discharged / _MILLIWATT_HOURS_PER_KWH,
            "power_kw": (discharged - charged) * 3.6 / surroundings.interval_ms,
            "state_of_charge_percent": int(percent * 1000 + 0.5) / 1000,
            "temperature_celsius": int(self.temperature_celsius * 10) / 10,
            "voltage_v": int(preset.voltage_v * (1 + swing) * 10) / 10,
            "cycle_count": self.cycle_count,
            "operating_state": int(self.state),
        }

    def _advance(self, span_ms: int) -> tuple[int, int]:
        """Milliwatt-hours taken from and given to the grid in the next `span_ms`."""
        tick_ms = self.preset.tick_ms
        charged = discharged = 0
        while span_ms:
            if self._elapsed_ms == tick_ms:
                self._elapsed_ms = 0
                self._moved = self.tick()
            before_ms, moved = self._elapsed_ms, self._moved
            self._elapsed_ms = after_ms = min(tick_ms, before_ms + span_ms)
            span_ms -= after_ms - before_ms
            # Counted from the tick's start, so that the intervals of a tick add up to the tick.
            if moved < 0:
                full = int(-moved * self._charge_tick)
                charged += full * after_ms // tick_ms - full * before_ms // tick_ms
            elif moved:
                full = int(moved * self._discharge_tick)
                discharged += full * after_ms // tick_ms - full * before_ms // tick_ms
        return charged, discharged

    def _move(self, gained: int) -> int:
        if self._draw() < self.preset.fault_probability:
            return self._leave(FAULT)
        self.charge_per_mille += gained
        self.temperature_celsius = min(
            self.preset.highest_celsius, self.temperature_celsius * self.preset.warming_factor
        )
        return -gained

    def _leave(self, state: OperatingState) -> int:
        # The tick that leaves charging or discharging moves no energy and no temperature.
        self.state = state
        return 0

    def _cool(self) -> None:
        preset = self.preset
        self.temperature_celsius = max(preset.ambient_celsius, self.temperature_celsius * preset.cooling_factor)

    def _next_at_rest(self) -> OperatingState:
        preset, state, low = self.preset, self.state, self.charge_per_mille < _LOW
        if state is IDLE:
            return self._next_when_idle(low=low)
        if state is STARTUP:
            if self.charge_per_mille > _LOW:
                return DISCHARGING
            return FAULT if self._draw() < preset.fault_probability else IDLE
        probability, following = {
            FAULT: (preset.fault_to_maintenance_probability, MAINTENANCE),
            MAINTENANCE: (preset.maintenance_to_startup_probability, STARTUP),
            SHUTDOWN: (preset.shutdown_to_startup_probability, STARTUP),
        }[state]
        return following if self._draw() < probability else state

    def _next_when_idle(self, *, low: bool) -> OperatingState:
        preset = self.preset
        if self._draw() < preset.idle_to_shutdown_probability:
            return SHUTDOWN
        if low:
            return CHARGING if self._draw() < preset.idle_to_charging_probability else IDLE
        return DISCHARGING if self._draw() < preset.idle_to_discharging_probability else IDLE
