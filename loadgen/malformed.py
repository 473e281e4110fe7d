"""Readings that must be refused, each made of a good one and each with the reason that its verdict has to give."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from energy.common.v1 import error_reason_pb2
from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading, VehicleMeasurement

from common.instants import from_ms

_AHEAD_MS = 10 * 60_000

_ENERGY_FIELD = {"meter": "import_kwh", "vehicle": "energy_delivered_kwh", "storage": "charge_kwh"}
_WITH_STATE_OF_CHARGE = ("vehicle", "storage")


@dataclass(frozen=True, slots=True)
class MalformedReading:
    """A reading that must be refused with this reason."""

    reading: Reading
    reason: ErrorReason.ValueType


# Takes a good reading and the time of the receiver's clock in milliseconds since 1970, UTC. None: nothing to spoil.
Fault = Callable[[Reading, int], MalformedReading | None]


def energy_not_a_number(good: Reading, _now_ms: int) -> MalformedReading | None:
    """NaN for the energy."""
    return _with_energy(good, math.nan)


def energy_negative(good: Reading, _now_ms: int) -> MalformedReading | None:
    """Energy below zero."""
    return _with_energy(good, -0.5)


def state_of_charge_150(good: Reading, _now_ms: int) -> MalformedReading | None:
    """A state of charge of 150 %; None for a meter, which has none."""
    kind = good.WhichOneof("measurement")
    if kind not in _WITH_STATE_OF_CHARGE:
        return None
    bad = _copy(good)
    getattr(bad, kind).state_of_charge_percent = 150.0
    return MalformedReading(bad, error_reason_pb2.ERROR_REASON_OUT_OF_RANGE)


def ten_minutes_ahead(good: Reading, now_ms: int) -> MalformedReading | None:
    """A start ten minutes ahead of the receiver's clock."""
    bad = _copy(good)
    bad.start_time.CopyFrom(from_ms(now_ms + _AHEAD_MS))
    return MalformedReading(bad, error_reason_pb2.ERROR_REASON_TOO_FAR_AHEAD)


def unknown_device(good: Reading, _now_ms: int) -> MalformedReading | None:
    """An id that nobody has registered."""
    bad = _copy(good)
    bad.device_id = f"unregistered-{good.device_id}"[:128]
    return MalformedReading(bad, error_reason_pb2.ERROR_REASON_DEVICE_NOT_FOUND)


def wrong_kind(good: Reading, _now_ms: int) -> MalformedReading | None:
    """A vehicle's measurement from a meter, a meter's from any other device."""
    bad = _copy(good)
    if good.WhichOneof("measurement") == "meter":
        bad.vehicle.CopyFrom(VehicleMeasurement(energy_delivered_kwh=0.1, state_of_charge_percent=50.0))
    else:
        bad.meter.CopyFrom(MeterMeasurement(import_kwh=0.1))
    return MalformedReading(bad, error_reason_pb2.ERROR_REASON_KIND_MISMATCH)


FAULTS: tuple[Fault, ...] = (
    energy_not_a_number,
    energy_negative,
    state_of_charge_150,
    ten_minutes_ahead,
    unknown_device,
    wrong_kind,
)


def _with_energy(good: Reading, energy_kwh: float) -> MalformedReading | None:
    kind = good.WhichOneof("measurement")
    if kind is None:
        return None
    bad = _copy(good)
    setattr(getattr(bad, kind), _ENERGY_FIELD[kind], energy_kwh)
    return MalformedReading(bad, error_reason_pb2.ERROR_REASON_OUT_OF_RANGE)


def _copy(good: Reading) -> Reading:
    bad = Reading()
    bad.CopyFrom(good)
    return bad
