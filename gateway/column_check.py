"""The check of many readings at once: the same rules as in `validation`, a comparison a column.

Says only which readings keep every rule. Which rule another one breaks is for `validation` to tell, reading by reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from common.reading_columns import ReadingColumns, Truths, in_groups
from common.reading_location import Integers
from common.wire_format import LENGTH_DELIMITED, key, varint
from gateway.device import INTERVAL_MAXIMUM_MS, INTERVAL_MINIMUM_MS
from gateway.device_table import KIND_NUMBERS, UNKNOWN, DeviceTable, Slots
from gateway.limits import AHEAD_MAXIMUM_MS, REVISION_MAXIMUM
from gateway.part_writer import READINGS_FIELD
from gateway.validation import LIMIT_OF_FIELD

_READINGS_KEY = key(READINGS_FIELD, LENGTH_DELIMITED)


def keeps_rules(columns: ReadingColumns, slots: Slots, table: DeviceTable, receive_time_ms: int) -> Truths:
    """Which of the readings are of a known device and keep every rule."""
    good: Truths = (slots != UNKNOWN) & (table.kind[slots] == KIND_NUMBERS[columns.kind])
    good &= (columns.start_ms >= 0) & (columns.start_ms <= receive_time_ms + AHEAD_MAXIMUM_MS)
    good &= (columns.revision >= 0) & (columns.revision <= REVISION_MAXIMUM)
    if columns.interval_ms is not None:
        good &= (columns.interval_ms >= INTERVAL_MINIMUM_MS) & (columns.interval_ms <= INTERVAL_MAXIMUM_MS)
    limits = LIMIT_OF_FIELD[columns.kind]
    for name, values in columns.values.items():
        limit = limits[name]
        # False for what is not a number, too.
        good &= (values >= limit.low) & (values <= limit.high)
    return good


def framed_readings(columns: ReadingColumns, slots: Slots, table: DeviceTable) -> Iterator[tuple[int, bytes]]:
    """Readings of known devices as they stand in Parts: pairs of a partition and the bytes of some of its readings."""
    if columns.interval_ms is not None:
        yield from _by_partition(columns, table.partition[slots], b"")
        return
    for interval, places in in_groups(table.interval[slots]):
        some = columns if places.size == columns.rows.size else columns.take(places)
        yield from _by_partition(some, table.partition[slots[places]], table.interval_fields[interval])


def _by_partition(columns: ReadingColumns, partition: Integers, interval_field: bytes) -> Iterator[tuple[int, bytes]]:
    count, length = columns.matrix.shape
    header = _READINGS_KEY + varint(length + len(interval_field))
    framed = np.empty((count, len(header) + length + len(interval_field)), np.uint8)
    order = np.argsort(partition, kind="stable")
    framed[:, : len(header)] = np.frombuffer(header, np.uint8)
    framed[:, len(header) : len(header) + length] = columns.matrix[order]
    framed[:, len(header) + length :] = np.frombuffer(interval_field, np.uint8)
    ordered = partition[order]
    firsts = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), count]
    for first, end in pairwise(firsts):
        yield int(ordered[first]), framed[first:end].tobytes()
