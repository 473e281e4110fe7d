"""The states of devices by their names in the contract, and the same as small numbers for columns."""

from __future__ import annotations

from energy.telemetry.v1.reading_pb2 import ChargingState, OperatingState

from analytics.stream.observation import REPORTING_STATE, UNKNOWN_STATE


def _states(prefix: str, names: dict[str, int]) -> dict[int, str]:
    return {number: name.removeprefix(prefix) if number else UNKNOWN_STATE for name, number in names.items()}


CHARGING_STATES = _states("CHARGING_STATE_", dict(ChargingState.items()))
OPERATING_STATES = _states("OPERATING_STATE_", dict(OperatingState.items()))

# Sorted, so that states compare as their numbers do.
STATES = tuple(sorted({REPORTING_STATE, *CHARGING_STATES.values(), *OPERATING_STATES.values()}))
STATE_NUMBERS = {state: number for number, state in enumerate(STATES)}
