"""A batch's number has no gap and its time does not run backwards, whatever the clock does."""

from __future__ import annotations

from energy.ingestion.v1.reading_batch_pb2 import ReadingBatch

from common.batch_identity import batch_id_of
from ingestion.batch import framed_part
from ingestion.sealed_batch import BatchSealer
from ingestion.writer_identity import WriterIdentity
from tests.unit.ingestion.scripted_publisher import part_named, part_names


def test_a_clock_that_is_set_back_does_not_show() -> None:
    """Three batches at 1000, 400 and 1001 ms carry 1000, 1000 and 1001 ms."""
    clock = iter([1000, 400, 1001])
    sealer = BatchSealer(partition=1, identity=WriterIdentity("writer-1", 2, lambda: next(clock)))

    batches = [ReadingBatch.FromString(sealer.seal([]).body) for _ in range(3)]

    assert [batch.create_time.ToMilliseconds() for batch in batches] == [1000, 1000, 1001]
    assert [batch.sequence for batch in batches] == [1, 2, 3]


def test_a_sealed_batch_says_what_its_bytes_say() -> None:
    """The fields that the publisher uses are those inside the body."""
    sealer = BatchSealer(partition=1, identity=WriterIdentity("writer-1", 2, lambda: 1000))

    sealed = sealer.seal([framed_part(part_named("a")), framed_part(part_named("b"))])
    batch = ReadingBatch.FromString(sealed.body)

    assert (sealed.batch_id, sealed.partition, sealed.sequence) == (batch.batch_id, batch.partition, batch.sequence)
    assert (sealed.parts_count, part_names(sealed.body)) == (2, ["a", "b"])


def test_a_batch_has_the_identity_that_follows_from_its_number() -> None:
    """Whoever knows writer, partition and number can look it up; no other batch has the same."""
    sealers = [
        BatchSealer(partition=partition, identity=WriterIdentity(writer, 2, lambda: 1000))
        for writer, partition in (("writer-1", 0), ("writer-1", 1), ("writer-2", 0))
    ]

    found = [sealer.seal([]).batch_id for sealer in sealers for _ in range(3)]

    assert len(set(found)) == 9
    assert found[:3] == [batch_id_of("writer-1", 0, sequence) for sequence in (1, 2, 3)]


def test_a_clock_that_is_set_back_shows_in_no_partition() -> None:
    """A batch of another partition is not older than those that the writer sealed before."""
    clock = iter([1000, 400])
    identity = WriterIdentity("writer-1", 2, lambda: next(clock))

    batches = [
        ReadingBatch.FromString(BatchSealer(partition=partition, identity=identity).seal([]).body)
        for partition in (0, 1)
    ]

    assert [batch.create_time.ToMilliseconds() for batch in batches] == [1000, 1000]


def test_a_batch_says_how_many_partitions_its_writer_knows_then() -> None:
    """What the writer learns shows from the next batch on."""
    identity = WriterIdentity("writer-1", 4, lambda: 1000)
    sealer = BatchSealer(partition=0, identity=identity)

    before = ReadingBatch.FromString(sealer.seal([]).body)
    identity.partition_count = 8
    after = ReadingBatch.FromString(sealer.seal([]).body)

    assert (before.partition_count, after.partition_count) == (4, 8)
