"""Readings of NEM12, the meter data of the Australian market: a line a day and register, market time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from loadgen.files.file_readings import (
    NO_CODES,
    FileError,
    FileFormat,
    FileReading,
    FileReadings,
    MalformedFile,
    RefusalReason,
    RowRefused,
    SourceQuality,
    UsagePointRequired,
    joined_codes,
    joined_quality,
)
from loadgen.files.nem12_records import EXPORT, IMPORT, Register, Value, date_of, register_of, values_of
from loadgen.files.time_zone import checked_zone

MARKET_ZONE = "Australia/Brisbane"
"""The zone with the market's clock: UTC+10 all year."""

_MARKET_OFFSET = timedelta(hours=10)
_MINUTE_MS = 60_000
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SAID_OF_A_DAY = ("400", "500")  # the quality of some intervals; why the meter was read

_LOST = Register("", "", problem="has no register: no 200 record stands before it")


@dataclass(slots=True)
class _Day:
    """Where a day of a register stands in the file, and how many lines belong to it."""

    line: int
    offset: int
    register: Register
    lines: int = 1


@dataclass(slots=True)
class _Index:
    """Where what is in a file: small, whatever the file holds, for registers come one after another."""

    nmis: dict[str, dict[date, list[_Day]]] = field(default_factory=dict)
    rows: int = 0
    has_header: bool = False
    has_end: bool = False


def read_nem12(path: Path, time_zone: str | None, usage_point: str | None = None) -> FileReadings:
    """The file's readings by start: the import (E) and export (B) registers of a day are read together.

    Times are those of the market, UTC+10 all year; `time_zone` is the site's, whose days and months count for bills.
    A direction with several registers is their sum, and refused where one of them has no value.

    Raises:
        FileError: the given zone is none, or nothing is there of the usage point.
        UsagePointRequired: there are several NMIs with energy in the file, and none is named.
        MalformedFile: the file is another version, or no text.
    """
    zone = MARKET_ZONE if time_zone is None else checked_zone(time_zone, path).key
    chosen = "as given" if time_zone else "which keeps the market's clock; where the site's differs, name it"
    result = FileReadings(FileFormat.NEM12, zone, remarks=[f"time zone {zone}, {chosen}"])
    result.remarks.append("starts are market time: UTC+10 all year")
    index = _indexed(path, result)
    if not index.has_header:
        result.remarks.append("the header (100) is missing; read as NEM12, for its records are")
    if not index.has_end:
        result.remarks.append("the end (900) is missing: the file may have been cut off")
    nmi = _chosen(path, index, usage_point)
    result.rows_in = index.rows
    result.readings = _readings(path, index.nmis.get(nmi, {}), result)
    return result


def _chosen(path: Path, index: _Index, usage_point: str | None) -> str:
    if usage_point is not None:
        if usage_point not in index.nmis:
            raise FileError(f"{path}: has no energy of NMI {usage_point}, but of {', '.join(index.nmis) or 'none'}")
        return usage_point
    if len(index.nmis) > 1:
        raise UsagePointRequired(path, "NMIs", index.nmis)
    return next(iter(index.nmis), "")


def _indexed(path: Path, result: FileReadings) -> _Index:
    index = _Index()
    register = _LOST
    day: _Day | None = None
    offset = 0
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            cells = _cells(path, line, raw)
            match cells[0]:
                case "100":
                    index.has_header, register, day = True, _LOST, None
                    _check_version(path, line, cells)
                case "200":
                    register, day = register_of(cells), None
                case "300":
                    index.rows += 1
                    day = _entered(index, _Day(line, offset, register), cells, result)
                case "900":
                    index.has_end, register, day = True, _LOST, None
                case _:
                    if day is not None:
                        day.lines += 1
                    if cells[0] not in _SAID_OF_A_DAY and cells != [""]:
                        index.rows += 1
                        text = f"begins with {cells[0][:20]!r}, which is no record of NEM12"
                        result.refuse(line, RefusalReason.MALFORMED_ROW, text)
            offset += len(raw)
    return index


def _entered(index: _Index, day: _Day, cells: list[str], result: FileReadings) -> _Day | None:
    if day.register.problem:
        result.refuse(day.line, RefusalReason.UNSUPPORTED_KIND, day.register.problem)
        return None
    try:
        when = date_of((cells[1:2] or [""])[0])
    except RowRefused as refused:
        result.refuse(day.line, refused.reason, refused.text)
        return None
    days = index.nmis.setdefault(day.register.nmi, {}).setdefault(when, [])
    earlier = next((one for one in days if one.register.suffix == day.register.suffix), None)
    if earlier:
        text = f"{when} of register {day.register.suffix} stands at line {earlier.line} already"
        result.refuse(day.line, RefusalReason.OVERLAP, text)
        return None
    days.append(day)
    return day


