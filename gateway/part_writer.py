"""The accepted readings of one frame as serialised Parts, one a partition.

A Part is put together from bytes: each reading is serialised once and joined as the repeated field it is on the wire (a
tag, a length, the bytes), which costs a third of copying the messages into a Part and serialising that.
"""

from __future__ import annotations

from energy.ingestion.v1.reading_batch_pb2 import Part
from energy.telemetry.v1.reading_pb2 import Reading

from common.instants import duration_from_ms, from_ms

_LENGTH_DELIMITED = 2
_READINGS_TAG = bytes([Part.READINGS_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte, as the wire format has it
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


# Readings are shorter than this, so that a header is a look-up.
_USUAL_LENGTH = 512
_HEADERS = tuple(_READINGS_TAG + _varint(length) for length in range(_USUAL_LENGTH))


def interval_field(interval_ms: int) -> bytes:
    """The field `interval` of a reading, to be put after the bytes of a reading that has none."""
    return Reading(interval=duration_from_ms(interval_ms)).SerializeToString()


class PartWriter:
    """Gathers the bytes of the Parts of one frame."""

    __slots__ = ("_chunks", "_head")

    def __init__(self, receive_time_ms: int) -> None:
        self._head = Part(receive_time=from_ms(receive_time_ms)).SerializeToString()
        self._chunks: dict[int, list[bytes]] = {}

    def add(self, partition: int, reading: bytes) -> None:
        """Adds a serialised reading to the Part of its partition."""
        chunks = self._chunks.get(partition)
        if chunks is None:
            chunks = self._chunks[partition] = [self._head]
        length = len(reading)
        chunks.append(_HEADERS[length] if length < _USUAL_LENGTH else _READINGS_TAG + _varint(length))
        chunks.append(reading)

    def parts(self) -> dict[int, bytes]:
        """The serialised Parts by partition; empty if nothing was added."""
        return {partition: b"".join(chunks) for partition, chunks in self._chunks.items()}
