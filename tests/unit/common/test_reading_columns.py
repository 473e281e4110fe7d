"""Readings as columns say exactly what a parser says, and leave to the parser what they cannot say."""

from __future__ import annotations

import math
import struct

import pytest
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from common.reading_columns import ColumnReader, ReadingColumns
from common.reading_location import locate, locate_all, pick
from common.reading_shape import shape_of
from common.wire_format import NotPlain, read_varint, varint

READINGS_KEY = StreamReadingsRequest.READINGS_FIELD_NUMBER << 3 | 2

_doubles = st.none() | st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 0.25, 1e300])
_ids = st.text(alphabet="abcdefXYZ0123._:-", min_size=1, max_size=20) | st.sampled_from(["", "é", "a\x00", "m" * 130])
_times = st.tuples(
    st.none() | st.integers(0, 4_000_000_000) | st.integers(-(2**62), 2**62),
    st.sampled_from([0, 0, 500_000_000, 1, 999_999_999, 1_000_000_000, -5]),
)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """A reading as a device may send it, sound or not."""
    reading = Reading(device_id=draw(_ids), revision=draw(st.sampled_from([0, 0, 0, 1, 300, 2**31 - 1, -1])))
    for name in ("start_time", "interval"):
        seconds, nanos = draw(_times)
        if seconds is not None:
            getattr(reading, name).seconds = seconds
            getattr(reading, name).nanos = nanos
    kind = draw(st.sampled_from(["meter", "meter", "vehicle", "storage", None]))
    if kind is None:
        return reading
    measurement = getattr(reading, kind)
    measurement.SetInParent()
    for field in measurement.DESCRIPTOR.fields:
        value = draw(_doubles)
        if value is not None:
            setattr(
                measurement, field.name, value if field.cpp_type == field.CPPTYPE_DOUBLE else draw(st.integers(0, 9))
            )
    return reading


def columns_of(encoded: list[bytes], rows_minimum: int = 1) -> tuple[list[ReadingColumns], list[int]]:
    """The columns of some serialised readings that stand in a frame, and which are left to a parser."""
    frame = b"".join(bytes([READINGS_KEY]) + varint(len(one)) + one for one in encoded)
    located = locate(frame, READINGS_KEY, 0, len(frame))
    assert pick(located, located.starts.argsort()) == encoded
    columns, rows = ColumnReader(rows_minimum).read(located)
    return columns, rows.tolist()


def bits(value: float) -> bytes:
    """A number bit for bit, so that -0.0 is not 0.0."""
    return struct.pack("<d", value)


def require_same(columns: ReadingColumns, place: int, reading: Reading) -> None:
    """The row says what the message says."""
    assert columns.device_ids[place].decode() == reading.device_id
    assert int(columns.start_ms[place]) * 1_000_000 == reading.start_time.seconds * 10**9 + reading.start_time.nanos
    assert (columns.interval_ms is not None) == reading.HasField("interval")
    if columns.interval_ms is not None:
        assert int(columns.interval_ms[place]) * 1_000_000 == reading.interval.seconds * 10**9 + reading.interval.nanos
    assert columns.revision[place] == reading.revision
    assert columns.kind == reading.WhichOneof("measurement")
    given_values = {field.name: value for field, value in getattr(reading, columns.kind).ListFields()}
    # An enum without presence may be on the wire as 0, which a message does not list.
    present = {name: values[place] for name, values in columns.values.items() if name in given_values or values[place]}
    assert present.keys() == given_values.keys()
    for name, value in given_values.items():
        assert bits(float(present[name])) == bits(float(value))


@settings(max_examples=300, deadline=None)
@given(st.lists(readings(), min_size=1, max_size=40))
def test_columns_and_parser_say_the_same_of_every_reading(given_readings: list[Reading]) -> None:
    """Each reading is a row of exactly one group of columns, with its values bit for bit, or is left to the parser."""
    columns, left = columns_of([reading.SerializeToString() for reading in given_readings])

    rows = sorted([*left, *(row for some in columns for row in some.rows.tolist())])
    assert rows == list(range(len(given_readings)))
    for some in columns:
        for place, row in enumerate(some.rows.tolist()):
            require_same(some, place, given_readings[row])


