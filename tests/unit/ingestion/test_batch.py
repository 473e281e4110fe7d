"""The bytes of a batch are those that protobuf itself would make."""

from __future__ import annotations

from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading
from hypothesis import given
from hypothesis import strategies as st

from common.instants import from_ms
from ingestion.batch import batch_bytes, framed_part


def part_of(readings_count: int) -> bytes:
    """A serialised Part with so many meter readings."""
    readings = [
        Reading(
            device_id=f"meter-{number}", start_time=from_ms(60_000 * number), meter=MeterMeasurement(import_kwh=0.25)
        )
        for number in range(readings_count)
    ]
    return Part(receive_time=from_ms(1_700_000_000_123), readings=readings).SerializeToString()


def joined(parts: list[bytes], *, partition: int = 3, sequence: int = 7) -> bytes:
    """A batch of these serialised Parts."""
    return batch_bytes(
        batch_id="8d9f6a0e-5d0e-4f0b-9c0a-3c8f2f3f1b11",
        writer="writer-1",
        sequence=sequence,
        partition=partition,
        create_time_ms=1_700_000_000_456,
        partition_count=8,
        framed_parts=[framed_part(part) for part in parts],
    )


def test_the_parts_arrive_whole_and_in_order() -> None:
    """What a consumer decodes is the Parts as they were handed in, and every field around them."""
    parts = [part_of(1), part_of(40), part_of(2)]

    batch = ReadingBatch.FromString(joined(parts))

    assert [part.SerializeToString() for part in batch.parts] == parts
    assert (batch.batch_id, batch.writer) == ("8d9f6a0e-5d0e-4f0b-9c0a-3c8f2f3f1b11", "writer-1")
    assert (batch.sequence, batch.partition, batch.partition_count) == (7, 3, 8)
    assert batch.create_time == from_ms(1_700_000_000_456)


@given(
    counts=st.lists(st.integers(min_value=1, max_value=300), max_size=6),
    partition=st.integers(min_value=0, max_value=1023),
    sequence=st.integers(min_value=1, max_value=2**62),
)
def test_the_bytes_equal_protobufs_own(counts: list[int], partition: int, sequence: int) -> None:
    """Joining bytes and serialising the decoded message give the same, for Parts of one to three length bytes."""
    body = joined([part_of(count) for count in counts], partition=partition, sequence=sequence)

    assert ReadingBatch.FromString(body).SerializeToString() == body


def test_a_batch_without_parts_is_a_batch() -> None:
    """The tick of an idle writer decodes to a numbered batch with nothing in it."""
    batch = ReadingBatch.FromString(joined([]))

    assert batch.sequence == 7
    assert not batch.parts


def test_the_length_of_a_part_grows_by_seven_bits() -> None:
    """127 bytes take one length byte, 128 take two, 16384 take three."""
    overheads = [len(framed_part(b"x" * size)) - size for size in (127, 128, 16_383, 16_384)]

    assert overheads == [2, 3, 3, 4]
