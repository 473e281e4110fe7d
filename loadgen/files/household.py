"""Readings of the household format: a line a minute with the mean power, local time, parted by semicolons."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

from loadgen.files.file_readings import (
    FileFormat,
    FileReading,
    FileReadings,
    MalformedFile,
    RefusalReason,
    RowRefused,
    TimeZoneRequired,
)
from loadgen.files.time_zone import checked_zone

HEADER_START = "date;time;global_active_power"

_MINUTE_MS = 60_000
_COLUMNS = 9
_MISSING = ("", "?")
_TIME_FORMAT = "%d/%m/%Y;%H:%M:%S"
_MINUTES_PER_HOUR = 60
_HIGHEST = 1_000_000  # of every number in the contract


def read_household(path: Path, time_zone: str | None) -> FileReadings:
    """The file's readings, line by line, while they are asked for.

    Its clock is local and the file does not say whose. Lines stand in the order of time, which tells the two passes
    of the hour that autumn repeats apart; lines in the hour that spring leaves out are refused, for their instants
    belong to the next hour. For a clock that ignores daylight saving give a fixed zone, such as `Etc/GMT-1`.

    Raises:
        TimeZoneRequired: no time zone is given.
        FileError: it is none.
        MalformedFile: while reading, if the file is no text.
    """
    if time_zone is None:
        raise TimeZoneRequired(
            f"{path}: times of the household format are local and the file names no time zone; "
            "give one (the public data set of a home near Paris has Europe/Paris)"
        )
    zone = checked_zone(time_zone, path)
    result = FileReadings(FileFormat.HOUSEHOLD, time_zone, remarks=[f"time zone {time_zone}, as given"])
    result.readings = _readings(path, zone, result)
    return result


def _readings(path: Path, zone: ZoneInfo, result: FileReadings) -> Iterator[FileReading]:
    clock = _OrderedClock(zone)
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                text = line.strip()
                if not text or (number == 1 and text.lower().startswith(HEADER_START)):
                    continue
                result.rows_in += 1
                try:
                    yield _reading(text, clock)
                except RowRefused as refused:
                    result.refuse(number, refused.reason, refused.text)
    except UnicodeDecodeError as error:
        raise MalformedFile(f"{path}, after line {number}: not a text in UTF-8") from error


def _reading(text: str, clock: _OrderedClock) -> FileReading:
    cells = text.split(";")
    if len(cells) != _COLUMNS:
        raise RowRefused(RefusalReason.MALFORMED_ROW, f"has {len(cells)} columns, not {_COLUMNS}")
    try:
        local = datetime.strptime(f"{cells[0]};{cells[1]}", _TIME_FORMAT)  # noqa: DTZ007 - the zone comes from the clock
    except ValueError as error:
        raise RowRefused(
            RefusalReason.MALFORMED_ROW, f"{cells[0]!r} {cells[1]!r} is no time of the form dd/mm/yyyy HH:MM:SS"
        ) from error
    # The clock sees every line with a time, also the ones without a value: they too tell which pass of an hour it is.
    start_ms = clock.instant_ms(local)
    power_kw = _number(cells[2], "active power")
    if power_kw is None:
        raise RowRefused(RefusalReason.VALUE_MISSING, "has no active power")
    return FileReading(
        start_ms=start_ms,
        interval_ms=_MINUTE_MS,
        import_kwh=power_kw / _MINUTES_PER_HOUR,
        power_kw=power_kw,
        voltage_v=_number(cells[4], "voltage"),
        current_a=_number(cells[5], "current"),
    )


def _number(cell: str, name: str) -> Decimal | None:
    if cell.strip() in _MISSING:
        return None
    try:
        number = Decimal(cell.strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise RowRefused(RefusalReason.MALFORMED_ROW, f"{name} {cell!r} is no number")
    if not 0 <= number <= _HIGHEST:
        raise RowRefused(RefusalReason.OUT_OF_RANGE, f"{name} {number} is not 0 to {_HIGHEST}")
    return number


class _OrderedClock:
    """Turns local times that only go forward into instants."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._last_ms: int | None = None

    def instant_ms(self, local: datetime) -> int:
        """The first instant, at least a minute after the last one, that the local clock shows as `local`."""
        exists = False
        for fold in (0, 1):
            instant = local.replace(tzinfo=self._zone, fold=fold).astimezone(UTC)
            if instant.astimezone(self._zone).replace(tzinfo=None) != local:
                continue
            exists = True
            instant_ms = int(instant.timestamp()) * 1000
            if self._last_ms is None or instant_ms >= self._last_ms + _MINUTE_MS:
                self._last_ms = instant_ms
                return instant_ms
        if not exists:
            raise RowRefused(
                RefusalReason.NO_SUCH_LOCAL_TIME, f"{local} is left out in {self._zone.key} (daylight saving begins)"
            )
        raise RowRefused(RefusalReason.OUT_OF_ORDER, f"{local} is not a minute or more after the line before it")
