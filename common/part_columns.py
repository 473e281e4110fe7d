"""The readings of several serialised Parts as columns, for whoever consumes batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from energy.ingestion.v1.reading_batch_pb2 import Part
from energy.telemetry.v1.reading_pb2 import Reading
from google.protobuf.timestamp_pb2 import Timestamp

from common.instants import to_ms
from common.reading_columns import ROWS_MINIMUM, ColumnReader, ReadingColumns
from common.reading_location import Integers, Located, locate_all, pick
from common.wire_format import LENGTH_DELIMITED, MORE_FOLLOWS, NotPlain, key

# With fewer bytes messages are faster; columns pay from about 30 readings on.
_BYTES_MINIMUM = 2048

_TIME_KEY = key(Part.RECEIVE_TIME_FIELD_NUMBER, LENGTH_DELIMITED)[0]
_READINGS_KEY = key(Part.READINGS_FIELD_NUMBER, LENGTH_DELIMITED)[0]


@dataclass(frozen=True, slots=True)
class ReadParts:
    """The readings of some Parts, each in one of two shapes, with when the gateway received it (epoch milliseconds).

    `columns` have a receive time for each row; their rows, ascending, and `other_rows` are positions among all readings
    of the Parts. `receive_ms` has one time for each Part, and `reading_counts` says how many readings it has.
    """

    columns: list[tuple[ReadingColumns, Integers]]
    others: list[tuple[Reading, int]]
    other_rows: list[int]
    receive_ms: list[int]
    reading_counts: list[int]


class PartReader:
    """Reads Parts; it remembers the shapes of readings."""

    def __init__(self, rows_minimum: int = ROWS_MINIMUM, bytes_minimum: int = _BYTES_MINIMUM) -> None:
        self._columns = ColumnReader(rows_minimum)
        self._bytes_minimum = bytes_minimum

    def read(self, parts: Sequence[bytes]) -> ReadParts:
        """The readings of serialised Parts.

        Raises:
            google.protobuf.message.DecodeError: one of them is no `Part`.
            ValueError: one of them has no valid receive time.
        """
        if sum(map(len, parts)) >= self._bytes_minimum:
            try:
                return self._read(*_located(parts))
            except NotPlain:
                pass
        others = []
        times = []
        counts = []
        for body in parts:
            part = Part.FromString(body)
            receive_ms = to_ms(part.receive_time)
            times.append(receive_ms)
            counts.append(len(part.readings))
            others += [(reading, receive_ms) for reading in part.readings]
        return ReadParts([], others, list(range(len(others))), times, counts)

    def _read(self, located: Located, counts: list[int], times: list[int]) -> ReadParts:
        receive_ms = np.repeat(np.array(times, np.int64), counts)
        columns, rows = self._columns.read(located)
        others = [Reading.FromString(reading) for reading in pick(located, rows)]
        return ReadParts(
            [(some, receive_ms[some.rows]) for some in columns],
            list(zip(others, receive_ms[rows].tolist(), strict=True)),
            rows.tolist(),
            times,
            counts,
        )


def _located(parts: Sequence[bytes]) -> tuple[Located, list[int], list[int]]:
    """Where the readings of all Parts stand in the bytes of all; of each Part how many it has and when it was received.

    Raises:
        NotPlain: a Part is not what encoders write: the time, then the readings.
        ValueError: a receive time is not valid.
    """
    ranges = []
    times = []
    for part, end in zip(parts, accumulate(map(len, parts)), strict=True):
        first = end - len(part)
        time_length = 0
        if part[:1] == bytes([_TIME_KEY]):
            if len(part) < _TIME_HEADER or part[1] >= MORE_FOLLOWS or _TIME_HEADER + part[1] > len(part):
                raise NotPlain
            time_length = _TIME_HEADER + part[1]
        times.append(to_ms(Timestamp.FromString(part[_TIME_HEADER:time_length])))
        ranges.append((first + time_length, end))
    located, counts = locate_all(b"".join(parts), _READINGS_KEY, ranges)
    return located, counts, times


_TIME_HEADER = 2
