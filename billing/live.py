"""The newest reading of a device, and the rule that makes it move forward only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from bson import Binary

from billing.kind_columns import Gathered
from billing.observation import Observation, SpanKey, canonical_bytes, inverted
from billing.schema import KINDS, Kind
from common.instants import datetime_from_ms, datetime_to_ms
from common.reading_location import Integers


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest reading of a device; instants in epoch milliseconds, values in the canonical order of its kind."""

    kind: str
    device_id: str
    start_ms: int
    observation: Observation

    @property
    def order(self) -> tuple[int, int, int, bytes]:
        """What makes one reading newer than another: start, then what decides which reading of a start counts."""
        observation = self.observation
        return (
            self.start_ms,
            observation.revision,
            -observation.receive_ms,
            inverted(canonical_bytes(observation)),
        )


def newest(spans: Iterable[tuple[SpanKey, Iterable[Observation]]]) -> dict[str, Latest]:
    """Of some readings by span, the newest of each device."""
    found: dict[str, Latest] = {}
    for key, observations in spans:
        last = max(observations, key=lambda observation: (observation.offset_ms, observation.revision))
        rivals = [
            other for other in observations if (other.offset_ms, other.revision) == (last.offset_ms, last.revision)
        ]
        for rival in rivals:
            candidate = Latest(key.kind, key.device_id, key.span_start_ms + rival.offset_ms, rival)
            known = found.get(key.device_id)
            if known is None or _is_newer(candidate, known):
                found[key.device_id] = candidate
    return found


def last_rows(gathered: Gathered) -> Integers:
    """The last row of each device, and those before it that have the same start."""
    device, repeats = gathered.columns.device_index, gathered.repeats()
    last = np.flatnonzero(np.append(device[1:] != device[:-1], np.True_))
    found = [last]
    current = last[repeats[last]]
    while current.size:
        current = current - 1
        found.append(current)
        current = current[repeats[current]]
    return np.sort(np.concatenate(found)) if len(found) > 1 else last


def _is_newer(one: Latest, other: Latest) -> bool:
    # The full order costs the canonical bytes; most comparisons are decided by the start.
    return one.start_ms > other.start_ms or (one.start_ms == other.start_ms and one.order > other.order)


def to_subdocument(latest: Latest) -> dict[str, Any]:
    """The newest reading as the sub-document that `$max` compares field by field: the order first, then the values."""
    start_ms, revision, receive_order, tie = latest.order
    observation = latest.observation
    return {
        "start_time": datetime_from_ms(start_ms),
        "revision": revision,
        "receive_order": receive_order,
        "tie": Binary(tie),
        "interval_ms": observation.interval_ms,
        "record_ms": observation.record_ms,
        "measurement": {
            column.name: value
            for column, value in zip(KINDS[latest.kind].columns, observation.values, strict=True)
            if value is not None
        },
    }


def from_subdocument(kind: Kind, device_id: str, subdocument: Mapping[str, Any]) -> Latest:
    """The inverse of `to_subdocument`."""
    start_ms = datetime_to_ms(subdocument["start_time"])
    measurement = subdocument["measurement"]
    return Latest(
        kind.name,
        device_id,
        start_ms,
        Observation(
            offset_ms=start_ms % kind.span_ms,
            revision=subdocument["revision"],
            interval_ms=subdocument["interval_ms"],
            receive_ms=-subdocument["receive_order"],
            record_ms=subdocument["record_ms"],
            values=tuple(measurement.get(column.name) for column in kind.columns),
        ),
    )
