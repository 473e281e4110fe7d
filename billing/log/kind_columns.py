"""The readings of one kind as columns: how a segment travels from the queue to the log, the tail and the fold."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from billing.log.observation import Observation, Value
from billing.log.schema import KINDS, Column, Kind
from common.reading_location import Integers

Array = np.ndarray[tuple[int], np.dtype[Any]]

ABSENT_INTEGER = -(2**63)
"""Stands in a column of integers where a reading does not carry the value; in a column of numbers NaN does."""

OWN_COLUMNS = ("device_index", "start_ms", "interval_ms", "revision", "receive_ms")


class LoggedReading(NamedTuple):
    """A reading on its way into a segment: instants in epoch milliseconds, values in the order of its kind.

    `quality` is a `ReadingQuality`, 0 for what was measured.
    """

    kind: str
    device_id: str
    start_ms: int
    interval_ms: int
    revision: int
    receive_ms: int
    values: tuple[Value, ...]
    quality: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class KindColumns:
    """Readings of one kind, a row each; `device_index` points into `device_ids`, in which no device is twice.

    `values` has the columns of the kind that at least one reading carries, by name. `quality` is absent when all were
    measured, as nearly everything is that a device sends.
    """

    kind: Kind
    device_ids: list[str]
    device_index: Integers
    start_ms: Integers
    interval_ms: Integers
    revision: Integers
    receive_ms: Integers
    values: Mapping[str, Array]
    quality: Integers | None = None

    @classmethod
    def of(cls, readings: Sequence[LoggedReading]) -> Self:
        """The columns of at least one reading, all of one kind."""
        kind = KINDS[readings[0].kind]
        places: dict[str, int] = {}
        values = {
            column.name: column_of(column, [reading.values[place] for reading in readings])
            for place, column in enumerate(kind.columns)
            if any(reading.values[place] is not None for reading in readings)
        }
        return cls(
            kind,
            device_index=np.array([places.setdefault(one.device_id, len(places)) for one in readings], np.int64),
            device_ids=list(places),
            start_ms=np.array([one.start_ms for one in readings], np.int64),
            interval_ms=np.array([one.interval_ms for one in readings], np.int64),
            revision=np.array([one.revision for one in readings], np.int64),
            receive_ms=np.array([one.receive_ms for one in readings], np.int64),
            values=values,
            quality=np.array([one.quality for one in readings], np.int64)
            if any(one.quality for one in readings)
            else None,
        )

    @property
    def reading_count(self) -> int:
        """How many readings there are."""
        return self.start_ms.size

    def readings(self, rows: Any = slice(None)) -> list[LoggedReading]:
        """Some of the readings, by default all, as objects."""
        names = self.device_ids
        return [
            LoggedReading(self.kind.name, names[device], start_ms, interval_ms, revision, receive_ms, values, quality)
            for device, start_ms, interval_ms, revision, receive_ms, values, quality in zip(
                self.device_index[rows].tolist(),
                self.start_ms[rows].tolist(),
                self.interval_ms[rows].tolist(),
                self.revision[rows].tolist(),
                self.receive_ms[rows].tolist(),
                value_rows(self.kind, self.values, rows, self.start_ms[rows].size),
                self.qualities(rows),
                strict=True,
            )
        ]

    def measured(self) -> Self | None:
        """Only what devices measured; None when that is nothing."""
        if self.quality is None:
            return self
        some = self.readings(np.flatnonzero(self.quality == 0))
        return type(self).of(some) if some else None

    def qualities(self, rows: Any) -> list[int]:
        """The quality of some of the readings."""
        if self.quality is None:
            return [0] * self.start_ms[rows].size
        listed: list[int] = self.quality[rows].tolist()
        return listed


def absent(column: Column, count: int) -> Array:
    """A column that no reading carries."""
    return np.full(count, ABSENT_INTEGER, np.int64) if column.type == "integer" else np.full(count, np.nan)


def column_of(column: Column, values: Iterable[Value]) -> Array:
    """A column from its values."""
    nothing = ABSENT_INTEGER if column.type == "integer" else np.nan
    return np.array(
        [nothing if value is None else value for value in values], np.int64 if column.type == "integer" else np.float64
    )


def is_absent(column: Column, values: Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of the values a reading does not carry."""
    return values == ABSENT_INTEGER if column.type == "integer" else np.isnan(values)


