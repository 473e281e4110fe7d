"""Builds small Green Button files for the tests of their reader."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from loadgen.files import FileReadings, open_file

START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
HOUR = 3600
US_RULES = "<dstEndRule>B40E2000</dstEndRule><dstOffset>3600</dstOffset><dstStartRule>360E2000</dstStartRule>"
NEW_YORK = f"<LocalTimeParameters>{US_RULES}<tzOffset>-18000</tzOffset></LocalTimeParameters>"


def usage_point(kind: int = 0) -> str:
    """A usage point of a service kind."""
    return f"<UsagePoint><ServiceCategory><kind>{kind}</kind></ServiceCategory></UsagePoint>"


def reading_type(**codes: int) -> str:
    """A reading type: Wh of electricity, delivered, by the interval, unless said otherwise."""
    said = {"accumulationBehaviour": 4, "commodity": 1, "flowDirection": 1, "powerOfTenMultiplier": 0, "uom": 72}
    inner = "".join(f"<{name}>{code}</{name}>" for name, code in (said | codes).items())
    return f"<ReadingType>{inner}</ReadingType>"


def row(start: int, value: object, duration: int = HOUR, qualities: Sequence[int] = ()) -> str:
    """An interval reading."""
    period = f"<timePeriod><duration>{duration}</duration><start>{start}</start></timePeriod>"
    told = "".join(f"<ReadingQuality><quality>{code}</quality></ReadingQuality>" for code in qualities)
    return f"<IntervalReading><cost>12</cost>{told}{period}<value>{value}</value></IntervalReading>"


def block(*rows: str) -> str:
    """An interval block."""
    return f"<IntervalBlock>{''.join(rows)}</IntervalBlock>"


def entry(content: str, *links: tuple[str, str]) -> str:
    """An entry of the feed with its links."""
    tied = "".join(f'<link rel="{rel}" href="{href}"/>' for rel, href in links)
    return f"<entry>{tied}<content>{content}</content></entry>"


def opened(folder: Path, *entries: str, time_zone: str | None = None, usage_point: str | None = None) -> FileReadings:
    """A file with these entries; a bare resource stands in an entry without links."""
    inner = "".join(each if each.startswith("<entry") else entry(each) for each in entries)
    for name in ("UsagePoint", "LocalTimeParameters", "MeterReading", "ReadingType", "IntervalBlock"):
        inner = inner.replace(f"<{name}>", f'<{name} xmlns="http://naesb.org/espi">')
    path = folder / "usage.xml"
    path.write_text(f'<?xml version="1.0"?>\n<feed xmlns="http://www.w3.org/2005/Atom">{inner}</feed>', "utf-8")
    return open_file(path, time_zone, usage_point)
