"""A meter's readings become a Green Button file: through real stubs and small servers, page by page."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from energy.billing.v1 import reading_quality_pb2 as quality_pb2
from energy.billing.v1.usage_pb2 import RecordedReading
from energy.billing.v1.usage_service_pb2 import ListReadingsRequest, ListReadingsResponse
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceServicer, add_UsageServiceServicer_to_server
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, DEVICE_KIND_VEHICLE, Device
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading

from common.instants import duration_from_ms, from_ms, to_ms
from loadgen.file_export import ExportRequest, export_usage
from loadgen.files import FileError, FileReading, SourceQuality, open_file

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HOUR_MS = 3_600_000
MIDNIGHT_MS = int(datetime(2026, 3, 9, 18, 30, tzinfo=UTC).timestamp()) * 1000  # of 10 March in Kolkata


@dataclass
class SmallUsage(UsageServiceServicer):
    """Lists what the test puts here, in pages as asked for."""

    readings: list[RecordedReading] = field(default_factory=list)
    asked: list[ListReadingsRequest] = field(default_factory=list)
    seconds_left: list[float] = field(default_factory=list)
    complete_through_ms: int = MIDNIGHT_MS + 24 * HOUR_MS

    async def ListReadings(self, request: ListReadingsRequest, context: Any) -> ListReadingsResponse:  # noqa: N802
        """One page."""
        self.asked.append(ListReadingsRequest.FromString(request.SerializeToString()))
        self.seconds_left.append(context.time_remaining())
        start_ms, end_ms = to_ms(request.start_time), to_ms(request.end_time)
        found = [one for one in self.readings if start_ms <= to_ms(one.reading.start_time) < end_ms]
        first = int(request.page_token or 0)
        end = first + request.page_size
        return ListReadingsResponse(
            readings=found[first:end],
            next_page_token=str(end) if end < len(found) else "",
            complete_through=from_ms(self.complete_through_ms),
        )


@dataclass
class Exporting:
    """The small mesh and what an export says of it."""

    usage: SmallUsage
    gateway: str
    billing: str

    async def export(self, start: str, end: str, device_id: str = "meter-7") -> tuple[str, str]:
        """The file and what is told besides."""
        output, told = io.StringIO(), io.StringIO()
        request = ExportRequest(device_id, datetime.fromisoformat(start), datetime.fromisoformat(end), page_size=10)
        code = await export_usage(
            request, gateway=self.gateway, billing=self.billing, output=output, told=told, now=NOW
        )
        assert code == 0
        return output.getvalue(), told.getvalue()


@pytest.fixture
async def mesh(gateway: Any) -> AsyncIterator[Exporting]:
    """A registry with a meter of Kolkata and a vehicle, and a usage service without readings."""
    for device_id, kind in (("meter-7", DEVICE_KIND_METER), ("car-7", DEVICE_KIND_VEHICLE)):
        gateway.registry.devices[device_id] = Device(device_id=device_id, kind=kind, time_zone="Asia/Kolkata")
    # What the export does not call is left out on purpose; the server answers UNIMPLEMENTED by itself.
    usage = SmallUsage()  # type: ignore[abstract]
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_UsageServiceServicer_to_server(usage, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield Exporting(usage, gateway.address, address)
    await server.stop(None)


def recorded(
    start_ms: int, quality: quality_pb2.ReadingQuality.ValueType = quality_pb2.READING_QUALITY_MEASURED, **meter: Any
) -> RecordedReading:
    """An hour on record."""
    reading = Reading(
        device_id="meter-7",
        start_time=from_ms(start_ms),
        interval=duration_from_ms(HOUR_MS),
        meter=MeterMeasurement(**meter),
    )
    return RecordedReading(reading=reading, quality=quality)


def read_back(folder: Path, text: str) -> list[FileReading]:
    """What our own reader makes of a file."""
    path = folder / "usage.xml"
    path.write_text(text, "ascii")
    return list(open_file(path).readings)


async def test_local_days_are_written_with_their_gaps_and_qualities(mesh: Exporting, tmp_path: Path) -> None:
    """From midnight to midnight of the meter; an hour without a reading has none in the file."""
    mesh.usage.readings = [recorded(MIDNIGHT_MS - HOUR_MS, import_kwh=9)]
    mesh.usage.readings += [
        recorded(MIDNIGHT_MS + hour * HOUR_MS, import_kwh=hour / 8) for hour in range(24) if hour != 5
    ]
    mesh.usage.readings[4] = recorded(
        MIDNIGHT_MS + 3 * HOUR_MS, quality_pb2.READING_QUALITY_EDITED, import_kwh=0.123457, export_kwh=0.1
    )
    for hour, quality in (
        (6, quality_pb2.READING_QUALITY_INTERPOLATED),
        (7, quality_pb2.READING_QUALITY_REFERENCE_DAYS),
        (8, quality_pb2.READING_QUALITY_REGISTER_DIFFERENCE),
    ):
        mesh.usage.readings[hour] = recorded(MIDNIGHT_MS + hour * HOUR_MS, quality, import_kwh=hour / 8)

    text, told = await mesh.export("2026-03-10", "2026-03-11T00:00")

    readings = read_back(tmp_path, text)
    assert [(each.start_ms - MIDNIGHT_MS) // HOUR_MS for each in readings] == [*range(5), *range(6, 24)]
    assert (str(readings[3].import_kwh), str(readings[3].export_kwh)) == ("0.123457", "0.100000")
    assert [each.quality for each in readings if each.quality != SourceQuality.MEASURED] == [
        SourceQuality.EDITED,
        SourceQuality.INTERPOLATED,
        SourceQuality.REFERENCE_DAYS,
        SourceQuality.DERIVED,
    ]
    assert told.splitlines() == [
        "23 readings of meter-7 (Asia/Kolkata)",
        "  energy delivered to the customer: 33.623457 kWh",
        "  energy received from the customer: 0.100000 kWh",
    ]


async def test_what_was_said_of_a_value_when_it_was_sent_is_written_again(mesh: Exporting, tmp_path: Path) -> None:
    """Each as the format has a code for it: of a substitute for good only that it is one."""
    sent = [
        quality_pb2.READING_QUALITY_SENT_ESTIMATED,
        quality_pb2.READING_QUALITY_SENT_SUBSTITUTED,
        quality_pb2.READING_QUALITY_SENT_FINAL_SUBSTITUTED,
        quality_pb2.READING_QUALITY_SENT_EDITED,
        quality_pb2.READING_QUALITY_SENT_REFERENCE_DAYS,
        quality_pb2.READING_QUALITY_SENT_INTERPOLATED,
        quality_pb2.READING_QUALITY_SENT_DERIVED,
        quality_pb2.READING_QUALITY_SENT_MIXED,
    ]
    mesh.usage.readings = [
        recorded(MIDNIGHT_MS + hour * HOUR_MS, quality, import_kwh=1) for hour, quality in enumerate(sent)
    ]

    text, _ = await mesh.export("2026-03-10", "2026-03-11T00:00")

    assert [each.quality for each in read_back(tmp_path, text)] == [
        SourceQuality.ESTIMATED,
        SourceQuality.SUBSTITUTED,
        SourceQuality.SUBSTITUTED,
        SourceQuality.EDITED,
        SourceQuality.REFERENCE_DAYS,
        SourceQuality.INTERPOLATED,
        SourceQuality.DERIVED,
        SourceQuality.MIXED,
    ]


async def test_pages_follow_each_other_each_with_a_deadline(mesh: Exporting, tmp_path: Path) -> None:
    """24 readings in pages of 10; a day is not torn by them."""
    mesh.usage.readings = [recorded(MIDNIGHT_MS + hour * HOUR_MS, import_kwh=1) for hour in range(24)]

    text, _ = await mesh.export("2026-03-10", "2026-03-11")

    assert [request.page_token for request in mesh.usage.asked] == ["", "10", "20"]
    assert {request.page_size for request in mesh.usage.asked} == {10}
    assert all(0 < seconds < 120 for seconds in mesh.usage.seconds_left)
    assert len(read_back(tmp_path, text)) == 24
    assert text.count("<IntervalBlock ") == 1


async def test_memory_holds_a_day_at_a_time(mesh: Exporting) -> None:
    """What a day holds is written before the pages after it are asked for."""
    mesh.usage.readings = [recorded(MIDNIGHT_MS + hour * HOUR_MS, import_kwh=1) for hour in range(72)]
    seen: list[int] = []

    class Watched(io.StringIO):
        def write(self, text: str) -> int:
            seen.extend([len(mesh.usage.asked)] * text.count("<IntervalBlock "))
            return super().write(text)

    request = ExportRequest("meter-7", datetime(2026, 3, 10), datetime(2026, 3, 13), page_size=10)  # noqa: DTZ001 - local
    await export_usage(
        request, gateway=mesh.gateway, billing=mesh.billing, output=Watched(), told=io.StringIO(), now=NOW
    )

    assert seen == [3, 5, 8]


async def test_what_may_still_come_is_told(mesh: Exporting) -> None:
    """Also a reading that carries no energy is not in the file, and that is said."""
    mesh.usage.complete_through_ms = MIDNIGHT_MS + HOUR_MS
    mesh.usage.readings = [recorded(MIDNIGHT_MS, voltage_v=230)]

    text, told = await mesh.export("2026-03-10T00:00+05:30", "2026-03-11")

    assert "IntervalBlock" not in text
    assert "  left out, as they carry no energy: 1\n" in told
    assert "  complete through: 2026-03-09 19:30:00 UTC; what came after that may be missing\n" in told


async def test_what_is_no_meter_is_not_written(mesh: Exporting) -> None:
    """Nothing is written before that is known."""
    with pytest.raises(FileError, match="device car-7 is no meter"):
        await mesh.export("2026-03-10", "2026-03-11", "car-7")
    with pytest.raises(grpc.aio.AioRpcError, match="no such device"):
        await mesh.export("2026-03-10", "2026-03-11", "nobody")
    with pytest.raises(ValueError, match="must be after --from"):
        await mesh.export("2026-03-11", "2026-03-11")

    assert mesh.usage.asked == []


async def test_a_reading_that_is_not_in_whole_seconds_is_named(mesh: Exporting) -> None:
    """The format counts seconds; a rounded start would be another reading."""
    mesh.usage.readings = [recorded(MIDNIGHT_MS + 500, import_kwh=1)]

    with pytest.raises(FileError, match=r"2026-03-09T18:30:00\.500Z, 3600000 ms long, is not in whole seconds"):
        await mesh.export("2026-03-10", "2026-03-11")
