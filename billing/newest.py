"""The newest reading of each of many devices, as columns and as bytes that sort as readings do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from billing.kind_columns import Array, Gathered, KindColumns, LoggedReading, absent, gather, is_absent
from billing.live import Latest, last_rows
from billing.observation import Observation
from billing.schema import Kind
from billing.segment import Segment
from common.reading_location import Integers

_WORD = 8
_OWN_WORDS = 4
_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True, slots=False, eq=False)
class Newest:
    """One reading a device, all of one kind."""

    gathered: Gathered

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The row of each device."""
        columns = self.gathered.columns
        return {columns.device_ids[place]: row for row, place in enumerate(columns.device_index.tolist())}

    def find(self, device_id: str) -> Latest | None:
        """The reading of a device."""
        row = self.rows.get(device_id)
        return None if row is None else latest_rows(self.gathered, np.array([row]))[0]

    def device_ids(self) -> list[str]:
        """The devices, by row."""
        return list(self.rows)


def newest_of_all(
    segments: Sequence[Segment], before: Mapping[str, Newest], latest: Sequence[Latest] = ()
) -> dict[str, Newest]:
    """Of the readings of some segments, and of what was the newest before, the newest of each device, by kind."""
    parts: dict[str, list[tuple[KindColumns, int | Integers]]] = {}
    for segment in segments:
        for columns in segment.kinds:
            parts.setdefault(columns.kind.name, []).append((columns, segment.record_ms))
    for known in before.values():
        parts.setdefault(known.gathered.columns.kind.name, []).append(
            (known.gathered.columns, known.gathered.record_ms)
        )
    for kind in {one.kind for one in latest}:
        some = [one for one in latest if one.kind == kind]
        columns = KindColumns.of([_logged(one) for one in some])
        parts.setdefault(kind, []).append((columns, np.array([one.observation.record_ms for one in some], np.int64)))
    return {kind: _newest(gather(some)) for kind, some in parts.items()}


def newest_of(gathered: Iterable[Gathered]) -> dict[str, Latest]:
    """Of some readings by kind, the newest of each device."""
    newest = (_newest(some).gathered for some in gathered)
    return {latest.device_id: latest for some in newest for latest in latest_rows(some, np.arange(some.record_ms.size))}


def _newest(gathered: Gathered) -> Newest:
    rows = last_rows(gathered)
    if rows.size > len(gathered.columns.device_ids):
        # Several of one device and start: which of them counts is seen in their bytes.
        device = gathered.columns.device_index[rows]
        packed = packed_rows(_only(gathered, rows))
        order = np.lexsort((*packed.T[::-1], device))
        is_last = np.append(device[order][1:] != device[order][:-1], np.True_)
        rows = rows[order][is_last]
    return Newest(_only(gathered, rows))


def _only(gathered: Gathered, rows: Integers) -> Gathered:
    columns = gathered.columns
    return Gathered(
        replace(
            columns,
            device_index=columns.device_index[rows],
            start_ms=columns.start_ms[rows],
            interval_ms=columns.interval_ms[rows],
            revision=columns.revision[rows],
            receive_ms=columns.receive_ms[rows],
            values={name: values[rows] for name, values in columns.values.items()},
        ),
        gathered.record_ms[rows],
    )


def latest_rows(gathered: Gathered, rows: Integers) -> list[Latest]:
    """Some of the readings as objects."""
    columns = gathered.columns
    names = [columns.device_ids[place] for place in columns.device_index[rows].tolist()]
    return [
        Latest(columns.kind.name, name, start_ms, observation)
        for name, start_ms, observation in zip(
            names, columns.start_ms[rows].tolist(), gathered.observations(rows), strict=True
        )
    ]


def packed_width(kind: Kind) -> int:
    """Bytes of a packed reading of a kind."""
    return (_OWN_WORDS + 1) * _WORD + (_WORD + 1) * len(kind.columns)


def packed_rows(gathered: Gathered) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Each reading as bytes, a row each, of which the greater is the newer one, as `Latest.order` has it.

    Big-endian: start and revision; with every bit turned the receive time, the interval, a byte and eight for each
    value (whether it is there, and what it is); last, turned too, the record time: of duplicates the first is kept.
    """
    columns, count = gathered.columns, gathered.record_ms.size
    rows = np.empty((count, packed_width(columns.kind)), np.uint8)
    rows[:, 0:8] = _words(_biased(columns.start_ms))
    rows[:, 8:16] = _words(_biased(columns.revision))
    rows[:, 16:24] = _words(~_biased(columns.receive_ms))
    rows[:, 24:32] = _words(~columns.interval_ms.astype(np.uint64))
    at = _OWN_WORDS * _WORD
    for column in columns.kind.columns:
        values = columns.values[column.name] if column.name in columns.values else absent(column, count)
        missing = is_absent(column, values)
        rows[:, at] = np.where(missing, 0xFF, 0xFE)
        words = ~np.ascontiguousarray(values).view(np.uint64)
        rows[:, at + 1 : at + 9] = _words(np.where(missing, ~np.uint64(0), words))
        at += _WORD + 1
    rows[:, at : at + 8] = _words(~_biased(gathered.record_ms))
    return rows


def unpacked(kind: Kind, device_id: str, packed: bytes) -> Latest:
    """The inverse of `packed_rows` for one reading.

    Raises:
        ValueError: it is not as long as a reading of this kind.
    """
    if len(packed) != packed_width(kind):
        raise ValueError(f"{len(packed)} bytes are no reading of a {kind.name}")
    turned = bytes(255 - byte for byte in packed)

    def word(data: bytes, at: int) -> int:
        return int.from_bytes(data[at : at + _WORD], "big")

    values: list[int | float | None] = []
    for place, column in enumerate(kind.columns):
        at = _OWN_WORDS * _WORD + place * (_WORD + 1)
        if not turned[at]:
            values.append(None)
            continue
        scalar = np.frombuffer(turned, ">i8" if column.type == "integer" else ">f8", count=1, offset=at + 1)
        values.append(scalar[0].item())
    start_ms = word(packed, 0) - 2**63
    return Latest(
        kind.name,
        device_id,
        start_ms,
        Observation(
            offset_ms=start_ms % kind.span_ms,
            revision=word(packed, 8) - 2**63,
            interval_ms=word(turned, 24),
            receive_ms=word(turned, 16) - 2**63,
            record_ms=word(turned, len(packed) - _WORD) - 2**63,
            values=tuple(values),
        ),
    )


def _biased(column: Integers) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    # So that negative ones sort below positive ones.
    return column.astype(np.int64).view(np.uint64) ^ _SIGN


def _words(column: Array) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return column.astype(">u8").view(np.uint8).reshape(-1, _WORD)


def _logged(latest: Latest) -> LoggedReading:
    observation = latest.observation
    return LoggedReading(
        latest.kind,
        latest.device_id,
        latest.start_ms,
        observation.interval_ms,
        observation.revision,
        observation.receive_ms,
        observation.values,
    )
