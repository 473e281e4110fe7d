"""The cold document of one device and span: readings as columns by offset, superseded ones beside, quarters summed."""

from collections.abc import Mapping
from typing import Any

from billing.cold.quarter import cell, quarters
from billing.cold.span import Span
from billing.log.observation import Observation, SpanKey
from billing.log.schema import KINDS, Kind
from common.instants import datetime_from_ms, datetime_to_ms

_OWN_COLUMNS = ("offset_ms", "revision", "interval_ms", "receive_ms", "record_ms")


def document_id(key: SpanKey) -> str:
    """Identity of the document in its collection, derived from the device and the span."""
    return f"{key.device_id}@{key.span_start_ms}"


def to_document(key: SpanKey, span: Span, version: int) -> dict[str, Any]:
    """The document of a span. `version` counts its writes, so that a writer who read an older one notices."""
    kind = KINDS[key.kind]
    counting = span.in_order()
    document: dict[str, Any] = {
        "_id": document_id(key),
        "device_id": key.device_id,
        "span_start": datetime_from_ms(key.span_start_ms),
        "version": version,
        **_columns(kind, counting),
        "quarters": quarters(kind, counting),
        "total": cell(kind, 0, counting),
    }
    superseded = span.superseded_in_order()
    if superseded:
        document["superseded"] = _columns(kind, superseded)
    return document


def from_document(kind: Kind, document: Mapping[str, Any]) -> tuple[SpanKey, Span]:
    """The span of a document; the inverse of `to_document`."""
    key = SpanKey(kind.name, document["device_id"], datetime_to_ms(document["span_start"]))
    span = Span({observation.offset_ms: observation for observation in _observations(kind, document)})
    for observation in _observations(kind, document.get("superseded", {})):
        span.superseded.setdefault(observation.offset_ms, []).append(observation)
    return key, span


def _columns(kind: Kind, observations: list[Observation]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        name: [observation[place] for observation in observations] for place, name in enumerate(_OWN_COLUMNS)
    }
    for place, column in enumerate(kind.columns):
        values = [observation.values[place] for observation in observations]
        if any(value is not None for value in values):
            columns[column.name] = values
    if any(observation.quality for observation in observations):
        columns["quality"] = [observation.quality for observation in observations]
    return columns


def _observations(kind: Kind, columns: Mapping[str, Any]) -> list[Observation]:
    offsets = columns.get("offset_ms", [])
    absent = [None] * len(offsets)
    values = zip(*(columns.get(column.name, absent) for column in kind.columns), strict=True)
    own = [columns.get(name, []) for name in _OWN_COLUMNS]
    qualities = columns.get("quality") or [0] * len(offsets)
    return [Observation(*fields) for fields in zip(*own, values, qualities, strict=True)]
