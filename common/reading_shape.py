"""The shape of a serialised reading: where in its bytes each value stands.

Devices send the same fields time after time, so that nearly all readings of a frame have the same bytes in the same
places but for their values. A shape is learnt once from one reading, by walking its fields; whether another reading has
it too is one comparison of bytes, and its values are then read from known places, many readings at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from energy.telemetry.v1.reading_pb2 import Reading
from google.protobuf.descriptor import FieldDescriptor

from common.wire_format import FIXED64, LENGTH_DELIMITED, MORE_FOLLOWS, SEVEN_BITS, VARINT, NotPlain, read_varint

Bytes = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

# A longer varint of a 32-bit field is cut off by parsers.
_INT32_BYTES = 5
_INT64_BYTES = 9

_MEASUREMENTS = {member.number: member for member in Reading.DESCRIPTOR.oneofs_by_name["measurement"].fields}
_SECONDS, _NANOS = 1, 2
_DELIMITED = {
    Reading.DEVICE_ID_FIELD_NUMBER,
    Reading.START_TIME_FIELD_NUMBER,
    Reading.INTERVAL_FIELD_NUMBER,
    *_MEASUREMENTS,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: `length` bytes of a varint, or the 8 of a double."""

    position: int
    length: int
    is_double: bool = False


@dataclass(slots=True)
class Shape:
    """Where the values of readings of one length stand; None: readings of this shape do not have it.

    A reading has the shape if its bytes equal `expected` wherever `mask` has bits.
    """

    length: int
    kind: str = ""
    device_id: slice = field(default_factory=lambda: slice(0, 0))
    start_seconds: Place | None = None
    start_nanos: Place | None = None
    has_interval: bool = False
    interval_seconds: Place | None = None
    interval_nanos: Place | None = None
    revision: Place | None = None
    values: dict[str, Place] = field(default_factory=dict)
    mask: Bytes = field(init=False)
    expected: Bytes = field(init=False)

    def fit(self, reading: bytes) -> None:
        """Takes from a reading what all readings of the shape have: everything but ids and values."""
        given = np.frombuffer(reading, np.uint8)
        self.mask = np.full(self.length, 0xFF, np.uint8)
        self.mask[self.device_id] = 0
        own = (self.start_seconds, self.start_nanos, self.interval_seconds, self.interval_nanos, self.revision)
        for place in (*own, *self.values.values()):
            if place is not None:
                # A varint of the same length has the same continuation bits.
                self.mask[place.position : place.position + place.length] = 0 if place.is_double else MORE_FOLLOWS
        self.expected = given & self.mask


def shape_of(reading: bytes) -> Shape | None:
    """The shape of a serialised reading; None where it is unusual, and only a full parser should judge it.

    A shape promises that the bytes are a valid `Reading` with a device id (not proven to be UTF-8), a start and one
    measurement that has a number in it, each field there once.
    """
    try:
        shape = _walk(reading)
    except NotPlain:
        return None
    shape.fit(reading)
    return shape


def _walk(reading: bytes) -> Shape:
    shape = Shape(len(reading))
    seen: set[int] = set()
    position = 0
    while position < len(reading):
        number, wire_type, position = _key(reading, position, seen)
        if number == Reading.REVISION_FIELD_NUMBER and wire_type == VARINT:
            shape.revision, position = _varint_place(reading, position, _INT32_BYTES)
            continue
        if wire_type != LENGTH_DELIMITED or number not in _DELIMITED:
            raise NotPlain
        end = reading[position] + position + 1 if position < len(reading) else len(reading) + 1
        if reading[position : position + 1] > bytes([SEVEN_BITS]) or end > len(reading):
            raise NotPlain
        position += 1
        if number == Reading.DEVICE_ID_FIELD_NUMBER:
            shape.device_id = slice(position, end)
        elif number == Reading.START_TIME_FIELD_NUMBER:
            shape.start_seconds, shape.start_nanos = _time(reading, position, end)
        elif number == Reading.INTERVAL_FIELD_NUMBER:
            shape.has_interval = True
            shape.interval_seconds, shape.interval_nanos = _time(reading, position, end)
        else:
            _measurement(shape, _MEASUREMENTS[number], reading, position, end)
        position = end
    if shape.start_seconds is None or not shape.kind or shape.device_id.stop <= shape.device_id.start:
        raise NotPlain
    return shape


def _key(data: bytes, position: int, seen: set[int]) -> tuple[int, int, int]:
    encoded, position = read_varint(data, position, 1)
    number = encoded >> 3
    if number in seen:
        raise NotPlain
    seen.add(number)
    return number, encoded & 7, position


def _varint_place(data: bytes, position: int, length_maximum: int) -> tuple[Place, int]:
    _, after = read_varint(data, position, length_maximum)
    return Place(position, after - position), after


def _time(data: bytes, position: int, end: int) -> tuple[Place | None, Place | None]:
    """The places of seconds and nanos in a Timestamp or Duration, whose fields are alike."""
    places: dict[int, Place] = {}
    seen: set[int] = set()
    while position < end:
        number, wire_type, position = _key(data, position, seen)
        if wire_type != VARINT or number not in {_SECONDS, _NANOS}:
            raise NotPlain
        length_maximum = _INT32_BYTES if number == _NANOS else _INT64_BYTES
        places[number], position = _varint_place(data, position, length_maximum)
    if position != end:
        raise NotPlain
    return places.get(_SECONDS), places.get(_NANOS)


def _measurement(shape: Shape, member: FieldDescriptor, data: bytes, position: int, end: int) -> None:
    if shape.kind or member.message_type is None:
        raise NotPlain
    fields = member.message_type.fields_by_number
    seen: set[int] = set()
    has_number = False
    while position < end:
        number, wire_type, position = _key(data, position, seen)
        value = fields.get(number)
        if value is None:
            raise NotPlain
        if wire_type == FIXED64 and value.type == FieldDescriptor.TYPE_DOUBLE:
            shape.values[value.name] = Place(position, 8, is_double=True)
            position += 8
            has_number = True
        elif wire_type == VARINT and value.type in {FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_ENUM}:
            length_maximum = _INT32_BYTES if value.type == FieldDescriptor.TYPE_ENUM else _INT64_BYTES
            shape.values[value.name], position = _varint_place(data, position, length_maximum)
        else:
            raise NotPlain
    if position != end or not has_number:
        raise NotPlain
    shape.kind = member.name
