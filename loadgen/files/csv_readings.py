"""Readings of CSV with a header: a start, an import, an export or both, and where there are any, length and quality."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from common.instants import datetime_to_ms
from loadgen.files.csv_cells import (
    END,
    EXPORT,
    IMPORT,
    INTERVAL,
    QUALITY,
    START,
    Header,
    energy_of,
    header_of,
    interval_of,
    quality_of,
    split,
    time_of,
)
from loadgen.files.file_readings import (
    FileFormat,
    FileReading,
    FileReadings,
    MalformedFile,
    RefusalReason,
    RowRefused,
    TimeZoneRequired,
)
from loadgen.files.local_clock import LocalClock, TakenTime
from loadgen.files.time_zone import checked_zone

_UTC = "Etc/UTC"
_DAY = timedelta(days=1)
_LONGEST = timedelta(days=31)
_ROWS_LOOKED_AT = 1000
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_csv(path: Path, time_zone: str | None) -> FileReadings:
    """The file's readings, line by line, while they are asked for.

    Times with an offset are instants. Of local ones, those that spring leaves out are refused, and those that autumn
    repeats are told apart by the order of the lines, or refused where that does not tell. Where the file says no
    length, it is the smallest step between its first lines. What overlaps an earlier line is refused.

    Raises:
        TimeZoneRequired: no time zone is given, and the times are not plainly in UTC.
        FileError: the given zone is none.
        MalformedFile: the header lacks a column, or the file is no text; the latter also while reading.
    """
    number, header = _header(path)
    zone, remark = _zone(path, number, header, time_zone)
    result = FileReadings(FileFormat.CSV, zone.key, remarks=[remark])
    if header.ignored:
        result.remarks.append(f"columns not read: {', '.join(header.ignored)}")
    step = None
    if END not in header.places and INTERVAL not in header.places:
        step = _step(path, number, header, LocalClock(zone))
        result.remarks.append(f"the file says no length of its intervals; taken is the step of its lines, {step}")
    result.readings = _readings(
        path, number, _Rows(header, LocalClock(zone), step, may_be_local=time_zone is not None), result
    )
    return result


def _header(path: Path) -> tuple[int, Header]:
    """The header and the number of its line."""
    for number, line in _lines(path):
        if not line.strip():
            continue
        header = header_of(line)
        problem = ""
        if header is None or START not in header.places:
            problem = f"has no column {START}"
        elif IMPORT not in header.places and EXPORT not in header.places:
            problem = f"has neither a column {IMPORT} nor {EXPORT}"
        elif END in header.places and INTERVAL in header.places:
            problem = f"has both {END} and {INTERVAL}; leave one out"
        elif header.repeated:
            problem = f"names {', '.join(header.repeated)} twice"
        if header is None or problem:
            raise MalformedFile(f"{path}, line {number}: the header {problem} (found: {line.strip()[:200]})")
        return number, header
    raise MalformedFile(f"{path}: is empty")


def _zone(path: Path, number: int, header: Header, given: str | None) -> tuple[ZoneInfo, str]:
    if given is not None:
        return checked_zone(given, path), f"time zone {given}, as given"
    first = next(_starts(path, number, header), None)
    if first is not None and not first.upper().endswith("Z"):
        raise TimeZoneRequired(
            f"{path}: its first {START} is {first}, which names no time zone (an offset is none); give one"
        )
    return ZoneInfo(_UTC), f"time zone {_UTC}, as its times end in Z; where the site has another one, name it"


def _step(path: Path, number: int, header: Header, clock: LocalClock) -> timedelta:
    """The smallest step of the local clock between the first lines: of days, also those of 23 hours have one."""
    shown: list[datetime] = []
    for cell in islice(_starts(path, number, header), _ROWS_LOOKED_AT):
        try:
            time = time_of(cell, START)
            shown.append(time if time.tzinfo is None else clock.local_of(datetime_to_ms(time)))
        except RowRefused:
            continue
    steps = [abs(after - before) for before, after in pairwise(shown) if after != before]
    if not steps or min(steps) > _DAY:
        told = f"its lines are {min(steps)} apart" if steps else "it has no two starts to tell"
        raise MalformedFile(
            f"{path}, line {number}: no column says how long an interval is, and {told}; add {INTERVAL} or {END}"
        )
    return min(steps)


def _starts(path: Path, number: int, header: Header) -> Iterator[str]:
    """The starts of the lines that can be split, as they are written."""
    for line_number, line in _lines(path):
        if line_number > number and line.strip():
            try:
                cells = split(line, header.delimiter)
            except RowRefused:
                continue
            if len(cells) == header.cell_count:
                yield header.cell(cells, START)


def _readings(path: Path, header_number: int, rows: _Rows, result: FileReadings) -> Iterator[FileReading]:
    taken = TakenTime()
    for number, line in _lines(path):
        if number <= header_number or not line.strip():
            continue
        result.rows_in += 1
        try:
            reading = rows.reading(line)
        except RowRefused as refused:
            result.refuse(number, refused.reason, refused.text)
            continue
        if taken.take(reading.start_ms, reading.start_ms + reading.interval_ms):
            yield reading
        else:
            result.refuse(number, RefusalReason.OVERLAP, "overlaps an interval of a line before it")
    if rows.clock.told_apart:
        result.remarks.append(
            f"{rows.clock.told_apart} local times that come twice were told apart by the order of the lines"
        )


class _Rows:
    """Makes readings of lines."""

    def __init__(self, header: Header, clock: LocalClock, step: timedelta | None, *, may_be_local: bool) -> None:
        self._header = header
        self._may_be_local = may_be_local
        self.clock = clock
        self._step = step

    def reading(self, line: str) -> FileReading:
        """The reading of a line.

        Raises:
            RowRefused: it gives none.
        """
        cells = split(line, self._header.delimiter)
        if len(cells) != self._header.cell_count:
            raise RowRefused(
                RefusalReason.MALFORMED_ROW, f"has {len(cells)} cells, the header {self._header.cell_count}"
            )
        # The clock sees every line with a time, also those without a value: they too tell which pass of an hour it is.
        start_ms = self._instant_ms(time_of(self._header.cell(cells, START), START))
        end_ms = self._end_ms(cells, start_ms)
        length = timedelta(milliseconds=end_ms - start_ms)
        if not timedelta(0) < length <= _LONGEST:
            raise RowRefused(RefusalReason.OUT_OF_RANGE, f"lasts {length}, which must be above 0 and at most 31 days")
        self.clock.reach(end_ms)
        quality = quality_of(self._header.cell(cells, QUALITY))
        imported = energy_of(self._header.cell(cells, IMPORT), IMPORT)
        exported = energy_of(self._header.cell(cells, EXPORT), EXPORT)
        if imported is None and exported is None:
            raise RowRefused(RefusalReason.VALUE_MISSING, "has no energy")
        return FileReading(start_ms, end_ms - start_ms, imported, exported, quality=quality)

    def _instant_ms(self, time: datetime) -> int:
        if time.tzinfo is not None:
            return datetime_to_ms(time)
        if not self._may_be_local:
            raise RowRefused(RefusalReason.MALFORMED_ROW, f"{START} {time} has no offset, and no time zone is given")
        return self.clock.instant_ms(time)

    def _end_ms(self, cells: list[str], start_ms: int) -> int:
        if self._step == _DAY:
            return self.clock.first_instant_after(self.clock.local_of(start_ms) + _DAY, start_ms)
        if self._step is not None:
            return start_ms + self._step // timedelta(milliseconds=1)
        if INTERVAL in self._header.places:
            return start_ms + interval_of(self._header.cell(cells, INTERVAL)) // timedelta(milliseconds=1)
        end = time_of(self._header.cell(cells, END), END)
        return datetime_to_ms(end) if end.tzinfo else self.clock.first_instant_after(end, start_ms)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines from 1.

    Raises:
        MalformedFile: the file is no text.
    """
    number = 0
    with path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in _UTF16_MARKS else "utf-8-sig"
    try:
        with path.open(encoding=encoding) as lines:
            for number, line in enumerate(lines, start=1):
                yield number, line
    except UnicodeError as error:
        raise MalformedFile(f"{path}, after line {number}: not a text in {encoding.removesuffix('-sig')}") from error
