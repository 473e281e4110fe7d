"""From the readings on record to a Green Button file, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO
from zoneinfo import ZoneInfo

import grpc
from energy.billing.v1 import reading_quality_pb2 as quality_pb2
from energy.billing.v1.usage_pb2 import RecordedReading
from energy.billing.v1.usage_service_pb2 import ListReadingsRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, Device
from energy.registry.v1.registry_service_pb2 import GetDeviceRequest
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub

from common.energy import milliwatt_hours
from common.grpc_client import SLOW_TIMEOUT_SECONDS, UNARY_TIMEOUT_SECONDS
from common.instants import datetime_from_ms, datetime_to_ms, duration_to_ms, from_ms, to_ms
from loadgen.connection import connected
from loadgen.files.espi_local_time import local_time_parameters
from loadgen.files.file_readings import FileError, SourceQuality
from loadgen.files.green_button_writer import DELIVERED, RECEIVED, Flow, GreenButtonWriter, IntervalEnergy

PAGE_SIZE = 5000

_QUALITIES = {
    quality_pb2.READING_QUALITY_INTERPOLATED: SourceQuality.INTERPOLATED,
    quality_pb2.READING_QUALITY_REFERENCE_DAYS: SourceQuality.REFERENCE_DAYS,
    quality_pb2.READING_QUALITY_EDITED: SourceQuality.EDITED,
    quality_pb2.READING_QUALITY_REGISTER_DIFFERENCE: SourceQuality.DERIVED,
    quality_pb2.READING_QUALITY_REGISTER_SHARE: SourceQuality.INTERPOLATED,
    quality_pb2.READING_QUALITY_SENT_ESTIMATED: SourceQuality.ESTIMATED,
    quality_pb2.READING_QUALITY_SENT_SUBSTITUTED: SourceQuality.SUBSTITUTED,
    quality_pb2.READING_QUALITY_SENT_FINAL_SUBSTITUTED: SourceQuality.FINAL_SUBSTITUTED,
    quality_pb2.READING_QUALITY_SENT_EDITED: SourceQuality.EDITED,
    quality_pb2.READING_QUALITY_SENT_REFERENCE_DAYS: SourceQuality.REFERENCE_DAYS,
    quality_pb2.READING_QUALITY_SENT_INTERPOLATED: SourceQuality.INTERPOLATED,
    quality_pb2.READING_QUALITY_SENT_DERIVED: SourceQuality.DERIVED,
    quality_pb2.READING_QUALITY_SENT_MIXED: SourceQuality.MIXED,
}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which meter, and from when until when; a time without an offset is the meter's local one."""

    device_id: str
    start: datetime
    end: datetime
    page_size: int = PAGE_SIZE


@dataclass(slots=True)
class ExportAccount:
    """What was written so far, and until when the answers were complete (None: not known)."""

    readings: int = 0
    without_energy: int = 0
    milliwatt_hours: dict[Flow, int] = field(default_factory=dict)
    complete_through_ms: int | None = None


async def export_usage(
    request: ExportRequest, *, gateway: str, billing: str, output: TextIO, told: TextIO, now: datetime
) -> int:
    """Writes the readings that count as Green Button to `output`, and what they come to to `told`; the exit code 0.

    What has no reading has none in the file. A day of readings is kept at a time.

    Raises:
        FileError: the device is no meter, or a reading is not in whole seconds, in which the format counts.
        ValueError: the end is not after the start.
        MeshAway, grpc.aio.AioRpcError: the mesh does not play along.
    """
    async with connected("gateway", gateway) as channel:
        found = await RegistryServiceStub(channel).GetDevice(
            GetDeviceRequest(device_id=request.device_id), timeout=UNARY_TIMEOUT_SECONDS
        )
    device = found.device
    if device.kind != DEVICE_KIND_METER:
        raise FileError(f"device {device.device_id} is no meter; Green Button holds what meters measure")
    zone = ZoneInfo(device.time_zone)
    start_ms, end_ms = (_instant_ms(time, zone) for time in (request.start, request.end))
    if start_ms >= end_ms:
        raise ValueError(f"--to {request.end} must be after --from {request.start}")
    year = datetime_from_ms(start_ms).astimezone(zone).year
    writer = GreenButtonWriter(output, device.device_id, local_time_parameters(zone.key, year), now.astimezone(UTC))
    account = ExportAccount()
    async with connected("billing", billing) as channel:
        writer.open()
        await _write_days(list_readings(channel, request, start_ms, end_ms, account), zone, writer, account)
        writer.close()
    told.write("\n".join(_told(device, account, end_ms)) + "\n")
    return 0


