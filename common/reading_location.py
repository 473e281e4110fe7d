"""Where each of many serialised readings stands in the message around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.reading_shape import Bytes
from common.wire_format import MORE_FOLLOWS, SEVEN_BITS, NotPlain

Integers = np.ndarray[tuple[int], np.dtype[np.int64]]

# From so many readings of one length on, the next ones are looked at all at once.
_RUN_BEGINS_AFTER = 4


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
    data = np.frombuffer(frame, np.uint8)
    starts: list[int] = []
    lengths: list[int] = []
    alike = last_length = 0
    while position < end:
        if frame[position] != key or position + 1 >= end:
            raise NotPlain
        length, start = frame[position + 1], position + 2
        if length >= MORE_FOLLOWS:
            if start >= end or frame[start] >= MORE_FOLLOWS:
                raise NotPlain
            length, start = length & SEVEN_BITS | frame[start] << 7, start + 1
        starts.append(start)
        lengths.append(length)
        alike = alike + 1 if length == last_length else 0
        last_length = length
        header = position
        position = start + length
        if alike >= _RUN_BEGINS_AFTER:
            alike = 0
            count = _run(data, header, start - header, position, end)
            stride = position - header
            starts.extend(range(start + stride, start + stride * (count + 1), stride))
            lengths.extend([length] * count)
            position += stride * count
    if position != end:
        raise NotPlain
    return Located(data, np.array(starts, np.int64), np.array(lengths, np.int64))


def _run(data: Bytes, header: int, header_length: int, position: int, end: int) -> int:
    """How many elements from `position` on have the same key and length as the one whose header stands at `header`."""
    stride = position - header
    count = (end - position) // stride
    if count <= 0:
        return 0
    headers = data[position : position + count * stride].reshape(count, stride)[:, :header_length]
    alike = (headers == data[header : header + header_length]).all(axis=1)
    return count if alike.all() else int(alike.argmin())


def pick(located: Located, rows: Integers) -> list[bytes]:
    """The bytes of some readings."""
    return [
        located.data[start : start + length].tobytes()
        for start, length in zip(located.starts[rows].tolist(), located.lengths[rows].tolist(), strict=True)
    ]
