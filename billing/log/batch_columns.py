"""The readings of many Parts become columns at rest, batch by batch; here energy becomes whole milliwatt-hours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from sys import intern
from typing import Any

import numpy as np
from energy.telemetry.v1.reading_pb2 import Reading

from billing.log.kind_columns import Array, KindColumns, LoggedReading, absent
from billing.log.observation import Value
from billing.log.reading_quality import sent_quality
from billing.log.schema import KINDS, Kind
from common.energy import milliwatt_hours, milliwatt_hours_of
from common.instants import duration_to_ms, to_ms
from common.part_columns import ReadParts
from common.reading_columns import ReadingColumns
from common.reading_location import Integers


def kinds_of(read: ReadParts, parts_a_batch: Sequence[int]) -> list[tuple[KindColumns, ...]]:
    """The readings of some Parts, batch by batch and kind by kind.

    Raises:
        ValueError: a reading has no measurement, an energy that is not finite, or no valid time.
    """
    ends = [0, *accumulate(read.reading_counts)]
    batch_ends = np.array([ends[place] for place in accumulate(parts_a_batch)], np.int64)
    batches: list[dict[str, list[_Group]]] = [{} for _ in parts_a_batch]
    for columns, receive_ms in read.columns:
        group = _group_of_columns(columns, receive_ms)
        first = 0
        for batch, end in zip(batches, np.searchsorted(columns.rows, batch_ends).tolist(), strict=True):
            if end > first:
                batch.setdefault(columns.kind, []).append(group.part(first, end))
            first = end
    logged: dict[tuple[int, str], list[LoggedReading]] = {}
    places = np.searchsorted(batch_ends, read.other_rows, side="right").tolist()
    for place, (reading, receive_ms_of_one) in zip(places, read.others, strict=True):
        one = logged_reading(reading, receive_ms_of_one)
        logged.setdefault((place, one.kind), []).append(one)
    for (place, kind), readings in logged.items():
        batches[place].setdefault(kind, []).append(_group_of_readings(readings))
    return [tuple(_joined(KINDS[kind], some) for kind, some in batch.items()) for batch in batches]


@dataclass(frozen=True, slots=True)
class _Group:
    device_ids: list[str]
    start_ms: Integers
    interval_ms: Integers
    revision: Integers
    receive_ms: Integers
    values: dict[str, Array]
    quality: Integers | None = None

    def part(self, first: int, end: int) -> _Group:
        """The rows from the first up to the end."""
        if first == 0 and end == self.start_ms.size:
            return self
        return _Group(
            self.device_ids[first:end],
            self.start_ms[first:end],
            self.interval_ms[first:end],
            self.revision[first:end],
            self.receive_ms[first:end],
            {name: values[first:end] for name, values in self.values.items()},
            None if self.quality is None else self.quality[first:end],
        )


def _group_of_columns(columns: ReadingColumns, receive_ms: Integers) -> _Group:
    values: dict[str, Array] = {}
    for column in KINDS[columns.kind].columns:
        sent = columns.values.get(column.field)
        if sent is None:
            continue
        if column.is_energy:
            values[column.name] = milliwatt_hours_of(sent.astype(np.float64, copy=False))
        elif column.type == "integer":
            if column.field in _STATES:
                # An unspecified state is absent by its nature.
                sent = np.where(sent == 0, absent(column, 1), sent)
            values[column.name] = sent
        else:
            # Adding zero turns -0.0 into 0.0, so that equal values have equal bytes.
            values[column.name] = sent + 0.0
    interval_ms = np.zeros_like(columns.start_ms) if columns.interval_ms is None else columns.interval_ms
    # Interned, for the same devices send again and again, and what waits to be folded is held by the hundred thousand.
    device_ids = [intern(str(device_id, "ascii")) for device_id in columns.device_ids]
    sent = columns.values.get(_QUALITY)
    quality = None if sent is None else np.where(sent == 0, 0, sent + sent_quality(1) - 1)
    return _Group(device_ids, columns.start_ms, interval_ms, columns.revision, receive_ms, values, quality)


def _group_of_readings(readings: list[LoggedReading]) -> _Group:
    columns = KindColumns.of(readings)
    return _Group(
        [reading.device_id for reading in readings],
        columns.start_ms,
        columns.interval_ms,
        columns.revision,
        columns.receive_ms,
        dict(columns.values),
        columns.quality,
    )


def _joined(kind: Kind, groups: list[_Group]) -> KindColumns:
    places: dict[str, int] = {}
    device_index = [places.setdefault(device_id, len(places)) for group in groups for device_id in group.device_ids]
    return KindColumns(
        kind=kind,
        device_ids=list(places),
        device_index=np.array(device_index, np.int64),
        start_ms=np.concatenate([group.start_ms for group in groups]),
        interval_ms=np.concatenate([group.interval_ms for group in groups]),
        revision=np.concatenate([group.revision for group in groups]),
        receive_ms=np.concatenate([group.receive_ms for group in groups]),
        values={
            column.name: np.concatenate(
                [
                    group.values[column.name] if column.name in group.values else absent(column, group.start_ms.size)
                    for group in groups
                ]
            )
            for column in kind.columns
            if any(column.name in group.values for group in groups)
        },
        quality=_joined_quality(groups),
    )


def _joined_quality(groups: list[_Group]) -> Integers | None:
    if all(group.quality is None for group in groups):
        return None
    return np.concatenate(
        [np.zeros(group.start_ms.size, np.int64) if group.quality is None else group.quality for group in groups]
    )


def logged_reading(reading: Reading, receive_ms: int) -> LoggedReading:
    """A reading on its way into a segment.

    Raises:
        ValueError: it has no measurement, an energy that is not finite, or no valid time.
    """
    name = reading.WhichOneof("measurement")
    if name is None:
        raise ValueError("a reading has no measurement")
    return LoggedReading(
        name,
        reading.device_id,
        to_ms(reading.start_time),
        duration_to_ms(reading.interval),
        reading.revision,
        receive_ms,
        _EXTRACT[name](getattr(reading, name)),
        sent_quality(reading.meter.energy_quality) if name == "meter" else 0,
    )


def _extractor(kind: Kind) -> Callable[[Any], tuple[Value, ...]]:
    energies = frozenset(column.field for column in kind.columns if column.is_energy)
    places = {column.field: place for place, column in enumerate(kind.columns)}
    empty: list[Value] = [None] * len(kind.columns)

    def extract(measurement: Any) -> tuple[Value, ...]:
        values = empty.copy()
        # ListFields visits what is present only; an unspecified state is absent by its nature.
        for field, value in measurement.ListFields():
            name = field.name
            if name in energies:
                values[places[name]] = milliwatt_hours(value)
            elif name != _QUALITY:
                # Adding zero turns -0.0 into 0.0, so that equal values have equal bytes.
                values[places[name]] = value + 0
        return tuple(values)

    return extract


# It stands beside the values: how often it is there is counted, and what it means is told by `ReadingQuality`.
_QUALITY = "energy_quality"

_EXTRACT = {kind.name: _extractor(kind) for kind in KINDS.values()}


# Every enum that a measurement carries.
_STATES = frozenset({"charging_state", "operating_state"})
