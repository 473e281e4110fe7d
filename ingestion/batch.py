"""How Parts become the bytes of one ReadingBatch: joined as they came, for nobody needs to decode them on the way."""

from __future__ import annotations

from collections.abc import Iterable

from energy.ingestion.v1.reading_batch_pb2 import ReadingBatch

from common.instants import from_ms
from common.wire_format import LENGTH_DELIMITED, key, varint

BATCH_TYPE = ReadingBatch.DESCRIPTOR.full_name

_PARTS_KEY = key(ReadingBatch.PARTS_FIELD_NUMBER, LENGTH_DELIMITED)


def framed_part(part: bytes) -> bytes:
    """One element of the repeated field `parts`: key, length as a varint, the bytes of a serialised Part."""
    return _PARTS_KEY + varint(len(part)) + part


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
