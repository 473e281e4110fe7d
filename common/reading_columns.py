"""Many serialised readings as columns: one array a field instead of one object a reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.reading_location import Integers, Located, pick
from common.reading_shape import Bytes, Place, Shape, shape_of
from common.wire_format import SEVEN_BITS

Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
Truths = np.ndarray[tuple[int], np.dtype[np.bool_]]

# Fewer readings than this are faster as objects: an array operation costs as much as several of theirs.
ROWS_MINIMUM = 24

# A shape is about a kilobyte; real fleets have tens. Whoever sends a new shape with every reading must not make us
# learn, remember or compare without end.
_LENGTHS_MAXIMUM = 512
_SHAPES_A_LENGTH = 8
_LEARNT_A_CALL = 16

_ASCII_LIMIT = 128
_NANOS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class ReadingColumns:
    """Readings of one shape, a row each; `rows` says which ones of those asked for they are.

    `matrix` has their bytes, one reading a row. Times are epoch milliseconds; `interval_ms` is None where the readings
    carry no interval. `values` has a column for each field that the measurement carries, as sent.
    """

    kind: str
    rows: Integers
    matrix: Bytes
    device_ids: list[bytes]
    start_ms: Integers
    interval_ms: Integers | None
    revision: Integers
    values: dict[str, Integers | Numbers]

    def take(self, places: Integers | Truths) -> ReadingColumns:
        """Some of the rows, by their places in these columns or by a truth for each."""
        chosen = np.arange(self.rows.size)[places]
        return ReadingColumns(
            kind=self.kind,
            rows=self.rows[chosen],
            matrix=self.matrix[chosen],
            device_ids=[self.device_ids[place] for place in chosen.tolist()],
            start_ms=self.start_ms[chosen],
            interval_ms=None if self.interval_ms is None else self.interval_ms[chosen],
            revision=self.revision[chosen],
            values={name: values[chosen] for name, values in self.values.items()},
        )


class ColumnReader:
    """Reads columns; remembers the shapes it has met."""

    def __init__(self, rows_minimum: int = ROWS_MINIMUM) -> None:
        self._rows_minimum = rows_minimum
        self._shapes: dict[int, list[Shape]] = {}

    def read(self, located: Located) -> tuple[list[ReadingColumns], Integers]:
        """The columns of the readings, shape by shape, and the rows of those that a full parser should look at.

        Those are the unusual ones, and the usual ones of which there are only a few. Every other reading is what
        `shape_of` promises, has an id in ASCII and times in whole milliseconds, not yet checked to be in any range.
        """
        found: list[ReadingColumns] = []
        others: list[Integers] = []
        learnt = 0
        for rows in _by_value(located.lengths):
            left = rows
            for shape in tuple(self._shapes.get(int(located.lengths[rows[0]]), ())):
                left = self._take(shape, located, left, found, others)
            while left.size >= self._rows_minimum and learnt < _LEARNT_A_CALL:
                learnt += 1
                shape_of_first = shape_of(pick(located, left[:1])[0])
                still_left = left
                if shape_of_first is not None:
                    still_left = self._take(shape_of_first, located, left, found, others)
                if shape_of_first is not None and still_left.size < left.size:
                    self._remember(shape_of_first)
                    left = still_left
                else:
                    others.append(left[:1])
                    left = left[1:]
            others.append(left)
        return found, np.sort(np.concatenate(others)) if others else np.empty(0, np.int64)

    def _remember(self, shape: Shape) -> None:
        if len(self._shapes) >= _LENGTHS_MAXIMUM:
            self._shapes.clear()
        alike = self._shapes.setdefault(shape.length, [])
        del alike[_SHAPES_A_LENGTH - 1 :]
        alike.insert(0, shape)

    def _take(
        self,
        shape: Shape,
        located: Located,
        rows: Integers,
        found: list[ReadingColumns],
        others: list[Integers],
    ) -> Integers:
        """Reads those of the rows that have the shape, unless they are few; returns the rest."""
        if rows.size < self._rows_minimum:
            return rows
        matrix = _matrix(located.data, located.starts[rows], shape.length)
        fits = ((matrix & shape.mask) == shape.expected).all(axis=1)
        left = rows[:0]
        if not fits.all():
            if np.count_nonzero(fits) < self._rows_minimum:
                return rows
            left, rows, matrix = rows[~fits], rows[fits], matrix[fits]
        columns, is_whole = _columns(shape, rows, matrix)
        if not is_whole.all():
            others.append(rows[~is_whole])
            columns = columns.take(is_whole)
        if columns.rows.size:
            found.append(columns)
        return left


def _by_value(lengths: Integers) -> Iterator[Integers]:
    if not lengths.size:
        return
    if (lengths == lengths[0]).all():
        yield np.arange(lengths.size)
        return
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    yield from np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1)


def _matrix(data: Bytes, starts: Integers, length: int) -> Bytes:
    windows: Bytes = np.lib.stride_tricks.sliding_window_view(data, length)
    return windows[starts]


def _columns(shape: Shape, rows: Integers, matrix: Bytes) -> tuple[ReadingColumns, Truths]:
    start_ms, is_whole = _time_ms(matrix, shape.start_seconds, shape.start_nanos)
    interval_ms = None
    if shape.has_interval:
        interval_ms, interval_is_whole = _time_ms(matrix, shape.interval_seconds, shape.interval_nanos)
        is_whole &= interval_is_whole
    ids = matrix[:, shape.device_id]
    if (ids >= _ASCII_LIMIT).any():
        # Whether that is UTF-8 is for a parser to say.
        is_whole &= (ids < _ASCII_LIMIT).all(axis=1)
    columns = ReadingColumns(
        kind=shape.kind,
        rows=rows,
        matrix=matrix,
        device_ids=_texts(matrix, shape.device_id),
        start_ms=start_ms,
        interval_ms=interval_ms,
        # A parser cuts a longer varint off.
        revision=_integers(matrix, shape.revision).astype(np.int32).astype(np.int64),
        values={name: _value(matrix, place) for name, place in shape.values.items()},
    )
    return columns, is_whole


def _time_ms(matrix: Bytes, seconds: Place | None, nanos: Place | None) -> tuple[Integers, Truths]:
    """Milliseconds, and whether each is whole and in a range that can be counted so."""
    whole_seconds = _integers(matrix, seconds)
    is_whole: Truths = whole_seconds < _SECONDS_LIMIT
    if nanos is None:
        return whole_seconds * 1000, is_whole
    parts = _integers(matrix, nanos)
    is_whole &= (parts % _NANOS_PER_MS == 0) & (parts < 1000 * _NANOS_PER_MS)
    return whole_seconds * 1000 + parts // _NANOS_PER_MS, is_whole


# From here on a full parser has to say what is wrong: the first second after the year 9999.
_SECONDS_LIMIT = 253_402_300_800


def _integers(matrix: Bytes, place: Place | None) -> Integers:
    number = np.zeros(matrix.shape[0], np.int64)
    if place is not None:
        for offset in range(place.length):
            number |= (matrix[:, place.position + offset] & SEVEN_BITS).astype(np.int64) << 7 * offset
    return number


def _value(matrix: Bytes, place: Place) -> Integers | Numbers:
    if not place.is_double:
        return _integers(matrix, place)
    return np.ascontiguousarray(matrix[:, place.position : place.position + 8]).view("<f8")[:, 0]


def _texts(matrix: Bytes, where: slice) -> list[bytes]:
    joined, length = matrix[:, where].tobytes(), where.stop - where.start
    return [joined[first : first + length] for first in range(0, len(joined), length)]


def in_groups(keys: Integers) -> Iterator[tuple[int, Integers]]:
    """The distinct keys in order, each with the places where it stands."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    for places in np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1):
        if places.size:
            yield int(keys[places[0]]), places
