"""How Parts become the bytes of one ReadingBatch: joined as they came, for nobody needs to decode them on the way."""

from __future__ import annotations

from collections.abc import Iterable

from energy.ingestion.v1.reading_batch_pb2 import ReadingBatch

from common.instants import from_ms

BATCH_TYPE = ReadingBatch.DESCRIPTOR.full_name

# Field `parts` = 4 with wire type 2 (length-delimited): 4 << 3 | 2.
_PARTS_KEY = b"\x22"
_SEVEN_BITS = 0x7F
_MORE_FOLLOWS = 0x80


def framed_part(part: bytes) -> bytes:
    """One element of the repeated field `parts`: key, length as a varint, the bytes of a serialised Part.

    Source: protobuf.dev, "Encoding", sections "Message Structure" and "Length-Delimited Records".
    """
    return _PARTS_KEY + _varint(len(part)) + part


def batch_bytes(
    *,
    batch_id: str,
    writer: str,
    sequence: int,
    partition: int,
    create_time_ms: int,
    partition_count: int,
    framed_parts: Iterable[bytes],
) -> bytes:
    """The serialised ReadingBatch around Parts that `framed_part` has framed.

    Byte for byte what protobuf makes of the same message: fields in the order of their numbers.
    """
    before_parts = ReadingBatch(batch_id=batch_id, writer=writer, sequence=sequence)
    after_parts = ReadingBatch(
        partition=partition, create_time=from_ms(create_time_ms), partition_count=partition_count
    )
    return b"".join((before_parts.SerializeToString(), *framed_parts, after_parts.SerializeToString()))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > _SEVEN_BITS:
        encoded.append(number & _SEVEN_BITS | _MORE_FOLLOWS)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
