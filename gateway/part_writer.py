"""The accepted readings of one frame as serialised Parts, one a partition.

A Part is put together from bytes: each reading is serialised once and joined as the repeated field it is on the wire (a
tag, a length, the bytes), which costs a third of copying the messages into a Part and serialising that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

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


@lru_cache(maxsize=1024)
def _header(length: int) -> bytes:
    return _READINGS_TAG + _varint(length)


def interval_field(interval_ms: int) -> bytes:
    """The field `interval` of a reading, to be put after the bytes of a reading that has none."""
    return Reading(interval=duration_from_ms(interval_ms)).SerializeToString()


def serialised_parts(receive_time_ms: int, readings: Mapping[int, Sequence[bytes]]) -> dict[int, bytes]:
    """The Parts of one frame by partition, from its serialised readings by partition."""
    head = Part(receive_time=from_ms(receive_time_ms)).SerializeToString()
    return {
        partition: head + b"".join([piece for reading in mine for piece in (_header(len(reading)), reading)])
        for partition, mine in readings.items()
    }
