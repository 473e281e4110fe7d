"""Sends a real file through the mesh as one meter, and keeps account of every row and of the energy in it."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import chain
from pathlib import Path

import grpc
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, Device
from energy.telemetry.v1.reading_pb2 import Reading

from common.energy import milliwatt_hours
from common.instants import duration_from_ms
from loadgen.files.file_readings import FileReading, FileReadings, SourceQuality, TimeZoneRequired, to_reading
from loadgen.files.recognise import open_file
from loadgen.pacing import Pacing
from loadgen.registration import RegistrationRefused, ensure_device
from loadgen.run import drive
from loadgen.streams import Streams

READINGS_PER_STEP = 500
HOUSEHOLD_TIME_ZONE = "Europe/Paris"


@dataclass(frozen=True, slots=True)
class ReplayedMeter:
    """Whom the file's readings come from; registered with these details unless the id exists already.

    Without `device_id` the file's name and content make one, so the same file is the same meter. Without `time_zone`
    the file has to tell it. `usage_point` picks one of several in the file. A file that replaces an earlier one, say
    with measurements where that had estimates, is sent with a higher `revision`.
    """

    device_id: str | None = None
    account_id: str = "replay"
    region: str = "Mumbai-North"
    time_zone: str | None = None
    usage_point: str | None = None
    revision: int = 0


@dataclass(slots=True)
class FileAccount:
    """What was read from the file so far; energies in kWh, exact, and in milliwatt-hours, each row rounded once."""

    readings: int = 0
    start_ms: int = 0
    end_ms: int = 0
    import_kwh: Decimal = Decimal(0)
    export_kwh: Decimal = Decimal(0)
    import_milliwatt_hours: int = 0
    export_milliwatt_hours: int = 0
    qualities: Counter[SourceQuality] = field(default_factory=Counter)

    def enter(self, reading: FileReading) -> None:
        """Counts one reading."""
        end_ms = reading.start_ms + reading.interval_ms
        self.start_ms = min(self.start_ms, reading.start_ms) if self.readings else reading.start_ms
        self.end_ms = max(self.end_ms, end_ms) if self.readings else end_ms
        self.readings += 1
        self.qualities[reading.quality] += 1
        if reading.import_kwh is not None:
            self.import_kwh += reading.import_kwh
            self.import_milliwatt_hours += milliwatt_hours(float(reading.import_kwh))
        if reading.export_kwh is not None:
            self.export_kwh += reading.export_kwh
            self.export_milliwatt_hours += milliwatt_hours(float(reading.export_kwh))


@dataclass(slots=True)
class Replay:
    """A file on its way: its readings, the meter that sends them (None while the file is empty), and the account."""

    path: Path
    file: FileReadings
    device: Device | None
    pending: Iterator[FileReading]
    revision: int = 0
    account: FileAccount = field(default_factory=FileAccount)

    def refusals_by_reason(self) -> Counter[str]:
        """Refusals of rows of the file, by reason."""
        return Counter(refusal.reason.value for refusal in self.file.refused)


async def open_replay(path: Path, meter: ReplayedMeter, gateway: grpc.aio.Channel) -> Replay:
    """Recognises the file and registers its meter, with the file's interval and time zone, if it is not there yet.

    Raises:
        FileError: the file cannot be read.
        RegistrationRefused: the id belongs to a device that is no meter.
        grpc.aio.AioRpcError: a call failed.
    """
    file = open_file(path, meter.time_zone, meter.usage_point)
    first = next(file.readings, None)
    if first is None:
        return Replay(path, file, None, iter(()))
    device = await ensure_device(
        gateway,
        Device(
            device_id=meter.device_id or device_id_of(path, meter.usage_point),
            kind=DEVICE_KIND_METER,
            account_id=meter.account_id,
            region=meter.region,
            time_zone=file.time_zone,
            expected_interval=duration_from_ms(first.interval_ms),
        ),
    )
    if device.kind != DEVICE_KIND_METER:
        raise RegistrationRefused(f"device {device.device_id} is no meter; name another one with --device-id")
    return Replay(path, file, device, chain([first], file.readings), meter.revision)


async def open_demo_replay(path: Path, time_zone: str | None, gateway: grpc.aio.Channel) -> Replay:
    """As `open_replay`, for a file of which nothing else is known.

    A file of local times that names no zone is taken to be the public data set of a home near Paris.
    """
    meter = ReplayedMeter(account_id="demo-replay", time_zone=time_zone)
    try:
        return await open_replay(path, meter, gateway)
    except TimeZoneRequired:
        return await open_replay(path, replace(meter, time_zone=HOUSEHOLD_TIME_ZONE), gateway)


async def send_replay(replay: Replay, streams: Streams, *, pacing: Pacing) -> None:
    """Sends the whole file and waits until it is acked.

    Raises:
        FileError: the file turned out to be malformed on the way.
        GatewayAway, TimeoutError: as `drive` does.
    """
    if replay.device is not None:
        await drive(_steps(replay, replay.device.device_id), streams, pacing=pacing)


def device_id_of(path: Path, usage_point: str | None = None) -> str:
    """An id for a meter of a file: its name where that is a good id, and a checksum of content and usage point."""
    checksum = zlib.crc32((usage_point or "").encode())
    with path.open("rb") as content:
        while chunk := content.read(1 << 20):
            checksum = zlib.crc32(chunk, checksum)
    stem = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in path.stem
    )
    return f"replay-{stem[:64]}-{checksum:08x}"


def describe(replay: Replay, most_refusals: int = 10) -> list[str]:
    """What a person wants to know about the file: rows in, rows refused and why, and the energy in it."""
    file, account = replay.file, replay.account
    lines = [
        f"  {replay.path.name}: format {file.format.value}, {file.time_zone}",
        *(f"  {remark}" for remark in file.remarks),
        f"  rows in {file.rows_in:,}, readings {account.readings:,}, rows refused {file.refused_rows:,}",
        *(f"    {reason} {count:,}" for reason, count in sorted(replay.refusals_by_reason().items())),
        *(f"    row {refusal.row}: {refusal.reason.value}, {refusal.text}" for refusal in file.refused[:most_refusals]),
    ]
    if len(file.refused) > most_refusals:
        lines.append(f"    and {len(file.refused) - most_refusals:,} more")
    lines += [f"  {sentence}" for sentence in _not_measured(account)]
    if replay.device is not None:
        lines.append(f"  sent as meter {replay.device.device_id}")
    lines.append(f"  energy in the file: {_energy(account.import_kwh, account.import_milliwatt_hours, 'import')}")
    if account.export_kwh:
        lines.append(f"  energy in the file: {_energy(account.export_kwh, account.export_milliwatt_hours, 'export')}")
    return lines


def _not_measured(account: FileAccount) -> Iterator[str]:
    others = {quality.value: count for quality, count in account.qualities.items() if quality != SourceQuality.MEASURED}
    if others:
        told = ", ".join(f"{count:,} {quality}" for quality, count in sorted(others.items()))
        yield f"not measured, by the file: {told}; sent as such"


def _energy(exact_kwh: Decimal, rounded_milliwatt_hours: int, direction: str) -> str:
    kept = Decimal(rounded_milliwatt_hours).scaleb(-6)
    return f"{exact_kwh:.6f} kWh {direction} ({kept:.6f} kWh with each row rounded to the mWh)"


def _steps(replay: Replay, device_id: str) -> Iterable[list[Reading]]:
    step: list[Reading] = []
    for reading in replay.pending:
        replay.account.enter(reading)
        step.append(to_reading(reading, device_id, replay.revision))
        if len(step) == READINGS_PER_STEP:
            yield step
            step = []
    if step:
        yield step
