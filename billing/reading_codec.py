"""Turns readings at rest back into the messages people ask for."""

from typing import Any

from energy.billing.v1.usage_pb2 import LiveReading, RecordedReading
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading, StorageMeasurement, VehicleMeasurement

from billing.live import Latest
from billing.observation import Observation, SpanKey
from billing.schema import KINDS
from common.energy import kwh
from common.instants import duration_from_ms, from_ms

_MESSAGES: dict[str, type[MeterMeasurement | VehicleMeasurement | StorageMeasurement]] = {
    "meter": MeterMeasurement,
    "vehicle": VehicleMeasurement,
    "storage": StorageMeasurement,
}


def to_reading(kind: str, device_id: str, start_ms: int, observation: Observation) -> Reading:
    """The reading an observation came from, its energy rounded to whole milliwatt-hours."""
    fields: dict[str, Any] = {
        column.field: kwh(int(value)) if column.is_energy else value
        for column, value in zip(KINDS[kind].columns, observation.values, strict=True)
        if value is not None
    }
    reading = Reading(
        device_id=device_id,
        start_time=from_ms(start_ms),
        interval=duration_from_ms(observation.interval_ms),
        revision=observation.revision,
    )
    getattr(reading, kind).CopyFrom(_MESSAGES[kind](**fields))
    return reading


def to_live_reading(latest: Latest) -> LiveReading:
    """The newest reading of a device as a message."""
    return LiveReading(
        reading=to_reading(latest.kind, latest.device_id, latest.start_ms, latest.observation),
        receive_time=from_ms(latest.observation.receive_ms),
        record_time=from_ms(latest.observation.record_ms),
    )


def to_recorded_reading(key: SpanKey, observation: Observation, *, superseded: bool) -> RecordedReading:
    """A reading on record as a message."""
    return RecordedReading(
        reading=to_reading(key.kind, key.device_id, key.span_start_ms + observation.offset_ms, observation),
        receive_time=from_ms(observation.receive_ms),
        record_time=from_ms(observation.record_ms),
        superseded=superseded,
    )
