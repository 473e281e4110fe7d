"""Opens a file of readings: its format is recognised by what stands in it, never by its name."""

from __future__ import annotations

import re
from pathlib import Path

from loadgen.files.csv_cells import header_of
from loadgen.files.csv_readings import read_csv
from loadgen.files.file_readings import FileError, FileFormat, FileReadings, UnknownFormat
from loadgen.files.green_button import read_green_button
from loadgen.files.green_button_feed import ESPI_NAMESPACE
from loadgen.files.household import HEADER_START, read_household
from loadgen.files.nem12 import read_nem12

# Green Button files are seen to begin with pages of comment before the namespace comes.
_HEAD_BYTES = 262_144
_HOUSEHOLD_ROW = re.compile(r"\d{1,2}/\d{1,2}/\d{4};\d{1,2}:\d{2}:\d{2};")

# A file that lost its header is known by its records, so that what is said of it is to the point.
_NEM12_ROW = re.compile(r"100,NEM|200,[^,\n]*,([^,\n]*,){6}|300,\d{8},|900\s*$")

_READERS_OF_ONE_METER = {FileFormat.HOUSEHOLD: read_household, FileFormat.CSV: read_csv}
_READERS_OF_USAGE_POINTS = {FileFormat.GREEN_BUTTON: read_green_button, FileFormat.NEM12: read_nem12}
_SUPPORTED = (
    "supported are Green Button (ESPI XML in an Atom feed), NEM12, CSV with a header (start_time, import_kwh or "
    "export_kwh or both, and where there are any, interval or end_time, quality) and the household format "
    "(lines of dd/mm/yyyy;HH:MM:SS;kW;kvar;V;A;three sub-meters, a minute each)"
)


def open_file(path: Path, time_zone: str | None = None, usage_point: str | None = None) -> FileReadings:
    """The readings of a file in any supported format.

    `time_zone` is an IANA zone and wins over the file's own; `usage_point` picks one of several in the file.

    Raises:
        UnknownFormat, TimeZoneRequired, UsagePointRequired, MalformedFile, FileError: see each; their text is for the
            person who named the file.
    """
    try:
        file_format = recognise_format(path)
        if file_format in _READERS_OF_USAGE_POINTS:
            return _READERS_OF_USAGE_POINTS[file_format](path, time_zone, usage_point)
        if usage_point is not None:
            raise FileError(f"{path}: a file of format {file_format} names no usage points; leave --usage-point out")
        return _READERS_OF_ONE_METER[file_format](path, time_zone)
    except OSError as error:
        raise _unreadable(path, error) from error


def recognise_format(path: Path) -> FileFormat:
    """The format of a file.

    Raises:
        UnknownFormat: it is none of the supported ones.
        FileError: the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = head.decode(encoding, errors="replace").lstrip()
    if text.startswith("<") and ESPI_NAMESPACE in text:
        return FileFormat.GREEN_BUTTON
    if text.lower().startswith(HEADER_START) or _HOUSEHOLD_ROW.match(text):
        return FileFormat.HOUSEHOLD
    if _NEM12_ROW.match(text):
        return FileFormat.NEM12
    if not text.startswith("<") and header_of(text.partition("\n")[0]):
        return FileFormat.CSV
    found = "is empty" if not text else "is XML of another kind" if text.startswith("<") else "is not recognised"
    raise UnknownFormat(f"{path} {found}; {_SUPPORTED}")


def _unreadable(path: Path, error: OSError) -> FileError:
    return FileError(f"{path}: {error.strerror or 'cannot be read'}")