@settings(max_examples=300, deadline=None)
@given(readings(), st.data())
def test_whatever_has_a_shape_can_be_parsed(reading: Reading, data: st.DataObject) -> None:
    """Bytes changed at random either have no shape, or are a reading that the parser reads alike."""
    encoded = bytearray(reading.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        if encoded:
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    if not encoded:
        return
    columns, _ = columns_of([bytes(encoded)])

    for some in columns:
        parsed = Reading.FromString(bytes(encoded))
        if not any(math.isnan(values[0]) for values in some.values.values()):
            require_same(some, 0, parsed)


def test_alike_readings_are_one_group_of_columns() -> None:
    """Whatever their values: 500 readings of one kind of device need one pass."""
    sent = []
    for number in range(500):
        reading = Reading(device_id=f"meter-{number:04d}")
        reading.start_time.seconds = 1_790_000_000 + 60 * number
        reading.meter.import_kwh = number / 7
        sent.append(reading)

    columns, left = columns_of([reading.SerializeToString() for reading in sent], rows_minimum=12)

    assert [some.rows.size for some in columns] == [500]
    assert left == []


def test_a_few_readings_are_left_to_the_parser() -> None:
    """Below the least number of rows, array operations would cost more than messages."""
    reading = Reading(device_id="meter-1")
    reading.start_time.seconds = 1_790_000_000
    reading.meter.import_kwh = 1.0

    columns, left = columns_of([reading.SerializeToString()] * 11, rows_minimum=12)

    assert (columns, left) == ([], list(range(11)))


def test_a_new_shape_with_every_reading_is_learnt_only_so_often() -> None:
    """Whoever sends a thousand shapes makes us learn a few of them, and the rest is parsed."""
    sent = []
    for number in range(1000):
        reading = Reading(device_id="m" * (1 + number % 100), revision=number % 2)
        reading.start_time.seconds = 1_790_000_000
        for place, name in enumerate(("import_kwh", "export_kwh", "power_kw", "voltage_v")):
            if number >> place & 1:
                setattr(reading.meter, name, 1.0)
        reading.meter.frequency_hz = 50.0
        sent.append(reading.SerializeToString())

    columns, left = columns_of(sent, rows_minimum=2)

    assert len(columns) <= 16
    assert len(left) + sum(some.rows.size for some in columns) == 1000


@pytest.mark.parametrize(
    "unusual",
    [
        b"",
        Reading(device_id="meter-1").SerializeToString(),
        b"\x0a\x01a\x0a\x01b",
        b"\x0a\x05a",
        b"\x7a\x01a",
    ],
    ids=["nothing", "no measurement", "an id twice", "cut off", "an unknown field"],
)
def test_what_is_unusual_has_no_shape(unusual: bytes) -> None:
    """A parser has to judge it."""
    assert shape_of(unusual) is None


@pytest.mark.parametrize("frame", [b"\x12", b"\x12\x05a", b"\x12\x80\x80\x01", b"\x0a\x01a", b"\x12\x01a\x00"])
def test_a_frame_that_is_no_row_of_readings_is_not_located(frame: bytes) -> None:
    """Cut off, too long or something else in between: a parser has to judge it."""
    with pytest.raises(NotPlain):
        locate(frame, 0x12, 0, len(frame))


def test_several_ranges_are_located_at_once() -> None:
    """Each reading of each range, and how many each range has."""
    ranges = [b"", b"\x12\x01a\x12\x02bc", b"\x12\x01d" * 30]
    data = b"--".join(ranges)
    first = 2
    bounds = [(0, 0), (first, first + 7), (first + 9, len(data))]

    located, counts = locate_all(data, 0x12, bounds)

    assert counts == [0, 2, 30]
    assert pick(located, located.starts.argsort()) == [b"a", b"bc", *[b"d"] * 30]


@given(st.integers(0, 2**63 - 1), st.binary(max_size=3))
def test_a_varint_is_read_as_it_was_written(number: int, rest: bytes) -> None:
    """And the place after it is told."""
    encoded = varint(number)

    assert read_varint(encoded + rest, 0) == (number, len(encoded))


def test_bytes_that_no_parser_takes_never_become_columns() -> None:
    """An id that is no UTF-8 is left to the parser, which refuses it."""
    reading = Reading(device_id="meter-1")
    reading.start_time.seconds = 1_790_000_000
    reading.meter.import_kwh = 1.0
    sound = reading.SerializeToString()
    broken = sound.replace(b"meter-1", b"meter-\xff")

    columns, left = columns_of([sound, broken, sound])

    assert [some.rows.tolist() for some in columns] == [[0, 2]]
    assert left == [1]
    with pytest.raises(DecodeError):
        Reading.FromString(broken)


def test_a_revision_of_more_bits_than_it_has_is_cut_off_as_by_the_parser() -> None:
    """Five bytes of a varint hold 35 bits; a message has 32 of them."""
    sent = Reading(device_id="m-1", revision=0x7FFFFFFF, meter=MeterMeasurement(import_kwh=1.0))
    sent.start_time.seconds = 128
    encoded = sent.SerializeToString().replace(b"\xff\xff\xff\xff\x07", b"\xff\xff\xff\xff\x08")

    columns, left = columns_of([encoded])

    assert left == []
    assert columns[0].revision.tolist() == [Reading.FromString(encoded).revision]
    assert columns[0].revision[0] < 0
