"""Readings as the bytes that travel, made for a whole fleet at once: a table with one serialised reading a row.

What protobuf makes of one reading is taken as the pattern; time and values are put into their places in every row. So a
reading costs some nanoseconds here, and the load generator leaves the machine to what is measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingRequest, StreamReadingsRequest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float64]

# Values that no other bytes of the pattern look like, and a time whose varint has the length of today's.
_PATTERN_SECONDS = 1_234_567_891
_PATTERN_IMPORT_KWH, _PATTERN_POWER_KW, _PATTERN_VOLTAGE_V = 0.123456789, 7.654321987, 231.987654321

# Seconds from 1978 to 3058 are a varint of five bytes.
_SECONDS_BYTES = 5
_SECONDS_MINIMUM, _SECONDS_MAXIMUM = 1 << 28, 1 << 35

_SEVEN_BITS = 0x7F
_MORE_FOLLOWS = 0x80

# The key of the only field of a unary request, and of a stream's frame: number and wire type "length-delimited".
UNARY_KEY = bytes([SendReadingRequest.READING_FIELD_NUMBER << 3 | 2])
_FRAME_KEY = bytes([StreamReadingsRequest.READINGS_FIELD_NUMBER << 3 | 2])


class ReadingTable:
    """One meter reading of each device, every row as the element of a frame: key, length, serialised reading.

    All ids have the same length, and so have all rows. With `interval_seconds` of 0 the readings carry none.
    """

    def __init__(self, device_ids: Sequence[str], interval_seconds: int = 0) -> None:
        if len({len(device_id.encode()) for device_id in device_ids}) != 1:
            raise ValueError("all device ids must have the same length, and there must be one")
        pattern = _pattern(device_ids[0], interval_seconds)
        row = _FRAME_KEY + varint(len(pattern)) + pattern
        self._rows: Bytes = np.tile(np.frombuffer(row, np.uint8), (len(device_ids), 1))
        self._place(row, device_ids[0].encode(), _id_bytes(device_ids))
        self._seconds_at = row.index(varint(_PATTERN_SECONDS))
        self._values_at = [
            row.index(np.float64(value).tobytes())
            for value in (_PATTERN_IMPORT_KWH, _PATTERN_POWER_KW, _PATTERN_VOLTAGE_V)
        ]
        self.row_bytes = len(row)

    def rows(self, first: int, last: int, start_seconds: int, values: Sequence[Numbers]) -> bytes:
        """The rows [first, last), one after the other, at one start; `values` are import, power and voltage of each.

        Raises:
            ValueError: the start needs another number of bytes than the pattern has.
        """
        if not _SECONDS_MINIMUM <= start_seconds < _SECONDS_MAXIMUM:
            raise ValueError("the start must lie in the years 1979 to 3058")
        rows = self._rows[first:last].copy()
        rows[:, self._seconds_at : self._seconds_at + _SECONDS_BYTES] = np.frombuffer(varint(start_seconds), np.uint8)
        for place, column in zip(self._values_at, values, strict=True):
            rows[:, place : place + 8] = np.ascontiguousarray(column, "<f8").view(np.uint8).reshape(-1, 8)
        return rows.tobytes()

    def _place(self, row: bytes, pattern: bytes, column: Bytes) -> None:
        place = row.index(pattern)
        self._rows[:, place : place + len(pattern)] = column


def sequence_field(sequence: int) -> bytes:
    """What stands before the readings of a frame: the field `sequence`."""
    return bytes([StreamReadingsRequest.SEQUENCE_FIELD_NUMBER << 3]) + varint(sequence)


def varint(number: int) -> bytes:
    """A number that is not negative as protobuf's base-128 varint."""
    encoded = bytearray()
    while number > _SEVEN_BITS:
        encoded.append(number & _SEVEN_BITS | _MORE_FOLLOWS)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _pattern(device_id: str, interval_seconds: int) -> bytes:
    return Reading(
        device_id=device_id,
        start_time=Timestamp(seconds=_PATTERN_SECONDS),
        interval=Duration(seconds=interval_seconds) if interval_seconds else None,
        meter=MeterMeasurement(
            import_kwh=_PATTERN_IMPORT_KWH, power_kw=_PATTERN_POWER_KW, voltage_v=_PATTERN_VOLTAGE_V
        ),
    ).SerializeToString()


def _id_bytes(device_ids: Sequence[str]) -> Bytes:
    joined = "".join(device_ids).encode()
    return np.frombuffer(joined, np.uint8).reshape(len(device_ids), -1)