def as_list(column: Column, values: Array) -> list[Value]:
    """The values of a column, None where a reading does not carry one."""
    listed: list[Value] = values.tolist()
    for place in np.flatnonzero(is_absent(column, values)).tolist():
        listed[place] = None
    return listed


def value_rows(kind: Kind, values: Mapping[str, Array], rows: Any, count: int) -> Iterable[tuple[Value, ...]]:
    """The values of some rows, in the canonical order of the kind."""
    nothing: list[Value] = [None] * count
    return zip(
        *(as_list(column, values[column.name][rows]) if column.name in values else nothing for column in kind.columns),
        strict=True,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """The readings of several segments of one kind, by device and start; `record_ms` is when each was logged."""

    columns: KindColumns
    record_ms: Integers

    @property
    def span_start_ms(self) -> Integers:
        """The start of the span that each reading lies in."""
        return self.columns.start_ms - self.columns.start_ms % self.columns.kind.span_ms

    def measured(self) -> "Gathered | None":
        """Only what devices measured; None when that is nothing."""
        columns = self.columns.measured()
        if columns is None or self.columns.quality is None:
            return None if columns is None else self
        return Gathered(columns, self.record_ms[self.columns.quality == 0])

    def repeats(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which readings have the device and start of the one before."""
        device, start_ms = self.columns.device_index, self.columns.start_ms
        found = np.zeros(start_ms.size, np.bool_)
        found[1:] = (device[1:] == device[:-1]) & (start_ms[1:] == start_ms[:-1])
        return found

    def observations(self, rows: Any) -> list[Observation]:
        """Some of the readings as objects."""
        columns = self.columns
        start_ms = columns.start_ms[rows]
        return [
            Observation._make(row)
            for row in zip(
                (start_ms % columns.kind.span_ms).tolist(),
                columns.revision[rows].tolist(),
                columns.interval_ms[rows].tolist(),
                columns.receive_ms[rows].tolist(),
                self.record_ms[rows].tolist(),
                value_rows(columns.kind, columns.values, rows, start_ms.size),
                columns.qualities(rows),
                strict=True,
            )
        ]


def gather(parts: Sequence[tuple[KindColumns, int]]) -> Gathered:
    """Joins columns of one kind, each with its record time, and sorts them by device and start."""
    kind = parts[0][0].kind
    places: dict[str, int] = {}
    devices = []
    for columns, _ in parts:
        places_here = [places.setdefault(device_id, len(places)) for device_id in columns.device_ids]
        devices.append(np.array(places_here, np.int64)[columns.device_index])
    device = np.concatenate(devices)
    start_ms = _joined(parts, lambda columns: columns.start_ms)
    order = np.lexsort((start_ms, device))
    carried = [column for column in kind.columns if any(column.name in columns.values for columns, _ in parts)]
    values = {
        column.name: np.concatenate(
            [
                columns.values[column.name] if column.name in columns.values else absent(column, columns.reading_count)
                for columns, _ in parts
            ]
        )[order]
        for column in carried
    }
    joined = KindColumns(
        kind,
        list(places),
        device[order],
        start_ms[order],
        _joined(parts, lambda columns: columns.interval_ms)[order],
        _joined(parts, lambda columns: columns.revision)[order],
        _joined(parts, lambda columns: columns.receive_ms)[order],
        values,
        _qualities(parts)[order] if any(columns.quality is not None for columns, _ in parts) else None,
    )
    record_ms = np.repeat([record for _, record in parts], [columns.reading_count for columns, _ in parts])
    return Gathered(joined, record_ms[order])


def _qualities(parts: Sequence[tuple[KindColumns, int]]) -> Integers:
    return _joined(
        parts,
        lambda columns: np.zeros(columns.reading_count, np.int64) if columns.quality is None else columns.quality,
    )


def _joined(parts: Sequence[tuple[KindColumns, int]], column: Callable[[KindColumns], Integers]) -> Integers:
    return np.concatenate([column(columns) for columns, _ in parts])
