"""The cells of a CSV file of readings: its header by name, and times, energies and qualities as people write them."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from loadgen.files.file_readings import RefusalReason, RowRefused, SourceQuality

START, END, INTERVAL = "start_time", "end_time", "interval"
IMPORT, EXPORT, QUALITY = "import_kwh", "export_kwh", "quality"

_COLUMNS = (START, END, INTERVAL, IMPORT, EXPORT, QUALITY)
_DELIMITERS = (",", ";")
_HIGHEST_KWH = 1_000_000
_EARLIEST_YEAR, _LATEST_YEAR = 1900, 9998  # in every zone, and with an interval after it
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,2})?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"-?[\d. ]+,\d+", re.ASCII)
_DURATION = re.compile(
    r"PT(?:(\d{1,3})H)?(?:(\d{1,5})M)?(?:(\d{1,7})S)?|(\d{1,7}) ?(h|min|m|s)", re.ASCII | re.IGNORECASE
)
_TIME_START = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MARKS_OF_FORMULAS = ("=", "@", "+", "-")
_QUALITIES = {
    **{quality.value: quality for quality in SourceQuality},
    **dict.fromkeys(("", "a", "actual", "raw", "validated", "verified"), SourceQuality.MEASURED),
    **dict.fromkeys(("e", "projected"), SourceQuality.ESTIMATED),
    "s": SourceQuality.SUBSTITUTED,
    **dict.fromkeys(("f", "final"), SourceQuality.FINAL_SUBSTITUTED),
    "manual": SourceQuality.EDITED,
    "reference days": SourceQuality.REFERENCE_DAYS,
}
_NULLS = ("n", "null", "missing")


@dataclass(frozen=True, slots=True)
class Header:
    """Which cell of a row is what; columns that are not read are in `ignored` as the file spells them."""

    delimiter: str
    cell_count: int
    places: dict[str, int]
    ignored: tuple[str, ...]
    repeated: tuple[str, ...] = ()

    def cell(self, cells: list[str], column: str) -> str:
        """The cell of a column, stripped; empty where there is no such column."""
        place = self.places.get(column)
        return "" if place is None else cells[place].strip()


def header_of(line: str) -> Header | None:
    """The header in a line; None when no column has a name that is read."""
    best: Header | None = None
    for delimiter in _DELIMITERS:
        try:
            names = split(line, delimiter)
        except RowRefused:
            continue
        keys = ["_".join(name.lower().split()) for name in names]
        places = {key: place for place, key in reversed(list(enumerate(keys))) if key in _COLUMNS}
        if places and (best is None or len(places) > len(best.places)):
            ignored = tuple(name for name, key in zip(names, keys, strict=True) if key not in _COLUMNS)
            repeated = tuple(key for key in places if keys.count(key) > 1)
            best = Header(delimiter, len(names), places, ignored, repeated)
    return best


def split(line: str, delimiter: str) -> list[str]:
    """The cells of a line.

    Raises:
        RowRefused: its quotes do not match.
    """
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter, strict=True), [""])
    except csv.Error as error:
        raise RowRefused(RefusalReason.MALFORMED_ROW, f"cannot be split into cells ({error})") from error


def energy_of(cell: str, column: str) -> Decimal | None:
    """An energy in kWh; None where the cell is empty.

    Raises:
        RowRefused: it is no number, or none that is an energy.
    """
    if not cell:
        return None
    if not _NUMBER.fullmatch(cell):
        problem = "is no number with a decimal point"
        if _DECIMAL_COMMA.fullmatch(cell):
            problem = "has a decimal comma; write a point, and nothing between thousands"
        elif cell.startswith(_MARKS_OF_FORMULAS):
            problem = "is a formula of a spreadsheet, no number"
        raise RowRefused(RefusalReason.MALFORMED_ROW, f"{column} {cell[:40]!r} {problem}")
    energy = Decimal(cell)
    if not 0 <= energy <= _HIGHEST_KWH:
        raise RowRefused(
            RefusalReason.OUT_OF_RANGE,
            f"{column} {cell} is not 0 to {_HIGHEST_KWH}; import and export have a column each",
        )
    return energy


def quality_of(cell: str) -> SourceQuality:
    """The quality that a cell names.

    Raises:
        RowRefused: it names none that is known, or says that there is no value.
    """
    word = " ".join(cell.lower().replace("_", " ").split())
    if word in _NULLS:
        raise RowRefused(RefusalReason.VALUE_MISSING, f"quality {cell!r} says that there is no value")
    if word not in _QUALITIES:
        known = ", ".join(quality.value for quality in SourceQuality)
        raise RowRefused(RefusalReason.MALFORMED_ROW, f"quality {cell[:40]!r} is none of {known}")
    return _QUALITIES[word]


def interval_of(cell: str) -> timedelta:
    """A length such as `PT15M`, `15 min` or `900 s`.

    Raises:
        RowRefused: it is none.
    """
    found = _DURATION.fullmatch(cell)
    if not found or not any(found.groups()):
        raise RowRefused(
            RefusalReason.MALFORMED_ROW, f"interval {cell[:40]!r} is no length such as PT15M, 15 min or 900 s"
        )
    hours, minutes, seconds, number, unit = found.groups()
    if unit:
        seconds_of = {"h": 3600, "min": 60, "m": 60, "s": 1}
        return timedelta(seconds=int(number) * seconds_of[unit.lower()])
    return timedelta(hours=int(hours or 0), minutes=int(minutes or 0), seconds=int(seconds or 0))


def time_of(cell: str, column: str) -> datetime:
    """A time in ISO 8601, with its offset or local, in whole milliseconds.

    Raises:
        RowRefused: it is none.
    """
    try:
        found = datetime.fromisoformat(cell) if _TIME_START.match(cell) else None
    except ValueError:
        found = None
    if found is None or found.microsecond % 1000:
        raise RowRefused(
            RefusalReason.MALFORMED_ROW,
            f"{column} {cell[:40]!r} is no time such as 2026-11-20T06:30:00+05:30 or, local, 2026-11-20 06:30",
        )
    if not _EARLIEST_YEAR <= found.year <= _LATEST_YEAR:
        raise RowRefused(
            RefusalReason.OUT_OF_RANGE, f"{column} {cell} is not in the years {_EARLIEST_YEAR} to {_LATEST_YEAR}"
        )
    return found