def _check_version(path: Path, line: int, cells: list[str]) -> None:
    version = (cells[1:2] or [""])[0]
    if version.upper() != "NEM12":
        raise MalformedFile(f"{path}, line {line}: the header names version {version!r}; only NEM12 is read")


def _cells(path: Path, line: int, raw: bytes) -> list[str]:
    try:
        if raw.startswith(_UTF16_MARKS):
            raise MalformedFile(f"{path}: is text in UTF-16; save it in UTF-8")
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise MalformedFile(f"{path}, line {line}: not a text in UTF-8") from error
    return [cell.strip() for cell in text.split(",")]


def _readings(path: Path, days: dict[date, list[_Day]], result: FileReadings) -> Iterator[FileReading]:
    spans: dict[str, tuple[date, date]] = {}
    for when in sorted(days):
        for day in days[when]:
            spans[day.register.suffix] = (spans.get(day.register.suffix, (when, when))[0], when)
    with path.open("rb") as file:
        for when in sorted(days):
            together = _read_day(path, file, days[when], result)
            expected = {suffix for suffix, (first, last) in spans.items() if first <= when <= last}
            yield from _merged(when, together, expected, result)
    result.refused.sort(key=lambda each: each.row)


def _read_day(path: Path, file: BinaryIO, days: list[_Day], result: FileReadings) -> list[tuple[_Day, list[Value]]]:
    """The values of the registers of a day; all have intervals of one length."""
    read: list[tuple[_Day, list[Value]]] = []
    for day in sorted(days, key=lambda one: (one.register.direction != IMPORT, one.line)):
        file.seek(day.offset)
        lines = [_cells(path, day.line + number, file.readline()) for number in range(day.lines)]
        events = [(day.line + number, cells) for number, cells in enumerate(lines) if cells[0] == "400"]
        minutes = day.register.interval_minutes
        if read and read[0][0].register.interval_minutes != minutes:
            text = f"has intervals of {minutes} minutes, register {read[0][0].register.suffix} of that day has others"
            result.refuse(day.line, RefusalReason.OVERLAP, text)
            continue
        try:
            read.append((day, values_of(lines[0], events, day.register)))
        except RowRefused as refused:
            result.refuse(day.line, refused.reason, refused.text)
    return read


def _merged(
    when: date, together: list[tuple[_Day, list[Value]]], expected: set[str], result: FileReadings
) -> Iterator[FileReading]:
    if not together:
        return
    missing = expected - {day.register.suffix for day, _ in together}
    minutes = together[0][0].register.interval_minutes
    midnight = datetime(when.year, when.month, when.day, tzinfo=UTC) - _MARKET_OFFSET
    start_ms = int(midnight.timestamp()) * 1000
    refused: list[tuple[_Day, int, Value]] = []
    for number in range(together[0][0].register.interval_count):
        sums: dict[str, Decimal] = {}
        quality, codes = SourceQuality.MEASURED, NO_CODES
        for direction in (IMPORT, EXPORT):
            values = [(day, values[number]) for day, values in together if day.register.direction == direction]
            absent = sorted(suffix for suffix in missing if suffix.startswith(direction))
            absent += [day.register.suffix for day, value in values if value.energy_kwh is None]
            for day, value in values:
                if value.energy_kwh is None:
                    refused.append((day, number, value))
                elif absent:
                    problem = f"part of a sum with register {', '.join(absent)}, which has no value"
                    refused.append((day, number, Value(None, problem=problem)))
                else:
                    sums[direction] = sums.get(direction, Decimal(0)) + value.energy_kwh
                    quality = joined_quality(quality, value.quality)
                    codes = joined_codes(codes, value.codes)
        if sums:
            yield FileReading(
                start_ms + number * minutes * _MINUTE_MS,
                minutes * _MINUTE_MS,
                import_kwh=sums.get(IMPORT),
                export_kwh=sums.get(EXPORT),
                quality=quality,
                quality_codes=codes,
            )
    _refuse(refused, result)


def _refuse(refused: list[tuple[_Day, int, Value]], result: FileReadings) -> None:
    """One refusal for all intervals of a line that are refused for the same reason."""
    alike: dict[tuple[int, RefusalReason, str], list[int]] = {}
    for day, number, value in refused:
        alike.setdefault((day.line, value.reason, value.problem), []).append(number + 1)
    for (line, reason, problem), numbers in alike.items():
        result.refuse(line, reason, f"intervals {_ranges(numbers)}: {problem}")


def _ranges(numbers: list[int]) -> str:
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda each: each[1] - each[0])]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
