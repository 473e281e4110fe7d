"""The benched frames: real protobuf, every reading distinct, and the count alone says who sent what."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingRequest, StreamReadingsRequest

from common.energy import milliwatt_hours
from loadgen.bench.fleet import BenchFleet
from loadgen.bench.frame_source import Calendar, FrameSource
from loadgen.bench.reading_bytes import UNARY_KEY, ReadingTable, sequence_field, varint

START_SECONDS = 1_700_000_400
FLEET = BenchFleet("btest1", 30)


def source(frame_size: int = 20) -> FrameSource:
    """Frames of a fleet of thirty."""
    return FrameSource(FLEET, START_SECONDS, frame_size=frame_size)


def readings(frames: FrameSource, count: int) -> list[Reading]:
    """The readings of the next frames."""
    taken = (StreamReadingsRequest.FromString(sequence_field(1) + frames.take()) for _ in range(count))
    return [reading for frame in taken for reading in frame.readings]


@pytest.mark.parametrize("sequence", [1, 127, 128, 300, 2**40])
def test_a_frame_is_what_protobuf_makes_of_it(sequence: int) -> None:
    """Byte for byte, whatever the length of its sequence."""
    frame = sequence_field(sequence) + source().take()

    message = StreamReadingsRequest.FromString(frame)

    assert (message.sequence, len(message.readings)) == (sequence, 20)
    assert message.SerializeToString() == frame


def test_a_reading_of_a_frame_becomes_a_unary_request_by_its_key() -> None:
    """The rest of the bytes is the same."""
    message = SendReadingRequest.FromString(UNARY_KEY + source(frame_size=1).take()[1:])

    assert message.reading.device_id == FLEET.device_id(0)
    assert message.reading.meter.import_kwh > 0


def test_every_reading_is_distinct() -> None:
    """Round after round each device sends one more interval, and measures something else."""
    found = readings(source(), 9)

    assert len({(reading.device_id, reading.start_time.seconds) for reading in found}) == 180
    assert {reading.start_time.seconds for reading in found} == {START_SECONDS + 60 * number for number in range(6)}
    assert len({reading.meter.import_kwh for reading in found}) > 150
    assert all(210 < reading.meter.voltage_v < 250 for reading in found)


def test_the_count_says_how_much_each_device_sent() -> None:
    """Readings, energy to the milliwatt-hour, and the start of any of them."""
    frames = source()
    found = readings(frames, 7)

    counts = Counter(reading.device_id for reading in found)
    for number in (0, 19, 20, 29):
        device_id = FLEET.device_id(number)
        energy = sum(milliwatt_hours(one.meter.import_kwh) for one in found if one.device_id == device_id)
        assert (frames.count_of(number), frames.import_of(number)) == (counts[device_id], energy)
    number, start_seconds = frames.start_of(139)
    assert (FLEET.device_id(number), start_seconds) == (found[139].device_id, found[139].start_time.seconds)
    assert (frames.taken, frames.rounds, frames.end_seconds) == (140, 5, START_SECONDS + 300)


def test_documents_are_counted_by_device_and_hour() -> None:
    """With four readings an hour, five rounds and ten readings touch two hours of every device."""
    frames = FrameSource(FLEET, START_SECONDS, frame_size=10, interval_seconds=900, carries_interval=True)

    found = readings(frames, 12)
    assert (len(found), frames.spans) == (120, 30)
    found += readings(frames, 1)
    assert (len(found), frames.spans) == (130, 40)
    assert {reading.interval.seconds for reading in found} == {900}


def test_rows_of_a_report_have_their_own_hours() -> None:
    """The next one begins on a whole hour after the last reading of the one before."""
    calendar = Calendar(START_SECONDS)
    first = FrameSource(FLEET, calendar.begin(), frame_size=30)
    for _ in range(61):
        first.take()

    calendar.use(first)

    assert first.start_seconds % 3600 == 0
    assert calendar.begin() == first.start_seconds + 7200


def test_a_row_of_another_time_leaves_those_of_the_others_alone() -> None:
    """What is sent as of now does not move the past that the next row sends."""
    calendar = Calendar(START_SECONDS)
    begin_seconds = calendar.begin()
    now = FrameSource(FLEET, begin_seconds + 86_400, frame_size=30)
    now.take()

    calendar.use(now)

    assert calendar.begin() == begin_seconds


def test_ids_of_different_lengths_are_refused() -> None:
    """The rows of a table are equally long."""
    with pytest.raises(ValueError, match="same length"):
        ReadingTable(["a", "bb"])


def test_a_start_whose_varint_is_shorter_is_refused() -> None:
    """It would shift every byte behind it."""
    table, values = ReadingTable(["a"]), [np.zeros(1)] * 3
    assert len(varint(START_SECONDS)) == 5
    with pytest.raises(ValueError, match="1979"):
        table.rows(0, 1, 1, values)
