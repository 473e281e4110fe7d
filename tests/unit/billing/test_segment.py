"""How a batch from the broker becomes a segment of the log."""

from typing import Any

import bson
import pytest
from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading, StorageMeasurement, VehicleMeasurement
from hypothesis import given
from hypothesis import strategies as st

from billing import segment_document
from billing.batch_codec import UndecodableBatch, decode_batch
from billing.observation import SpanKey
from billing.segment import LoggedReading, Segment
from common.instants import duration_from_ms, from_ms

START_MS = 1_767_225_600_000
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def batch(*readings: Reading) -> ReadingBatch:
    """A batch of one part with these readings."""
    return ReadingBatch(
        batch_id="b-1",
        writer="w-1",
        sequence=4,
        partition=3,
        create_time=from_ms(START_MS + 5),
        parts=[Part(receive_time=from_ms(START_MS + 2), readings=readings)],
    )


def reading(**measurement: Any) -> Reading:
    """A reading of one minute with this measurement."""
    return Reading(
        device_id="d-1", start_time=from_ms(START_MS + 60_000), interval=duration_from_ms(60_000), **measurement
    )


def test_energy_is_rounded_once_to_whole_milliwatt_hours() -> None:
    """What enters the log is an integer; everything later adds integers."""
    body = batch(reading(meter=MeterMeasurement(import_kwh=0.0000015, export_kwh=0.0))).SerializeToString()

    segment = decode_batch(body, record_ms=START_MS + 9)

    assert segment.readings[0].values[:2] == (2, 0)
    assert (segment.record_ms, segment.partition, segment.sequence) == (START_MS + 9, 3, 4)


def test_absent_and_zero_differ() -> None:
    """A voltage that was not measured is not 0 V, and a state not reported is absent."""
    body = batch(
        reading(meter=MeterMeasurement(voltage_v=0.0)), reading(vehicle=VehicleMeasurement(power_kw=1.0))
    ).SerializeToString()

    meter, vehicle = decode_batch(body, record_ms=1).readings

    assert meter.values[5:7] == (0.0, None)
    assert vehicle.values == (None, 1.0, None, None, None)


def test_readings_are_grouped_by_the_hour_of_their_start() -> None:
    """A span is known by its kind, its device and its first millisecond."""
    body = batch(reading(storage=StorageMeasurement(charge_kwh=1.0, cycle_count=7))).SerializeToString()

    segment = decode_batch(body, record_ms=1)

    ((key, (observation,)),) = segment.spans.items()
    assert key == SpanKey("storage", "d-1", START_MS)
    assert observation.offset_ms == 60_000


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xff\xff garbage",
        b"",
        batch(Reading(device_id="d-1", start_time=from_ms(0))).SerializeToString(),
    ],
    ids=["no protobuf", "no batch id", "a reading without measurement"],
)
def test_what_is_no_batch_is_told_from_what_is(body: bytes) -> None:
    """Poison is recognised by its content and named."""
    with pytest.raises(UndecodableBatch):
        decode_batch(body, record_ms=1)


logged = st.one_of(
    st.builds(
        LoggedReading,
        kind=st.just("meter"),
        device_id=st.sampled_from(["a", "b"]),
        start_ms=st.integers(0, 2**42),
        interval_ms=st.integers(1, 2**31),
        revision=st.integers(0, 10),
        receive_ms=st.integers(0, 2**42),
        values=st.tuples(*[st.none() | st.integers(0, 2**50)] * 4, *[st.none() | FINITE] * 6),
    ),
    st.builds(
        LoggedReading,
        kind=st.just("storage"),
        device_id=st.just("s"),
        start_ms=st.integers(0, 2**42),
        interval_ms=st.integers(1, 2**31),
        revision=st.just(0),
        receive_ms=st.integers(0, 2**42),
        values=st.tuples(
            *[st.none() | st.integers(0, 2**50)] * 2, *[st.none() | FINITE] * 4, *[st.none() | st.integers(0, 7)] * 2
        ),
    ),
)


@given(st.lists(logged, max_size=20))
def test_a_segment_survives_the_log(readings: list[LoggedReading]) -> None:
    """What was packed comes out again to the last bit, absent values among it."""
    by_kind = sorted(readings, key=lambda one: one.kind)
    segment = Segment("b-1", 1, "w", 2, START_MS, START_MS + 1, by_kind)

    stored = bson.encode(segment_document.to_document(segment))
    restored = segment_document.from_document(bson.decode(stored, bson.CodecOptions(tz_aware=True)))

    assert restored == segment
