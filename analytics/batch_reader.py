"""Where a reading is read off the queue: the bytes of a batch become observations, all of them or none."""

from __future__ import annotations

import math

from energy.ingestion.v1 import reading_batch_pb2
from energy.telemetry.v1 import reading_pb2
from google.protobuf.message import DecodeError

from analytics.observation import (
    METER,
    REPORTING_STATE,
    STORAGE,
    UNKNOWN_KIND,
    UNKNOWN_STATE,
    VEHICLE,
    Observation,
    ReceivedBatch,
    ReceivedPart,
)
from common.energy import milliwatt_hours

_NANOS_PER_MS = 1_000_000


def _states(enum: object, prefix: str) -> dict[int, str]:
    names: dict[int, str] = {number: name.removeprefix(prefix) for name, number in enum.items()}  # type: ignore[attr-defined]
    names[0] = UNKNOWN_STATE
    return names


_CHARGING_STATES = _states(reading_pb2.ChargingState, "CHARGING_STATE_")
_OPERATING_STATES = _states(reading_pb2.OperatingState, "OPERATING_STATE_")


class Undecodable(Exception):
    """Expected: the bytes are no batch of readings; they never will be."""


def read_batch(body: bytes) -> ReceivedBatch:
    """The batch in the body of a delivery.

    Raises:
        Undecodable: the bytes are no `ReadingBatch`, it has no id, or a number in it is not finite.
    """
    try:
        batch = reading_batch_pb2.ReadingBatch.FromString(body)
        if not batch.batch_id:
            raise Undecodable("the batch has no id")
        return ReceivedBatch(batch.batch_id, [_read_part(part) for part in batch.parts], batch.partition_count)
    except (DecodeError, ValueError) as malformed:
        raise Undecodable(type(malformed).__name__) from malformed


def _read_part(part: reading_batch_pb2.Part) -> ReceivedPart:
    receive_ms = part.receive_time.ToMilliseconds()
    return ReceivedPart(receive_ms, [observe(reading, receive_ms) for reading in part.readings])


def observe(reading: reading_pb2.Reading, receive_ms: int) -> Observation:
    """What analytics keeps of a reading that the gateway received at `receive_ms`.

    Raises:
        ValueError: an energy or a power is not a finite number.
    """
    start = reading.start_time
    interval = reading.interval
    # The gateway lets whole milliseconds through only, so that plain arithmetic is exact and needs no checks here.
    start_ms = start.seconds * 1000 + start.nanos // _NANOS_PER_MS
    end_ms = start_ms + interval.seconds * 1000 + interval.nanos // _NANOS_PER_MS
    kind, state, power_kw, taken_kwh, given_kwh = _measured(reading)
    if power_kw is not None and not math.isfinite(power_kw):
        raise ValueError("must be a finite number")
    return Observation(
        reading.device_id,
        kind,
        start_ms,
        end_ms,
        reading.revision,
        receive_ms,
        state,
        power_kw,
        # Most meters feed nothing in; 0 needs no rounding.
        milliwatt_hours(taken_kwh) if taken_kwh else 0,
        milliwatt_hours(given_kwh) if given_kwh else 0,
    )


def _measured(reading: reading_pb2.Reading) -> tuple[str, str, float | None, float, float]:
    """Kind, state, power in kW, energy taken and given in kWh."""
    match reading.WhichOneof("measurement"):
        case "meter":
            meter = reading.meter
            power_kw = meter.power_kw if meter.HasField("power_kw") else None
            return METER, REPORTING_STATE, power_kw, meter.import_kwh, meter.export_kwh
        case "vehicle":
            vehicle = reading.vehicle
            power_kw = vehicle.power_kw if vehicle.HasField("power_kw") else None
            state = _CHARGING_STATES.get(vehicle.charging_state, UNKNOWN_STATE)
            return VEHICLE, state, power_kw, vehicle.energy_delivered_kwh, 0.0
        case "storage":
            storage = reading.storage
            power_kw = storage.power_kw if storage.HasField("power_kw") else None
            state = _OPERATING_STATES.get(storage.operating_state, UNKNOWN_STATE)
            return STORAGE, state, power_kw, storage.charge_kwh, storage.discharge_kwh
        case _:
            return UNKNOWN_KIND, UNKNOWN_STATE, None, 0.0, 0.0
