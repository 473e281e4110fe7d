"""A frame falls apart into the Parts of its partitions and the verdicts of what was refused; neighbours are kept."""

from __future__ import annotations

import pytest
from energy.common.v1 import error_reason_pb2 as reasons
from energy.ingestion.v1.reading_batch_pb2 import Part
from energy.telemetry.v1.reading_pb2 import Reading

from common.instants import from_ms
from common.topology import partition_of
from gateway.device import DeviceKind
from gateway.frame_check import FrameCheck, ids_to_look_up
from gateway.known_device import KnownDevice, KnownDeviceMaker
from gateway.part_writer import framed_reading, serialised_parts
from tests.unit.gateway.readings import NOW_MS, device, meter_reading, vehicle_reading

PARTITIONS = 4


def known(*device_ids: str, expected_interval_ms: int = 60_000) -> dict[str, KnownDevice]:
    """Meters that the gateway knows."""
    maker = KnownDeviceMaker(PARTITIONS)
    return {
        device_id: maker.make(device(device_id, expected_interval_ms=expected_interval_ms)) for device_id in device_ids
    }


def test_readings_travel_unchanged_in_the_part_of_their_partition() -> None:
    """Each Part has the time of receipt and, in order, the readings of its devices, bit for bit."""
    ids = [f"meter-{number}" for number in range(20)]
    readings = [meter_reading(device_id, 0.1 * index) for index, device_id in enumerate(ids)]
    check = FrameCheck(7, NOW_MS)

    unknown = check.check_readings(enumerate(readings), known(*ids))
    parts = {partition: Part.FromString(encoded) for partition, encoded in check.parts().items()}

    assert unknown == []
    assert len(parts) == PARTITIONS
    for partition, part in parts.items():
        mine = [reading for reading in readings if partition_of(reading.device_id, PARTITIONS) == partition]
        assert list(part.readings) == mine
        assert part.receive_time == from_ms(NOW_MS)
    assert check.accepted_by_kind == {"meter": 20}


@pytest.mark.parametrize("interval_ms", [1, 60_000, 900_500, 31 * 86_400_000])
def test_an_absent_interval_becomes_the_registered_one(interval_ms: int) -> None:
    """Whoever consumes the reading finds the interval in it."""
    reading = meter_reading()
    reading.ClearField("interval")
    check = FrameCheck(1, NOW_MS)

    check.check_readings([(0, reading)], known("meter-1", expected_interval_ms=interval_ms))
    (encoded,) = check.parts().values()
    (stored,) = Part.FromString(encoded).readings

    assert stored.interval.ToMilliseconds() == interval_ms
    stored.ClearField("interval")
    assert stored == reading


@pytest.mark.parametrize("length", [0, 1, 127, 128, 511, 512, 16_383, 16_384, 70_000])
def test_a_part_can_be_read_whatever_the_length_of_its_readings(length: int) -> None:
    """The bytes joined by hand are those of the wire format."""
    reading = Reading(device_id="x" * length)
    framed = framed_reading(reading.SerializeToString())

    parts = serialised_parts(NOW_MS, {3: [framed, framed]})

    assert parts == {3: Part(receive_time=from_ms(NOW_MS), readings=[reading, reading]).SerializeToString()}


def test_one_bad_reading_never_refuses_its_neighbours() -> None:
    """The verdict names frame, position, reason and field; the others are accepted."""
    readings = [
        meter_reading("meter-1"),
        meter_reading("meter-2", -1.0),
        vehicle_reading("meter-3"),
        meter_reading("meter-4"),
    ]
    check = FrameCheck(9, NOW_MS)

    check.check_readings(enumerate(readings), known("meter-1", "meter-2", "meter-3", "meter-4"))
    accepted = [
        reading.device_id for encoded in check.parts().values() for reading in Part.FromString(encoded).readings
    ]

    assert sorted(accepted) == ["meter-1", "meter-4"]
    assert [(verdict.sequence, verdict.index, verdict.reason, verdict.field) for verdict in check.refused] == [
        (9, 1, reasons.ERROR_REASON_OUT_OF_RANGE, "meter.import_kwh"),
        (9, 2, reasons.ERROR_REASON_KIND_MISMATCH, "vehicle"),
    ]
    assert (check.accepted_by_kind, check.refused_by_kind) == ({"meter": 2}, {"meter": 2})


def test_readings_of_unknown_devices_wait_for_a_look_up() -> None:
    """Found ones are accepted in the second pass, the rest is refused; verdicts stay in the order of the frame."""
    readings = [
        meter_reading("new"),
        meter_reading("nobody"),
        meter_reading(""),
        meter_reading("x" * 129),
        meter_reading("m", -1.0),
    ]
    check = FrameCheck(1, NOW_MS)

    waiting = check.check_readings(enumerate(readings), known("m"))
    asked = ids_to_look_up(waiting)
    check.refuse_unknown(check.check_readings(waiting, known("m", "new")))

    assert asked == {"new", "nobody"}
    assert check.accepted_by_kind == {"meter": 1}
    assert [(verdict.index, verdict.reason, verdict.field) for verdict in check.refused] == [
        (1, reasons.ERROR_REASON_DEVICE_NOT_FOUND, "device_id"),
        (2, reasons.ERROR_REASON_FIELD_REQUIRED, "device_id"),
        (3, reasons.ERROR_REASON_OUT_OF_RANGE, "device_id"),
        (4, reasons.ERROR_REASON_OUT_OF_RANGE, "meter.import_kwh"),
    ]
    assert check.refused_by_kind == {"unknown": 3, "meter": 1}


def test_a_frame_without_an_accepted_reading_has_no_part() -> None:
    """There is nothing to make durable."""
    check = FrameCheck(1, NOW_MS)

    check.check_readings([(0, meter_reading("meter-1", -1.0))], known("meter-1"))

    assert check.parts() == {}


def test_every_kind_of_device_is_known_by_its_measurement() -> None:
    """The names are those of the oneof in the contract."""
    maker = KnownDeviceMaker(PARTITIONS)

    kinds = {kind: maker.make(device(kind=kind)).kind for kind in DeviceKind}

    assert kinds == {DeviceKind.METER: "meter", DeviceKind.VEHICLE: "vehicle", DeviceKind.STORAGE: "storage"}
    assert set(kinds.values()) == {field.name for field in Reading.DESCRIPTOR.oneofs_by_name["measurement"].fields}
