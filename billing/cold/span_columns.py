"""The documents of many new spans at once, from sorted columns: what `span_document` makes of one, for all of them."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from billing.cold.span_document import document_id
from billing.log.kind_columns import Array, Gathered, as_list, is_absent
from billing.log.observation import SpanKey, Value
from billing.log.reading_quality import quality_counts
from billing.log.schema import QUARTER_MS
from common.instants import datetime_from_ms
from common.reading_location import Integers


def fresh_documents(gathered: Gathered, rows: Integers) -> Iterator[tuple[SpanKey, dict[str, Any]]]:
    """The documents, at version 1, of the spans of some rows.

    The rows are in order, hold every row of each of their spans, and no device and start twice.
    """
    if not rows.size:
        return
    columns = _Sorted(gathered, rows)
    totals = _Cells(columns, columns.span_first, np.zeros(columns.span_first.size, np.int64))
    quarter_first = _firsts(columns.span_number, columns.offset_ms // QUARTER_MS)
    offsets = columns.offset_ms[quarter_first] // QUARTER_MS * QUARTER_MS
    quarters = _Cells(columns, quarter_first, offsets)
    quarter_bounds = np.append(np.searchsorted(quarter_first, columns.span_first), quarter_first.size).tolist()
    bounds = [*columns.span_first.tolist(), rows.size]
    for number, (first, end) in enumerate(pairwise(bounds)):
        key = columns.key(first)
        yield (
            key,
            {
                "_id": document_id(key),
                "device_id": key.device_id,
                "span_start": datetime_from_ms(key.span_start_ms),
                "version": 1,
                **{name: listed[first:end] for name, listed in columns.own.items()},
                **{name: listed[first:end] for name, (listed, carried) in columns.values.items() if carried[number]},
                **columns.qualities(first, end),
                "quarters": [quarters.cell(place) for place in range(*quarter_bounds[number : number + 2])],
                "total": totals.cell(number),
            },
        )


def _firsts(*keys: Integers) -> Integers:
    """Where one of the keys changes, and 0."""
    changes = np.zeros(keys[0].size, np.bool_)
    changes[0] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)


class _Sorted:
    """The rows as lists that documents are cut from."""

    def __init__(self, gathered: Gathered, rows: Integers) -> None:
        columns = gathered.columns
        self.kind = columns.kind
        self._names = columns.device_ids
        self._device = columns.device_index[rows]
        self._span_start_ms = gathered.span_start_ms[rows]
        self.offset_ms = columns.start_ms[rows] - self._span_start_ms
        self.interval_ms = columns.interval_ms[rows]
        self.span_first = _firsts(self._device, self._span_start_ms)
        self.span_number = np.repeat(
            np.arange(self.span_first.size), np.diff(np.append(self.span_first, self.offset_ms.size))
        )
        self.own: dict[str, list[int]] = {
            "offset_ms": self.offset_ms.tolist(),
            "revision": columns.revision[rows].tolist(),
            "interval_ms": self.interval_ms.tolist(),
            "receive_ms": columns.receive_ms[rows].tolist(),
            "record_ms": gathered.record_ms[rows].tolist(),
        }
        self.quality: list[int] | None = None if columns.quality is None else columns.quality[rows].tolist()
        self.arrays: dict[str, tuple[Array, Array]] = {}
        """Values and whether each is carried, by column."""
        self.values: dict[str, tuple[list[Value], list[bool]]] = {}
        """Values as a list, and whether each span carries any, by column."""
        for column in self.kind.columns:
            if column.name not in columns.values:
                continue
            array = columns.values[column.name][rows]
            carried = ~is_absent(column, array)
            self.arrays[column.name] = (array, carried)
            any_carried = np.add.reduceat(carried.astype(np.int64), self.span_first) > 0
            self.values[column.name] = (as_list(column, array), any_carried.tolist())

    def qualities(self, first: int, end: int) -> dict[str, list[int]]:
        """The qualities of a span as a column, unless all of it was measured."""
        if self.quality is None or not any(self.quality[first:end]):
            return {}
        return {"quality": self.quality[first:end]}

    def key(self, row: int) -> SpanKey:
        """The span of a row."""
        return SpanKey(self.kind.name, self._names[self._device[row]], int(self._span_start_ms[row]))


class _Cells:
    """Roll-ups of runs of rows, `first` being where each begins; see `quarter.cell` for what they hold."""

    def __init__(self, columns: _Sorted, first: Integers, offset_ms: Integers) -> None:
        count = columns.offset_ms.size
        ends = np.append(first[1:], count)
        interval_ms = columns.interval_ms
        self._cells: dict[str, list[Any]] = {
            "offset_ms": offset_ms.tolist(),
            "reading_count": (ends - first).tolist(),
            "covered_ms": np.add.reduceat(interval_ms, first).tolist(),
            "last_end_ms": np.maximum.reduceat(columns.offset_ms + interval_ms, first).tolist(),
        }
        for name in columns.kind.summed:
            self._cells[name] = self._sums(columns, name, first)
        bounds = list(zip(first.tolist(), ends.tolist(), strict=True))
        power, has_power = columns.arrays.get(columns.kind.power, _nothing(count))
        weighted = np.where(has_power, power * interval_ms, 0.0).tolist()
        measured_ms = np.where(has_power, interval_ms, 0)
        self._cells["power_kw_ms"] = [math.fsum(weighted[start:end]) for start, end in bounds]
        self._cells["power_covered_ms"] = np.add.reduceat(measured_ms, first).tolist()
        measured = np.flatnonzero(has_power)
        # The first and last row of each run that carries power; no such row where the count is 0.
        place, end_place = np.searchsorted(measured, first), np.searchsorted(measured, ends)
        absent = np.flatnonzero(place == end_place).tolist()
        within = np.append(measured, count - 1)
        for name, found in (
            ("minimum_power_kw", np.fmin.reduceat(power, first)),
            ("maximum_power_kw", np.fmax.reduceat(power, first)),
            ("first_power_kw", power[within[place]]),
            ("last_power_kw", power[within[end_place - 1]]),
        ):
            self._cells[name] = _with_none(found.tolist(), absent)
        degrees, has_degrees = columns.arrays.get(columns.kind.temperature, _nothing(count))
        listed = np.where(has_degrees, degrees, 0.0).tolist()
        self._cells["temperature_sum"] = [math.fsum(listed[start:end]) for start, end in bounds]
        self._cells["temperature_count"] = np.add.reduceat(has_degrees.astype(np.int64), first).tolist()
        self._names = tuple(self._cells)
        self._rows = list(zip(*self._cells.values(), strict=True))
        quality = columns.quality
        self._quality_counts = None if quality is None else [quality_counts(quality[at:end]) for at, end in bounds]

    def cell(self, number: int) -> dict[str, Any]:
        """One roll-up as a sub-document."""
        cell = dict(zip(self._names, self._rows[number], strict=True))
        if self._quality_counts is not None:
            cell |= self._quality_counts[number]
        return cell

    @staticmethod
    def _sums(columns: _Sorted, name: str, first: Integers) -> list[int | None]:
        if name not in columns.arrays:
            return [None] * first.size
        energy, carried = columns.arrays[name]
        sums: list[Any] = np.add.reduceat(np.where(carried, energy, 0), first).tolist()
        return _with_none(sums, np.flatnonzero(np.add.reduceat(carried.astype(np.int64), first) == 0).tolist())


def _with_none(listed: list[Any], absent: list[int]) -> list[Any]:
    for place in absent:
        listed[place] = None
    return listed


def _nothing(count: int) -> tuple[Array, Array]:
    return np.full(count, np.nan), np.zeros(count, np.bool_)
