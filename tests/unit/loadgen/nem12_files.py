"""Builds small NEM12 files for the tests of their reader."""

from collections.abc import Sequence
from pathlib import Path

from loadgen.files import FileReadings, open_file

HEADER = "100,NEM12,202303011200,MDP,RETAILER"
END = "900"


def register(suffix: str = "E1", minutes: object = 30, unit: str = "kWh", nmi: str = "NMI1") -> str:
    """A 200 record."""
    return f"200,{nmi},E1B1,{suffix},{suffix},{suffix},SERIAL,{unit},{minutes},"


def day(values: Sequence[object], quality: str = "A", date: str = "20230301") -> str:
    """A 300 record."""
    return f"300,{date},{','.join(map(str, values))},{quality},,,20230302120000,"


def opened(folder: Path, *lines: str, time_zone: str | None = None, usage_point: str | None = None) -> FileReadings:
    """A file with these lines."""
    path = folder / "meter.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return open_file(path, time_zone, usage_point)
