"""Many readings checked at once fare as each of them would alone."""

from __future__ import annotations

from energy.ingestion.v1.reading_batch_pb2 import Part
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.topology import partition_of
from gateway.device import DeviceKind
from gateway.device_table import UNKNOWN, DeviceTable
from gateway.frame_check import FrameCheck
from gateway.frame_reader import FrameReader, ReadFrame
from gateway.known_device import KnownDevice, KnownDeviceMaker
from tests.unit.gateway.readings import NOW_MS, START_SECONDS, device

PARTITIONS = 4
KIND_OF = {
    **{f"meter-{number}": DeviceKind.METER for number in range(6)},
    **{f"vehicle-{number}": DeviceKind.VEHICLE for number in range(3)},
    **{f"storage-{number}": DeviceKind.STORAGE for number in range(3)},
}


def known() -> tuple[dict[str, KnownDevice], DeviceTable]:
    """Devices of every kind, of two expected intervals."""
    maker = KnownDeviceMaker(PARTITIONS)
    made = {
        device_id: maker.make(device(device_id, kind, 60_000 if index % 2 else 900_000))
        for index, (device_id, kind) in enumerate(KIND_OF.items())
    }
    table = DeviceTable()
    table.put(made.items())
    return made, table


_values = st.sampled_from([0.0, 0.25, 7.5, 100.0, 230.0, -1.0, 1e9, float("nan"), float("inf")])


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """A reading that is mostly sound."""
    device_id = draw(st.sampled_from([*KIND_OF, "stranger-1"]))
    reading = Reading(device_id=device_id, revision=draw(st.sampled_from([0, 0, 0, 3, 1_000_000, 1_000_001, -1])))
    reading.start_time.seconds = draw(st.sampled_from([START_SECONDS] * 4 + [0, -5, 1, START_SECONDS + 10_000]))
    reading.start_time.nanos = draw(st.sampled_from([0, 0, 0, 250_000_000, 1]))
    interval = draw(st.sampled_from([None, None, 60, 900, 0, -60, 32 * 86_400]))
    if interval is not None:
        reading.interval.seconds = interval
    kind = draw(st.sampled_from([device_id.split("-", maxsplit=1)[0]] * 5 + ["meter"]))
    measurement = getattr(reading, kind if kind != "stranger" else "meter")
    for field in measurement.DESCRIPTOR.fields:
        if draw(st.booleans()):
            value = draw(_values) if field.cpp_type == field.CPPTYPE_DOUBLE else draw(st.integers(0, 11))
            setattr(measurement, field.name, value)
    return reading


def fate(frame: ReadFrame) -> tuple[list[tuple[int, bytes]], list[bytes], list[int], dict[str, int], dict[str, int]]:
    """What becomes of the readings of a frame: accepted by partition, verdicts, unknown, and the counts."""
    check = FrameCheck(frame.sequence, NOW_MS)
    unknown = check.check_frame(frame, *known())
    accepted = [
        (partition, reading.SerializeToString(deterministic=True))
        for partition, part in check.parts().items()
        for reading in Part.FromString(part).readings
    ]
    verdicts = [verdict.SerializeToString() for verdict in check.refused]
    counts = {kind: count for kind, count in check.accepted_by_kind.items() if count}
    return sorted(accepted), verdicts, sorted(index for index, _ in unknown), counts, check.refused_by_kind


@settings(max_examples=200, deadline=None)
@given(st.lists(readings(), min_size=1, max_size=40))
def test_columns_decide_as_messages_do(sent: list[Reading]) -> None:
    """The same readings accepted, bit for bit and in the same partition, the same verdicts, the same left unknown."""
    frame = StreamReadingsRequest(sequence=7, readings=sent).SerializeToString()

    at_once = FrameReader(rows_minimum=1, bytes_minimum=1).read(frame)

    assert fate(at_once) == fate(ReadFrame.of(StreamReadingsRequest.FromString(frame).readings, 7))


def test_sound_readings_of_a_fleet_need_no_look_at_each() -> None:
    """A frame of 300 meters is one group of columns, whose Parts hold every reading with its interval."""
    sent = []
    for number in range(300):
        reading = Reading(device_id=f"meter-{number % 6}")
        reading.start_time.seconds = START_SECONDS - 60 * number
        reading.meter.import_kwh = 0.25
        sent.append(reading)
    made, table = known()
    check = FrameCheck(1, NOW_MS)

    frame = FrameReader().read(StreamReadingsRequest(sequence=1, readings=sent).SerializeToString())
    unknown = check.check_frame(frame, made, table)
    parts = {partition: Part.FromString(part).readings for partition, part in check.parts().items()}

    assert (len(frame.columns), frame.others, unknown) == (1, [], [])
    assert sum(map(len, parts.values())) == 300
    for partition, stored in parts.items():
        for reading in stored:
            assert partition_of(reading.device_id, PARTITIONS) == partition
            assert reading.interval.ToMilliseconds() == made[reading.device_id].expected_interval_ms


def test_a_device_that_changes_keeps_its_row() -> None:
    """What a device was put in as last counts; nobody else is touched, however many there are."""
    maker = KnownDeviceMaker(PARTITIONS)
    table = DeviceTable()
    table.put((f"meter-{number}", maker.make(device(f"meter-{number}"))) for number in range(5_000))

    table.put([("meter-7", maker.make(device("meter-7", DeviceKind.STORAGE, 900_000)))])
    changed, other, stranger = table.slots_of([b"meter-7", b"meter-8", b"meter-x"]).tolist()

    assert (table.kind[changed], table.kind[other], stranger) == (3, 1, UNKNOWN)
    assert table.interval[changed] != table.interval[other]
