"""Turns a ReadingBatch from the broker into the segment that is logged; without what no gateway would let through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energy.ingestion.v1.reading_batch_pb2 import UndecodedReadingBatch
from google.protobuf.message import DecodeError

from billing.log.batch_columns import kinds_of
from billing.log.kind_columns import KindColumns
from billing.log.segment import Segment
from common.instants import to_ms
from common.part_columns import PartReader

_Kinds = tuple[KindColumns, ...]


class UndecodableBatch(Exception):
    """Unexpected: a message from the broker is no ReadingBatch."""


@dataclass(frozen=True, slots=True)
class UndecodablePart:
    """A Part that holds what the gateway would never let through: its place in the batch, its bytes and the reason."""

    index: int
    body: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """The segment of a batch, without the Parts that could not be decoded."""

    segment: Segment
    undecodable: list[UndecodablePart]
    partition_count: int

    @property
    def is_tick(self) -> bool:
        """Whether it carries nothing, not even what could not be decoded."""
        return not self.segment.reading_count and not self.undecodable


class BatchDecoder:
    """Decodes batches; it remembers the shapes of readings, so one serves every partition."""

    def __init__(self) -> None:
        self._parts = PartReader()

    def decode(self, body: bytes, now_ms: int) -> DecodedBatch:
        """The segment of a serialised ReadingBatch, recorded now, or at the first millisecond after it was made.

        `billing.log.completeness` says why it is never recorded at the instant it was made, whatever the clocks say.

        Raises:
            UndecodableBatch: the bytes are no ReadingBatch, or it has no id.
        """
        (decoded,) = self.decode_all([body], now_ms)
        if isinstance(decoded, UndecodableBatch):
            raise decoded
        return decoded

    def decode_all(self, bodies: Sequence[bytes], now_ms: int) -> list[DecodedBatch | UndecodableBatch]:
        """As `decode` for each of many, which is cheaper together; the exception in the place of what is no batch."""
        opened = [_open(body) for body in bodies]
        decoded = iter(self._decode_parts([list(one.parts) for one in opened if not isinstance(one, UndecodableBatch)]))
        return [one if isinstance(one, UndecodableBatch) else _decoded(one, *next(decoded), now_ms) for one in opened]

    def _decode_parts(self, batches: list[list[bytes]]) -> list[tuple[_Kinds, list[UndecodablePart]]]:
        try:
            read = self._parts.read([part for parts in batches for part in parts])
            return [(kinds, []) for kinds in kinds_of(read, [len(parts) for parts in batches])]
        except (DecodeError, ValueError):
            # Rare: found out one by one which of them it is.
            return [self._decode_one_by_one(parts) for parts in batches]

    def _decode_one_by_one(self, bodies: list[bytes]) -> tuple[_Kinds, list[UndecodablePart]]:
        sound: list[bytes] = []
        undecodable: list[UndecodablePart] = []
        for index, body in enumerate(bodies):
            try:
                kinds_of(self._parts.read([body]), [1])
            except (DecodeError, ValueError) as problem:
                undecodable.append(UndecodablePart(index, body, str(problem) or type(problem).__name__))
            else:
                sound.append(body)
        (kinds,) = kinds_of(self._parts.read(sound), [len(sound)])
        return kinds, undecodable


def _open(body: bytes) -> UndecodedReadingBatch | UndecodableBatch:
    try:
        batch = UndecodedReadingBatch.FromString(body)
        to_ms(batch.create_time)
    except (DecodeError, ValueError) as problem:
        return UndecodableBatch(str(problem))
    return batch if batch.batch_id else UndecodableBatch("batch_id is empty")


def _decoded(
    batch: UndecodedReadingBatch, kinds: _Kinds, undecodable: list[UndecodablePart], now_ms: int
) -> DecodedBatch:
    create_ms = to_ms(batch.create_time)
    record_ms = max(now_ms, create_ms + 1)
    segment = Segment(batch.batch_id, batch.partition, batch.writer, batch.sequence, create_ms, record_ms, kinds)
    return DecodedBatch(segment, undecodable, batch.partition_count)
