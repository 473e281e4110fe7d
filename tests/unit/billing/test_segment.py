"""How a batch from the broker becomes a segment of the log."""

import random
from collections import Counter
from typing import Any

import bson
import pytest
from energy.billing.v1 import reading_quality_pb2 as pb
from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch, UndecodedReadingBatch
from energy.telemetry.v1.reading_pb2 import (
    EnergyQuality,
    MeterMeasurement,
    Reading,
    StorageMeasurement,
    VehicleMeasurement,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.cold.reading_codec import to_reading, to_recorded_reading
from billing.log import segment_document
from billing.log.batch_codec import BatchDecoder, UndecodableBatch
from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation, SpanKey
from billing.log.reading_quality import ReadingQuality, energy_quality, sent_quality
from billing.log.schema import METER
from billing.log.segment import Segment, of_devices
from common.instants import duration_from_ms, from_ms
from common.part_columns import PartReader

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


def decode(body: bytes, record_ms: int) -> Segment:
    """The segment of a batch all of whose Parts are sound."""
    decoded = BatchDecoder().decode(body, record_ms)
    assert decoded.undecodable == []
    return decoded.segment


def test_energy_is_rounded_once_to_whole_milliwatt_hours() -> None:
    """What enters the log is an integer; everything later adds integers."""
    body = batch(reading(meter=MeterMeasurement(import_kwh=0.0000015, export_kwh=0.0))).SerializeToString()

    segment = decode(body, START_MS + 9)

    assert segment.readings()[0].values[:2] == (2, 0)
    assert (segment.record_ms, segment.partition, segment.sequence) == (START_MS + 9, 3, 4)


def test_absent_and_zero_differ() -> None:
    """A voltage that was not measured is not 0 V, and a state not reported is absent."""
    body = batch(
        reading(meter=MeterMeasurement(voltage_v=0.0)), reading(vehicle=VehicleMeasurement(power_kw=1.0))
    ).SerializeToString()

    meter, vehicle = decode(body, 1).readings()

    assert meter.values[5:7] == (0.0, None)
    assert vehicle.values == (None, 1.0, None, None, None)


@pytest.mark.parametrize("count", [1, 60], ids=["as messages", "as columns"])
def test_a_quality_that_was_sent_is_kept_and_comes_back(count: int) -> None:
    """With its codes; what was measured beside it stays measured, and says nothing."""
    said: dict[str, Any] = {"energy_quality": EnergyQuality.ENERGY_QUALITY_SUBSTITUTED, "quality_method_code": 14}
    sent = [
        reading(meter=MeterMeasurement(import_kwh=1.5 + place, **(said if place % 2 == 0 else {})))
        for place in range(count)
    ]

    segment = segment_document.from_document(
        segment_document.to_document(decode(batch(*sent).SerializeToString(), START_MS + 9))
    )

    for expected, logged in zip(sent, sorted(segment.readings(), key=lambda one: one.values[0] or 0), strict=True):
        is_said = expected.meter.HasField("quality_method_code")
        observation = Observation(0, logged.revision, logged.interval_ms, 0, 0, logged.values, logged.quality)
        assert logged.quality == (ReadingQuality.SENT_SUBSTITUTED if is_said else ReadingQuality.MEASURED)
        assert to_reading(logged.kind, logged.device_id, logged.start_ms, observation) == expected


@pytest.mark.parametrize("count", [1, 60], ids=["as messages", "as columns"])
def test_a_batch_of_measurements_has_no_column_of_qualities(count: int) -> None:
    """Neither in memory nor in the document, so that it costs nothing where nobody estimates."""
    sent = [reading(meter=MeterMeasurement(import_kwh=1.5)) for _ in range(count)]

    segment = decode(batch(*sent).SerializeToString(), START_MS + 9)

    assert segment.kinds[0].quality is None
    assert not {"quality", "quality_method_code"} & segment_document.to_document(segment)["meter"].keys()


def test_every_quality_of_the_contract_is_known_and_comes_back() -> None:
    """A quality that is added to the contract must be given one here, and an answer."""
    for number in EnergyQuality.values():
        quality = sent_quality(number)
        observation = Observation(0, 0, 60_000, 1, 2, METER.padded([1]), quality)
        recorded = to_recorded_reading(SpanKey("meter", "m-1", 0), observation, superseded=False)
        assert energy_quality(quality) == recorded.reading.meter.energy_quality == number
        told, answered = EnergyQuality.Name(number), pb.ReadingQuality.Name(recorded.quality)
        assert answered.removeprefix("READING_QUALITY_SENT_") == (
            told.removeprefix("ENERGY_QUALITY_") if number else "READING_QUALITY_MEASURED"
        )


def test_readings_are_grouped_by_the_hour_of_their_start() -> None:
    """A span is known by its kind, its device and its first millisecond."""
    body = batch(reading(storage=StorageMeasurement(charge_kwh=1.0, cycle_count=7))).SerializeToString()

    segment = decode(body, 1)

    ((key, (observation,)),) = of_devices([segment], ["d-1"]).items()
    assert key == SpanKey("storage", "d-1", START_MS)
    assert observation.offset_ms == 60_000


@pytest.mark.parametrize("body", [b"\xff\xff\xff garbage", b""], ids=["no protobuf", "no batch id"])
def test_what_is_no_batch_is_told_from_what_is(body: bytes) -> None:
    """Poison is recognised by its content and named."""
    with pytest.raises(UndecodableBatch):
        BatchDecoder().decode(body, 1)


SOUND = Part(receive_time=from_ms(START_MS), readings=[reading(meter=MeterMeasurement(import_kwh=1.0))] * 40)


@pytest.mark.parametrize(
    "poison",
    [
        b"\xff\xff\xff garbage",
        Part(readings=[Reading(device_id="d-1", start_time=from_ms(0))]).SerializeToString(),
        Part(readings=[reading(meter=MeterMeasurement(import_kwh=float("inf")))]).SerializeToString(),
        Part(readings=[reading(meter=MeterMeasurement(import_kwh=float("nan")))] * 40).SerializeToString(),
        Part(readings=[reading(meter=MeterMeasurement(import_kwh=1e13))]).SerializeToString(),
        Part(readings=[reading(meter=MeterMeasurement(export_kwh=-1e13))] * 40).SerializeToString(),
    ],
    ids=[
        "no protobuf",
        "a reading without measurement",
        "an endless energy",
        "forty of no number",
        "an energy beyond 64 bits",
        "forty beyond 64 bits",
    ],
)
def test_a_part_that_cannot_be_decoded_leaves_its_neighbours_alone(poison: bytes) -> None:
    """It is named by its place and handed back as it was; all others of the batch are in the segment."""
    body = UndecodedReadingBatch(
        batch_id="b-1",
        create_time=from_ms(START_MS),
        parts=[SOUND.SerializeToString(), poison, *[SOUND.SerializeToString()] * 2],
    ).SerializeToString()

    decoded = BatchDecoder().decode(body, 1)

    assert decoded.segment.reading_count == 120
    assert [(part.index, part.body) for part in decoded.undecodable] == [(1, poison)]
    assert decoded.undecodable[0].reason


logged = st.one_of(
    st.builds(
        LoggedReading,
        kind=st.just("meter"),
        device_id=st.sampled_from(["a", "b"]),
        start_ms=st.integers(0, 2**42),
        interval_ms=st.integers(1, 2**31),
        revision=st.integers(0, 10),
        receive_ms=st.integers(0, 2**42),
        values=st.tuples(
            *[st.none() | st.integers(0, 2**50)] * 4, *[st.none() | FINITE] * 6, *[st.none() | st.integers(0, 999)] * 2
        ),
        quality=st.integers(0, 4),
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
        quality=st.just(0),
    ),
)


@given(st.lists(logged, max_size=20))
def test_a_segment_survives_the_log(readings: list[LoggedReading]) -> None:
    """What was packed comes out again to the last bit, absent values among it."""
    by_kind = sorted(readings, key=lambda one: one.kind)
    segment = Segment.of("b-1", 1, "w", 2, START_MS, START_MS + 1, by_kind)

    stored = bson.encode(segment_document.to_document(segment))
    restored = segment_document.from_document(bson.decode(stored, bson.CodecOptions(tz_aware=True)))

    assert restored.readings() == by_kind
    assert (restored.batch_id, restored.partition, restored.writer, restored.sequence) == ("b-1", 1, "w", 2)
    assert (restored.create_ms, restored.record_ms) == (START_MS, START_MS + 1)
    assert segment_document.to_document(restored) == segment_document.to_document(segment)


@st.composite
def parts(draw: st.DrawFn) -> Part:
    """A Part as the gateway writes it."""
    readings = []
    for _ in range(draw(st.integers(0, 25))):
        kind, message = draw(st.sampled_from([("meter", MeterMeasurement), ("storage", StorageMeasurement)]))
        measurement = message()
        for field in measurement.DESCRIPTOR.fields:
            if draw(st.booleans()):
                is_number = field.cpp_type == field.CPPTYPE_DOUBLE
                value = draw(st.floats(-1e6, 1e6) | st.sampled_from([-0.0, 0.0, 5e-7]))
                setattr(measurement, field.name, value if is_number else draw(st.integers(0, 7)))
        one = reading(**{kind: measurement})
        one.device_id = draw(st.sampled_from(["a", "b", "meter-1", "m\u00fcller"]))
        one.revision = draw(st.sampled_from([0, 0, 7]))
        one.start_time.CopyFrom(from_ms(draw(st.integers(0, 2**41))))
        readings.append(one)
    return Part(receive_time=from_ms(draw(st.integers(0, 2**41))), readings=readings)


@settings(max_examples=100, deadline=None)
@given(st.lists(parts(), max_size=4))
def test_columns_and_messages_give_the_same_segment(given_parts: list[Part]) -> None:
    """However many readings are alike: the same readings with the same values, to the last bit."""
    body = ReadingBatch(batch_id="b-1", create_time=from_ms(1), parts=given_parts).SerializeToString()
    by_columns, by_messages = BatchDecoder(), BatchDecoder()
    by_columns._parts = PartReader(rows_minimum=1, bytes_minimum=1)
    by_messages._parts = PartReader(bytes_minimum=1 << 30)

    one, other = by_columns.decode(body, 5), by_messages.decode(body, 5)

    assert one.undecodable == other.undecodable == []
    assert sorted(map(repr, one.segment.readings())) == sorted(map(repr, other.segment.readings()))
    assert one.segment.reading_count == sum(len(part.readings) for part in given_parts)


def parts_of(seed: int) -> list[bytes]:
    """Parts of a batch: of usual readings, of unusual ones, of many and of few, and now and then of poison."""
    chance = random.Random(seed)
    parts = []
    for _ in range(chance.randrange(4)):
        many = [
            reading(meter=MeterMeasurement(import_kwh=chance.random(), voltage_v=230.0))
            if chance.random() < 0.9
            else reading(storage=StorageMeasurement(charge_kwh=chance.random()))
            for _ in range(chance.choice([1, 3, 40, 90]))
        ]
        part = Part(receive_time=from_ms(START_MS + chance.randrange(100)), readings=many)
        parts.append(b"\xff\xff\xff" if chance.random() < 0.1 else part.SerializeToString())
    return parts


@pytest.mark.parametrize("seed", range(40))
def test_batches_decoded_together_are_those_decoded_alone(seed: int) -> None:
    """What many share is work, never an outcome: neither readings nor poison end up in a neighbour."""
    bodies = [
        UndecodedReadingBatch(
            batch_id="" if (seed + number) % 17 == 0 else f"b-{number}",
            create_time=from_ms(START_MS),
            parts=parts_of(1000 * seed + number),
        ).SerializeToString()
        for number in range(6)
    ]

    together = BatchDecoder().decode_all(bodies, START_MS + 1)

    for body, decoded in zip(bodies, together, strict=True):
        if isinstance(decoded, UndecodableBatch):
            with pytest.raises(UndecodableBatch):
                BatchDecoder().decode(body, START_MS + 1)
            continue
        alone = BatchDecoder().decode(body, START_MS + 1)
        assert decoded.undecodable == alone.undecodable
        assert Counter(decoded.segment.readings()) == Counter(alone.segment.readings())
        assert decoded.segment.batch_id == alone.segment.batch_id
