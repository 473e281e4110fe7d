"""The log document of a segment: one packed column a field, so that writing it costs little however many readings.

A packed column is little-endian 64-bit, integers or floats; an absent value is the smallest integer or NaN, neither of
which a reading can carry. Shapes are fixed here and in `schema.py`; nothing else reads the bytes.
"""

import math
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from billing.observation import Value
from billing.schema import KINDS, Column, Kind
from billing.segment import LoggedReading, Segment
from common.instants import datetime_from_ms, datetime_to_ms

UNMERGED = "unmerged"
MERGED = "merged"
QUARANTINED = "quarantined"

_ABSENT_INTEGER = -(2**63)
_OWN_COLUMNS = ("start_ms", "interval_ms", "revision", "receive_ms")


def to_document(segment: Segment) -> dict[str, Any]:
    """The document of a segment; `_id` is the batch id, so writing it again is a duplicate key and no harm."""
    by_kind: dict[str, list[LoggedReading]] = {}
    for reading in segment.readings:
        by_kind.setdefault(reading.kind, []).append(reading)
    return {
        "_id": segment.batch_id,
        "partition": segment.partition,
        "writer": segment.writer,
        "sequence": segment.sequence,
        "create_time": datetime_from_ms(segment.create_ms),
        "recorded_at": datetime_from_ms(segment.record_ms),
        "state": UNMERGED if segment.readings else MERGED,
        "reading_count": len(segment.readings),
        **{name: _pack_kind(KINDS[name], readings) for name, readings in by_kind.items()},
    }


def from_document(document: Mapping[str, Any]) -> Segment:
    """The segment of a document; the inverse of `to_document` but for the order of readings of different kinds."""
    readings = [
        reading
        for kind in KINDS.values()
        if kind.name in document
        for reading in _unpack_kind(kind, document[kind.name])
    ]
    return Segment(
        batch_id=document["_id"],
        partition=document["partition"],
        writer=document["writer"],
        sequence=document["sequence"],
        create_ms=datetime_to_ms(document["create_time"]),
        record_ms=datetime_to_ms(document["recorded_at"]),
        readings=readings,
    )


def _pack_kind(kind: Kind, readings: Sequence[LoggedReading]) -> dict[str, Any]:
    places: dict[str, int] = {}
    device_index = [places.setdefault(reading.device_id, len(places)) for reading in readings]
    packed: dict[str, Any] = {"device_ids": list(places), "device_index": _bytes("q", device_index)}
    for position, name in enumerate(_OWN_COLUMNS, start=LoggedReading._fields.index("start_ms")):
        packed[name] = _bytes("q", [reading[position] for reading in readings])
    for position, column in enumerate(kind.columns):
        values = [reading.values[position] for reading in readings]
        if any(value is not None for value in values):
            packed[column.name] = _pack(column, values)
    return packed


def _unpack_kind(kind: Kind, packed: Mapping[str, Any]) -> Iterable[LoggedReading]:
    device_ids: list[str] = packed["device_ids"]
    own = [_array("q", packed[name]) for name in ("device_index", *_OWN_COLUMNS)]
    count = len(own[0])
    values = [_unpack(column, packed.get(column.name), count) for column in kind.columns]
    for device_index, start_ms, interval_ms, revision, receive_ms, row in zip(
        *own, zip(*values, strict=True), strict=True
    ):
        yield LoggedReading(kind.name, device_ids[device_index], start_ms, interval_ms, revision, receive_ms, row)


def _pack(column: Column, values: Sequence[Value]) -> bytes:
    if column.type == "integer":
        return _bytes("q", [_ABSENT_INTEGER if value is None else value for value in values])
    return _bytes("d", [math.nan if value is None else value for value in values])


def _unpack(column: Column, packed: bytes | None, count: int) -> Sequence[Value]:
    if packed is None:
        return [None] * count
    if column.type == "integer":
        return [None if value == _ABSENT_INTEGER else value for value in _array("q", packed)]
    return [None if math.isnan(value) else value for value in _array("d", packed)]


def _bytes(typecode: str, values: Iterable[Any]) -> bytes:
    packed = array(typecode, values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _array(typecode: str, packed: bytes) -> "array[Any]":
    unpacked = array(typecode)
    unpacked.frombytes(packed)
    if sys.byteorder == "big":
        unpacked.byteswap()
    return unpacked
