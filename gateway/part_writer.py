"""The accepted readings of one frame as serialised Parts, one a partition.

A Part is put together from bytes: each reading is serialised once and joined as the repeated field it is on the wire (a
key, a length, the bytes), which costs a third of copying the messages into a Part and serialising that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from energy.ingestion.v1.reading_batch_pb2 import Part
from energy.telemetry.v1.reading_pb2 import Reading

from common.instants import duration_from_ms, from_ms
from common.wire_format import LENGTH_DELIMITED, key, varint

READINGS_FIELD = Part.READINGS_FIELD_NUMBER

_READINGS_KEY = key(READINGS_FIELD, LENGTH_DELIMITED)


@lru_cache(maxsize=1024)
def _header(length: int) -> bytes:
    return _READINGS_KEY + varint(length)


def interval_field(interval_ms: int) -> bytes:
    """The field `interval` of a reading, to be put after the bytes of a reading that has none."""
    return Reading(interval=duration_from_ms(interval_ms)).SerializeToString()


def framed_reading(reading: bytes) -> bytes:
    """A serialised reading as it stands in a Part."""
    return _header(len(reading)) + reading


def serialised_parts(receive_time_ms: int, framed: Mapping[int, Sequence[bytes]]) -> dict[int, bytes]:
    """The Parts of one frame by partition, from the bytes of its framed readings by partition."""
    head = Part(receive_time=from_ms(receive_time_ms)).SerializeToString()
    return {partition: head + b"".join(mine) for partition, mine in framed.items()}
