"""How gathered Parts get their place for ever: a batch identity, a number of the writer's, a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.batch_identity import batch_id_of
from ingestion.batch import batch_bytes
from ingestion.writer_identity import WriterIdentity


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A ReadingBatch that no longer changes: every attempt to publish it sends the same bytes under the same id."""

    batch_id: str
    partition: int
    sequence: int
    body: bytes
    parts_count: int
    traceparent: str = ""
    """Of the span of its publishing; empty if no Part of it is traced."""


class BatchSealer:
    """Numbers the batches of one writer and partition from 1 without a gap."""

    def __init__(self, *, partition: int, identity: WriterIdentity) -> None:
        self._partition = partition
        self._identity = identity
        self._sequence = 0

    def seal(self, framed_parts: Sequence[bytes], traceparent: str = "") -> SealedBatch:
        """The next batch, of Parts that `framed_part` has framed; its traceparent stands beside its bytes."""
        self._sequence += 1
        batch_id = batch_id_of(self._identity.writer, self._partition, self._sequence)
        body = batch_bytes(
            batch_id=batch_id,
            writer=self._identity.writer,
            sequence=self._sequence,
            partition=self._partition,
            create_time_ms=self._identity.time_ms(),
            partition_count=self._identity.partition_count,
            framed_parts=framed_parts,
        )
        return SealedBatch(batch_id, self._partition, self._sequence, body, len(framed_parts), traceparent)
