"""The document of a segment: columns as packed little-endian binaries, for the log is read by machines."""

from collections.abc import Mapping
from sys import intern
from typing import Any

import numpy as np

from billing.log.kind_columns import OWN_COLUMNS, Array, KindColumns
from billing.log.schema import KINDS, Column, Kind
from billing.log.segment import Segment
from common.instants import datetime_from_ms, datetime_to_ms

_INTEGERS = "<i8"


def to_document(segment: Segment) -> dict[str, Any]:
    """The document of a segment; `_id` is the batch id, so writing it again is a duplicate key and no harm."""
    traced = {"traceparent": segment.traceparent} if segment.traceparent else {}
    return {
        "_id": segment.batch_id,
        "partition": segment.partition,
        "writer": segment.writer,
        "sequence": segment.sequence,
        "create_time": datetime_from_ms(segment.create_ms),
        "recorded_at": datetime_from_ms(segment.record_ms),
        "reading_count": segment.reading_count,
        **traced,
        **{columns.kind.name: _pack(columns) for columns in segment.kinds},
    }


def from_document(document: Mapping[str, Any]) -> Segment:
    """The segment of a document; the inverse of `to_document` but for the order of the kinds."""
    return Segment(
        batch_id=document["_id"],
        partition=document["partition"],
        writer=document["writer"],
        sequence=document["sequence"],
        create_ms=datetime_to_ms(document["create_time"]),
        record_ms=datetime_to_ms(document["recorded_at"]),
        kinds=tuple(_unpack(kind, document[kind.name]) for kind in KINDS.values() if kind.name in document),
        traceparent=document.get("traceparent", ""),
    )


def _pack(columns: KindColumns) -> dict[str, Any]:
    packed: dict[str, Any] = {"device_ids": columns.device_ids}
    for name in OWN_COLUMNS:
        packed[name] = getattr(columns, name).astype(_INTEGERS, copy=False).tobytes()
    if columns.quality is not None:
        packed["quality"] = columns.quality.astype(_INTEGERS, copy=False).tobytes()
    for column in columns.kind.columns:
        if column.name in columns.values:
            packed[column.name] = columns.values[column.name].astype(_stored_as(column), copy=False).tobytes()
    return packed


def _unpack(kind: Kind, packed: Mapping[str, Any]) -> KindColumns:
    own = {name: _array(packed[name], _INTEGERS) for name in OWN_COLUMNS}
    return KindColumns(
        kind=kind,
        device_ids=[intern(device_id) for device_id in packed["device_ids"]],
        **own,
        values={
            column.name: _array(packed[column.name], _stored_as(column))
            for column in kind.columns
            if column.name in packed
        },
        quality=_array(packed["quality"], _INTEGERS) if "quality" in packed else None,
    )


def _stored_as(column: Column) -> str:
    return _INTEGERS if column.type == "integer" else "<f8"


def _array(packed: bytes, stored_as: str) -> Array:
    array: Array = np.frombuffer(packed, stored_as)
    return array
