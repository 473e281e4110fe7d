"""A frame from the bytes a device sent: columns where many readings are alike, messages where they are not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest

from common.reading_columns import ROWS_MINIMUM, ColumnReader, ReadingColumns
from common.reading_location import Located, locate, pick
from common.wire_format import LENGTH_DELIMITED, VARINT, NotPlain, key, read_varint

# A frame with fewer bytes is parsed whole; columns pay from about 40 readings on.
_BYTES_MINIMUM = 2048

_SEQUENCE_KEY = key(StreamReadingsRequest.SEQUENCE_FIELD_NUMBER, VARINT)
_READINGS_KEY = key(StreamReadingsRequest.READINGS_FIELD_NUMBER, LENGTH_DELIMITED)[0]


@dataclass(frozen=True, slots=True)
class ReadFrame:
    """A frame: each of its readings is a row of `columns` or one of `others`, which are known by their position."""

    sequence: int
    readings_count: int
    columns: list[ReadingColumns]
    others: list[tuple[int, Reading]]

    @classmethod
    def of(cls, readings: Iterable[Reading], sequence: int = 0) -> Self:
        """The frame of some messages."""
        others = list(enumerate(readings))
        return cls(sequence, len(others), [], others)


class FrameReader:
    """Reads frames; what it remembers are shapes of readings, so one serves every stream."""

    def __init__(self, rows_minimum: int = ROWS_MINIMUM, bytes_minimum: int = _BYTES_MINIMUM) -> None:
        self._columns = ColumnReader(rows_minimum)
        self._bytes_minimum = bytes_minimum

    def read(self, frame: bytes) -> ReadFrame:
        """The frame in some bytes.

        Raises:
            google.protobuf.message.DecodeError: they are no `StreamReadingsRequest`.
        """
        if len(frame) >= self._bytes_minimum:
            try:
                sequence, located = _located(frame)
            except NotPlain:
                pass
            else:
                return self._read(sequence, located)
        message = StreamReadingsRequest.FromString(frame)
        return ReadFrame.of(message.readings, message.sequence)

    def _read(self, sequence: int, located: Located) -> ReadFrame:
        columns, rows = self._columns.read(located)
        others = [Reading.FromString(reading) for reading in pick(located, rows)]
        return ReadFrame(sequence, located.starts.size, columns, list(zip(rows.tolist(), others, strict=True)))


def _located(frame: bytes) -> tuple[int, Located]:
    """The sequence of a frame, and where its readings stand.

    Raises:
        NotPlain: they do not follow each other as encoders write them.
    """
    sequence, position = 0, 0
    if frame.startswith(_SEQUENCE_KEY):
        sequence, position = read_varint(frame, 1)
    return sequence, locate(frame, _READINGS_KEY, position, len(frame))