async def list_readings(
    billing: grpc.aio.Channel, request: ExportRequest, start_ms: int, end_ms: int, account: ExportAccount
) -> AsyncIterator[RecordedReading]:
    """The readings that count, by start; the account is told until when they are complete.

    Raises:
        grpc.aio.AioRpcError: a call failed.
    """
    usage = UsageServiceStub(billing)
    asked = ListReadingsRequest(
        device_id=request.device_id,
        start_time=from_ms(start_ms),
        end_time=from_ms(end_ms),
        page_size=request.page_size,
    )
    is_first = True
    while is_first or asked.page_token:
        page = await usage.ListReadings(asked, timeout=SLOW_TIMEOUT_SECONDS)
        if is_first and page.HasField("complete_through"):
            account.complete_through_ms = to_ms(page.complete_through)
        is_first = False
        for recorded in page.readings:
            yield recorded
        asked.page_token = page.next_page_token


async def _write_days(
    readings: AsyncIterator[RecordedReading], zone: ZoneInfo, writer: GreenButtonWriter, account: ExportAccount
) -> None:
    day = None
    energies: dict[Flow, list[IntervalEnergy]] = {DELIVERED: [], RECEIVED: []}
    async for recorded in readings:
        start_ms = to_ms(recorded.reading.start_time)
        local_day = datetime_from_ms(start_ms).astimezone(zone).date()
        if local_day != day:
            _write_blocks(writer, energies)
            day = local_day
        found = _energies(recorded, start_ms)
        account.readings += 1
        account.without_energy += not found
        for flow, energy in found.items():
            energies[flow].append(energy)
            account.milliwatt_hours[flow] = account.milliwatt_hours.get(flow, 0) + energy.milliwatt_hours
    _write_blocks(writer, energies)


def _write_blocks(writer: GreenButtonWriter, energies: dict[Flow, list[IntervalEnergy]]) -> None:
    for flow, some in energies.items():
        if some:
            writer.write_block(flow, some)
            some.clear()


def _energies(recorded: RecordedReading, start_ms: int) -> dict[Flow, IntervalEnergy]:
    meter = recorded.reading.meter
    interval_ms = duration_to_ms(recorded.reading.interval)
    if start_ms % 1000 or interval_ms % 1000:
        when = recorded.reading.start_time.ToJsonString()
        raise FileError(
            f"the reading of {when}, {interval_ms} ms long, is not in whole seconds, which the format counts"
        )
    quality = _QUALITIES.get(recorded.quality, SourceQuality.MEASURED)
    present = {}
    if meter.HasField("import_kwh"):
        present[DELIVERED] = meter.import_kwh
    if meter.HasField("export_kwh"):
        present[RECEIVED] = meter.export_kwh
    return {
        flow: IntervalEnergy(start_ms // 1000, interval_ms // 1000, milliwatt_hours(energy_kwh), quality)
        for flow, energy_kwh in present.items()
    }


def _instant_ms(time: datetime, zone: ZoneInfo) -> int:
    return datetime_to_ms(time if time.tzinfo else time.replace(tzinfo=zone))


def _told(device: Device, account: ExportAccount, end_ms: int) -> list[str]:
    lines = [f"{account.readings:,} readings of {device.device_id} ({device.time_zone})"]
    for flow in (DELIVERED, RECEIVED):
        if flow in account.milliwatt_hours:
            energy = account.milliwatt_hours[flow]
            lines.append(f"  {flow.title.lower()}: {energy // 1_000_000}.{energy % 1_000_000:06} kWh")
    if account.without_energy:
        lines.append(f"  left out, as they carry no energy: {account.without_energy:,}")
    if account.complete_through_ms is None or account.complete_through_ms < end_ms:
        known = account.complete_through_ms
        through = "not known" if known is None else f"{datetime_from_ms(known):%Y-%m-%d %H:%M:%S} UTC"
        lines.append(f"  complete through: {through}; what came after that may be missing")
    return lines
