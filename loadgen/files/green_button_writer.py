"""Writes Green Button, an Atom feed of ESPI resources, block by block: a year needs no more memory than a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import TextIO
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from loadgen.files.file_readings import SourceQuality
from loadgen.files.green_button_feed import ESPI_NAMESPACE
from loadgen.files.time_zone import LocalTimeParameters

_RESOURCES = "/espi/1_1/resource"
_ATOM_NAMESPACE = "http://www.w3.org/2005/Atom"

# Energy of the interval, electricity, 12 for a normal value and for energy, milliwatt-hours: exactly what is on record.
_READING_TYPE = {
    "accumulationBehaviour": 4,
    "commodity": 1,
    "dataQualifier": 12,
    "flowDirection": 1,
    "intervalLength": 0,
    "kind": 12,
    "powerOfTenMultiplier": -3,
    "timeAttribute": 0,
    "uom": 72,
}
_QUALITY_CODES = {
    SourceQuality.EDITED: 7,
    SourceQuality.REFERENCE_DAYS: 8,
    SourceQuality.INTERPOLATED: 9,
    SourceQuality.DERIVED: 11,
    SourceQuality.ESTIMATED: 12,
    SourceQuality.MIXED: 13,
    # The format has no word for a substitute: it is none of the others.
    SourceQuality.SUBSTITUTED: 16,
    SourceQuality.FINAL_SUBSTITUTED: 16,
}


@dataclass(frozen=True, slots=True)
class Flow:
    """A direction of energy, with its number in the links."""

    number: int
    code: int
    title: str


DELIVERED = Flow(1, 1, "Energy delivered to the customer")
RECEIVED = Flow(2, 19, "Energy received from the customer")


@dataclass(frozen=True, slots=True)
class IntervalEnergy:
    """The energy of one direction in an interval; times in whole seconds since 1970."""

    start_seconds: int
    duration_seconds: int
    milliwatt_hours: int
    quality: SourceQuality = SourceQuality.MEASURED


@dataclass(slots=True)
class GreenButtonWriter:
    """One meter's feed: `open`, any number of blocks, `close`. What it writes is ASCII.

    The type and the meter reading of a direction stand before its first block, so a direction without energy has none.
    """

    output: TextIO
    device_id: str
    local_time: LocalTimeParameters
    updated: datetime
    _block_counts: dict[Flow, int] = field(default_factory=dict)

    def open(self) -> None:
        """Writes the head of the feed, the usage point and its local time."""
        self.output.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<feed xmlns="{_ATOM_NAMESPACE}">\n'
            f"<id>{_id(self._point, self._stamp)}</id>\n"
            f"<title>Usage of {_text(self.device_id)}</title>\n"
            f"<updated>{self._stamp}</updated>\n"
            "<author><name>Gridmesh</name></author>\n"
            f'<link rel="self" href="{self._point}"/>\n'
        )
        local_time = f"{_RESOURCES}/LocalTimeParameters/1"
        self._entry(
            self._point,
            up=f"{_RESOURCES}/UsagePoint",
            related=(f"{self._point}/MeterReading", local_time),
            title=self.device_id,
            content=_element("UsagePoint", "<ServiceCategory><kind>0</kind></ServiceCategory>"),
        )
        rules = {
            "dstEndRule": f"{self.local_time.dst_end_rule:08X}",
            "dstOffset": self.local_time.dst_offset_seconds,
            "dstStartRule": f"{self.local_time.dst_start_rule:08X}",
            "tzOffset": self.local_time.offset_seconds,
        }
        self._entry(
            local_time,
            up=f"{_RESOURCES}/LocalTimeParameters",
            title=self.local_time.title,
            content=_element("LocalTimeParameters", _fields(rules)),
        )

    def write_block(self, flow: Flow, energies: Sequence[IntervalEnergy]) -> None:
        """Writes intervals of one direction as a block; they are in order, and at least one."""
        meter_reading = f"{self._point}/MeterReading/{flow.number}"
        if flow not in self._block_counts:
            self._write_type(flow, meter_reading, energies[0].duration_seconds)
        number = self._block_counts[flow] = self._block_counts.get(flow, 0) + 1
        start = energies[0].start_seconds
        end = max(each.start_seconds + each.duration_seconds for each in energies)
        content = [f"<interval>{_period(start, end - start)}</interval>", *map(_interval_reading, energies)]
        self._entry(
            f"{meter_reading}/IntervalBlock/{number}",
            up=f"{meter_reading}/IntervalBlock",
            title=_time_text(datetime.fromtimestamp(start, UTC)),
            content=_element("IntervalBlock", "\n".join(content)),
        )

    def close(self) -> None:
        """Writes the end of the feed."""
        self.output.write("</feed>\n")

    @property
    def _point(self) -> str:
        return f"{_RESOURCES}/UsagePoint/{quote(self.device_id, safe='')}"

    @property
    def _stamp(self) -> str:
        return _time_text(self.updated)

    def _write_type(self, flow: Flow, meter_reading: str, interval_seconds: int) -> None:
        reading_type = f"{_RESOURCES}/ReadingType/{flow.number}"
        self._entry(
            meter_reading,
            up=f"{self._point}/MeterReading",
            related=(f"{meter_reading}/IntervalBlock", reading_type),
            title=flow.title,
            content=_element("MeterReading", ""),
        )
        codes = _READING_TYPE | {"flowDirection": flow.code, "intervalLength": interval_seconds}
        self._entry(
            reading_type,
            up=f"{_RESOURCES}/ReadingType",
            title=flow.title,
            content=_element("ReadingType", _fields(codes)),
        )

    def _entry(self, link: str, *, up: str, title: str, content: str, related: Sequence[str] = ()) -> None:
        links = [("self", link), ("up", up), *(("related", href) for href in related)]
        self.output.write(
            f"<entry>\n<id>{_id(self._point, link)}</id>\n"
            + "".join(f'<link rel="{rel}" href="{href}"/>\n' for rel, href in links)
            + f"<title>{_text(title)}</title>\n"
            f'<content type="application/xml">\n{content}\n</content>\n'
            f"<published>{self._stamp}</published>\n<updated>{self._stamp}</updated>\n</entry>\n"
        )


def _interval_reading(energy: IntervalEnergy) -> str:
    code = _QUALITY_CODES.get(energy.quality)
    quality = "" if code is None else f"<ReadingQuality><quality>{code}</quality></ReadingQuality>"
    period = f"<timePeriod>{_period(energy.start_seconds, energy.duration_seconds)}</timePeriod>"
    return f"<IntervalReading>{quality}{period}<value>{energy.milliwatt_hours}</value></IntervalReading>"


def _period(start_seconds: int, duration_seconds: int) -> str:
    return f"<duration>{duration_seconds}</duration><start>{start_seconds}</start>"


def _element(name: str, content: str) -> str:
    return f'<{name} xmlns="{ESPI_NAMESPACE}">{content}</{name}>'


def _fields(values: Mapping[str, object]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items())


def _id(*parts: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, ' '.join(parts))}"


def _text(text: str) -> str:
    return escape(text).encode("ascii", "xmlcharrefreplace").decode()


def _time_text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
