"""Readers of real files: each turns the rows of one format into readings, and says of every other row why not."""

from loadgen.files.file_readings import (
    FileError,
    FileFormat,
    FileReading,
    FileReadings,
    MalformedFile,
    RefusalReason,
    RowRefusal,
    SourceQuality,
    TimeZoneRequired,
    UnknownFormat,
    UsagePointRequired,
    to_reading,
)
from loadgen.files.recognise import open_file, recognise_format

__all__ = [
    "FileError",
    "FileFormat",
    "FileReading",
    "FileReadings",
    "MalformedFile",
    "RefusalReason",
    "RowRefusal",
    "SourceQuality",
    "TimeZoneRequired",
    "UnknownFormat",
    "UsagePointRequired",
    "open_file",
    "recognise_format",
    "to_reading",
]
