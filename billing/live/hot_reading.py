"""What the hot document of a device holds: its newest reading and when it was last heard of, forward only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from bson import Binary

from billing.log.kind_columns import Gathered
from billing.log.observation import Observation, canonical_bytes, inverted
from billing.log.schema import KINDS, Kind
from common.instants import datetime_from_ms, datetime_to_ms
from common.reading_location import Integers


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest reading of a device; instants in epoch milliseconds, values in the canonical order of its kind.

    `last_receive_ms` is when anything of the device was last received, whatever start it had.
    """

    kind: str
    device_id: str
    start_ms: int
    observation: Observation
    last_receive_ms: int

    @property
    def order(self) -> tuple[int, int, int, bytes, int]:
        """What makes one reading newer than another: start, then what decides which reading of a start counts.

        Of readings that are equal in all of that, the one that was logged first.
        """
        observation = self.observation
        return (
            self.start_ms,
            observation.revision,
            -observation.receive_ms,
            inverted(canonical_bytes(observation)),
            -observation.record_ms,
        )


def newest_of(gathered: Iterable[Gathered]) -> dict[str, Latest]:
    """Of some readings by kind, the newest of each device; estimates and edits are no news of it."""
    found: dict[str, Latest] = {}
    for some in filter(None, (every.measured() for every in gathered)):
        columns = some.columns
        device = columns.device_index
        is_last = np.append(device[1:] != device[:-1], np.True_)
        last = np.flatnonzero(is_last)
        received = np.maximum.reduceat(columns.receive_ms, np.append(0, last[:-1] + 1)).tolist()
        last_receive_ms = dict(zip(device[last].tolist(), received, strict=True))
        rows = np.union1d(last, _same_start_as_last(some, last))
        places = device[rows].tolist()
        starts = columns.start_ms[rows].tolist()
        for place, start_ms, observation in zip(places, starts, some.observations(rows), strict=True):
            name = columns.device_ids[place]
            candidate = Latest(columns.kind.name, name, start_ms, observation, last_receive_ms[place])
            known = found.get(name)
            found[name] = candidate if known is None else _joined(candidate, known)
    return found


def _same_start_as_last(gathered: Gathered, last: Integers) -> Integers:
    """The rows before each last row of a device that have its start, too."""
    repeats = gathered.repeats()
    rivals = []
    current = last[repeats[last]]
    while current.size:
        current = current - 1
        rivals.append(current)
        current = current[repeats[current]]
    return np.concatenate(rivals) if rivals else last[:0]


def _joined(one: Latest, other: Latest) -> Latest:
    # The full order costs the canonical bytes; most comparisons are decided by the start.
    is_newer = one.start_ms > other.start_ms or (one.start_ms == other.start_ms and one.order > other.order)
    return replace(one if is_newer else other, last_receive_ms=max(one.last_receive_ms, other.last_receive_ms))


def to_update(latest: Latest) -> dict[str, Any]:
    """The values that `$max` moves the hot document of a device forward to, each by itself.

    The newest reading is a sub-document that is compared field by field: what decides first, then the values.
    """
    start_ms, revision, receive_order, tie, record_order = latest.order
    observation = latest.observation
    return {
        "latest": {
            "start_time": datetime_from_ms(start_ms),
            "revision": revision,
            "receive_order": receive_order,
            "tie": Binary(tie),
            "record_order": record_order,
            "interval_ms": observation.interval_ms,
            "measurement": {
                column.name: value
                for column, value in zip(KINDS[latest.kind].columns, observation.values, strict=True)
                if value is not None
            },
        },
        "last_receive_time": datetime_from_ms(latest.last_receive_ms),
    }


def from_document(kind: Kind, document: Mapping[str, Any]) -> Latest:
    """What a hot document says; `to_update` is how it came there."""
    newest = document["latest"]
    start_ms = datetime_to_ms(newest["start_time"])
    measurement = newest["measurement"]
    observation = Observation(
        offset_ms=start_ms % kind.span_ms,
        revision=newest["revision"],
        interval_ms=newest["interval_ms"],
        receive_ms=-newest["receive_order"],
        # Documents of an earlier version have it by another name, and no time of their own for what came last.
        record_ms=-newest["record_order"] if "record_order" in newest else newest["record_ms"],
        values=tuple(measurement.get(column.name) for column in kind.columns),
    )
    last_receive_ms = datetime_to_ms(document.get("last_receive_time", datetime_from_ms(observation.receive_ms)))
    return Latest(kind.name, document["_id"], start_ms, observation, last_receive_ms)
