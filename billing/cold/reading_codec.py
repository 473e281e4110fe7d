"""Turns readings at rest back into the messages people ask for."""

from typing import Any

from energy.billing.v1 import reading_quality_pb2
from energy.billing.v1.usage_pb2 import DevicePresence, LiveReading, MeanPower, RecordedReading
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading, StorageMeasurement, VehicleMeasurement

from billing.live.live_state import LiveState, five_minute_mean
from billing.log.observation import Observation, SpanKey
from billing.log.reading_quality import ReadingQuality, energy_quality, is_sent
from billing.log.schema import KINDS
from common.energy import kwh
from common.instants import duration_from_ms, from_ms
from common.silence import silent_after_ms

_MESSAGES: dict[str, type[MeterMeasurement | VehicleMeasurement | StorageMeasurement]] = {
    "meter": MeterMeasurement,
    "vehicle": VehicleMeasurement,
    "storage": StorageMeasurement,
}
_QUALITIES: dict[int, reading_quality_pb2.ReadingQuality.ValueType] = {
    ReadingQuality.MEASURED: reading_quality_pb2.READING_QUALITY_MEASURED,
    ReadingQuality.INTERPOLATED: reading_quality_pb2.READING_QUALITY_INTERPOLATED,
    ReadingQuality.REFERENCE_DAYS: reading_quality_pb2.READING_QUALITY_REFERENCE_DAYS,
    ReadingQuality.EDITED: reading_quality_pb2.READING_QUALITY_EDITED,
    ReadingQuality.REGISTER_DIFFERENCE: reading_quality_pb2.READING_QUALITY_REGISTER_DIFFERENCE,
    ReadingQuality.REGISTER_SHARE: reading_quality_pb2.READING_QUALITY_REGISTER_SHARE,
    ReadingQuality.SENT_ESTIMATED: reading_quality_pb2.READING_QUALITY_SENT_ESTIMATED,
    ReadingQuality.SENT_SUBSTITUTED: reading_quality_pb2.READING_QUALITY_SENT_SUBSTITUTED,
    ReadingQuality.SENT_FINAL_SUBSTITUTED: reading_quality_pb2.READING_QUALITY_SENT_FINAL_SUBSTITUTED,
    ReadingQuality.SENT_EDITED: reading_quality_pb2.READING_QUALITY_SENT_EDITED,
    ReadingQuality.SENT_REFERENCE_DAYS: reading_quality_pb2.READING_QUALITY_SENT_REFERENCE_DAYS,
    ReadingQuality.SENT_INTERPOLATED: reading_quality_pb2.READING_QUALITY_SENT_INTERPOLATED,
    ReadingQuality.SENT_DERIVED: reading_quality_pb2.READING_QUALITY_SENT_DERIVED,
    ReadingQuality.SENT_MIXED: reading_quality_pb2.READING_QUALITY_SENT_MIXED,
}


def to_reading(kind: str, device_id: str, start_ms: int, observation: Observation) -> Reading:
    """The reading an observation came from, its energy rounded to whole milliwatt-hours."""
    fields: dict[str, Any] = {
        column.field: kwh(int(value)) if column.is_energy else value
        for column, value in zip(KINDS[kind].columns, observation.values, strict=True)
        if value is not None
    }
    if is_sent(observation.quality) and observation.quality != ReadingQuality.MEASURED:
        fields["energy_quality"] = energy_quality(observation.quality)
    reading = Reading(
        device_id=device_id,
        start_time=from_ms(start_ms),
        interval=duration_from_ms(observation.interval_ms),
        revision=observation.revision,
    )
    getattr(reading, kind).CopyFrom(_MESSAGES[kind](**fields))
    return reading


def to_live_reading(state: LiveState, *, expected_interval_ms: int | None, now_ms: int) -> LiveReading:
    """What a device does now as a message; without an expected interval it is not said whether it is silent."""
    start_ms, observation = state.newest
    mean = five_minute_mean(state)
    return LiveReading(
        reading=to_reading(state.kind, state.device_id, start_ms, observation),
        receive_time=from_ms(observation.receive_ms),
        record_time=from_ms(observation.record_ms),
        last_receive_time=from_ms(state.last_receive_ms),
        five_minute_mean=MeanPower(
            reading_count=mean.reading_count, power_kw=mean.power_kw, energy_power_kw=mean.energy_power_kw
        ),
        presence=_presence(state.last_receive_ms, expected_interval_ms, now_ms),
    )


def _presence(last_receive_ms: int, expected_interval_ms: int | None, now_ms: int) -> "DevicePresence.ValueType":
    if expected_interval_ms is None:
        return DevicePresence.DEVICE_PRESENCE_UNSPECIFIED
    if now_ms - last_receive_ms >= silent_after_ms(expected_interval_ms):
        return DevicePresence.DEVICE_PRESENCE_SILENT
    return DevicePresence.DEVICE_PRESENCE_ONLINE


def to_recorded_reading(key: SpanKey, observation: Observation, *, superseded: bool) -> RecordedReading:
    """A reading on record as a message."""
    return RecordedReading(
        reading=to_reading(key.kind, key.device_id, key.span_start_ms + observation.offset_ms, observation),
        receive_time=from_ms(observation.receive_ms),
        record_time=from_ms(observation.record_ms),
        superseded=superseded,
        quality=_QUALITIES[observation.quality],
    )
