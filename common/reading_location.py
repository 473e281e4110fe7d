"""Where each of many serialised readings stands in the message around them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from common.reading_shape import Bytes
from common.wire_format import MORE_FOLLOWS, SEVEN_BITS, NotPlain

Integers = np.ndarray[tuple[int], np.dtype[np.int64]]

# From so many readings of one length on, the next ones are looked at all at once: first a few, for the run may be
# short, then more and more of them.
_RUN_BEGINS_AFTER = 16
_LOOK_AHEAD_AT_FIRST = 64
_LOOK_AHEAD_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Located:
    """Where readings stand in `data`: reading i is `data[starts[i] : starts[i] + lengths[i]]`."""

    data: Bytes
    starts: Integers
    lengths: Integers


def locate(frame: bytes, key: int, position: int, end: int) -> Located:
    """Where the elements of a repeated field stand that fills `frame[position:end]`; `key` is its one-byte key.

    Raises:
        NotPlain: something else is among them, one is longer than 16 383 bytes, or the last one is cut off.
    """
    places = _Places(frame, key)
    places.add(position, end)
    return places.located()


def locate_all(data: bytes, key: int, ranges: Iterable[tuple[int, int]]) -> tuple[Located, list[int]]:
    """Where the elements stand that fill several ranges of `data`, and how many there are in each.

    Raises:
        NotPlain: as `locate` does, of any range.
    """
    places = _Places(data, key)
    counts = [places.add(position, end) for position, end in ranges]
    return places.located(), counts


class _Places:
    """Starts and lengths of elements, as they are found."""

    def __init__(self, data: bytes, key: int) -> None:
        self._bytes = data
        self._data = np.frombuffer(data, np.uint8)
        self._key = key
        self._starts: list[int] = []
        self._lengths: list[int] = []

    def located(self) -> Located:
        return Located(self._data, np.array(self._starts, np.int64), np.array(self._lengths, np.int64))

    def add(self, position: int, end: int) -> int:
        """Walks a range; returns how many elements it has."""
        data, key, starts, lengths = self._bytes, self._key, self._starts, self._lengths
        count_before = len(starts)
        alike = last_length = 0
        while position < end:
            if data[position] != key or position + 1 >= end:
                raise NotPlain
            length, start = data[position + 1], position + 2
            if length >= MORE_FOLLOWS:
                if start >= end or data[start] >= MORE_FOLLOWS:
                    raise NotPlain
                length, start = length & SEVEN_BITS | data[start] << 7, start + 1
            starts.append(start)
            lengths.append(length)
            alike = alike + 1 if length == last_length else 0
            last_length = length
            header = position
            position = start + length
            if alike >= _RUN_BEGINS_AFTER:
                alike = 0
                count = _run(self._data, header, start - header, position, end)
                stride = position - header
                starts.extend(range(start + stride, start + stride * (count + 1), stride))
                lengths.extend([length] * count)
                position += stride * count
        if position != end:
            raise NotPlain
        return len(starts) - count_before


def _run(data: Bytes, header: int, header_length: int, position: int, end: int) -> int:
    """How many elements from `position` on have the same key and length as the one whose header stands at `header`."""
    stride = position - header
    expected = data[header : header + header_length]
    count_maximum = (end - position) // stride
    count, look_ahead = 0, _LOOK_AHEAD_AT_FIRST
    while count < count_maximum:
        some = min(look_ahead, count_maximum - count)
        first = position + count * stride
        headers = data[first : first + some * stride].reshape(some, stride)[:, :header_length]
        alike = (headers == expected).all(axis=1)
        if not alike.all():
            return count + int(alike.argmin())
        count += some
        look_ahead *= _LOOK_AHEAD_GROWTH
    return count


def pick(located: Located, rows: Integers) -> list[bytes]:
    """The bytes of some readings."""
    return [
        located.data[start : start + length].tobytes()
        for start, length in zip(located.starts[rows].tolist(), located.lengths[rows].tolist(), strict=True)
    ]
