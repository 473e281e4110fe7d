"""What every reader of a file hands out: readings with exact energies, and a refusal for each row that gives none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from energy.telemetry.v1.reading_pb2 import EnergyQuality, MeterMeasurement, Reading

from common.instants import duration_from_ms, from_ms
from loadgen.files.stated_bill import Statements


class FileFormat(StrEnum):
    """The formats that are read."""

    HOUSEHOLD = "household"
    GREEN_BUTTON = "green-button"
    NEM12 = "nem12"
    CSV = "csv"


class RefusalReason(StrEnum):
    """Why a row gives no reading."""

    VALUE_MISSING = "VALUE_MISSING"
    MALFORMED_ROW = "MALFORMED_ROW"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    NO_SUCH_LOCAL_TIME = "NO_SUCH_LOCAL_TIME"
    AMBIGUOUS_LOCAL_TIME = "AMBIGUOUS_LOCAL_TIME"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    OVERLAP = "OVERLAP"
    UNSUPPORTED_KIND = "UNSUPPORTED_KIND"


class SourceQuality(StrEnum):
    """Where the file says that a value comes from; what it says nothing of was measured."""

    MEASURED = "measured"
    EDITED = "edited"
    REFERENCE_DAYS = "estimated from reference days"
    INTERPOLATED = "interpolated"
    DERIVED = "derived"
    ESTIMATED = "estimated"
    SUBSTITUTED = "substituted"
    FINAL_SUBSTITUTED = "finally substituted"
    MIXED = "mixed"


def joined_quality(one: SourceQuality, other: SourceQuality) -> SourceQuality:
    """The quality of a reading made of two values: a measured one hides nothing of the other."""
    if one is other or other is SourceQuality.MEASURED:
        return one
    return other if one is SourceQuality.MEASURED else SourceQuality.MIXED


class QualityCodes(NamedTuple):
    """What a file adds to a quality, in the codes of its format: how the value was come to, and why."""

    method: int | None = None
    reason: int | None = None


NO_CODES = QualityCodes()


def joined_codes(one: QualityCodes, other: QualityCodes) -> QualityCodes:
    """The codes of a reading made of two values: those that are said of one alone, or alike of both."""
    if other in (one, NO_CODES):
        return one
    return other if one == NO_CODES else NO_CODES


@dataclass(frozen=True, slots=True)
class RowRefusal:
    """A row that gives no reading: its number in the file from 1, why, and what is wrong for a person."""

    row: int
    reason: RefusalReason
    text: str


@dataclass(frozen=True, slots=True)
class FileReading:
    """One interval of a file: start in UTC, length, exact energies in kWh; None is not in the file."""

    start_ms: int
    interval_ms: int
    import_kwh: Decimal | None = None
    export_kwh: Decimal | None = None
    power_kw: Decimal | None = None
    voltage_v: Decimal | None = None
    current_a: Decimal | None = None
    quality: SourceQuality = SourceQuality.MEASURED
    quality_codes: QualityCodes = NO_CODES


@dataclass(slots=True)
class FileReadings:
    """The readings of one file. `rows_in` and `refused` grow with the reading and are complete when it is exhausted.

    A row is a line of the household format and of CSV, a line with a day of a register (300) of NEM12, and an
    `IntervalReading` of Green Button. `remarks` say what a person should know about the file as a whole, such as how
    its time zone was found; `stated` is what it says of money.
    """

    format: FileFormat
    time_zone: str
    readings: Iterator[FileReading] = field(default_factory=lambda: iter(()))
    rows_in: int = 0
    refused: list[RowRefusal] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    stated: Statements = field(default_factory=Statements)

    def refuse(self, row: int, reason: RefusalReason, text: str) -> None:
        """Keeps the refusal of a row, or of a part of it."""
        self.refused.append(RowRefusal(row, reason, text))

    @property
    def refused_rows(self) -> int:
        """How many rows give less than they hold: one may be refused in parts, for several reasons."""
        return len({refusal.row for refusal in self.refused})


class RowRefused(Exception):
    """Expected: a row, or a part of it, gives no reading."""

    def __init__(self, reason: RefusalReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class FileError(Exception):
    """Expected: the file cannot be read; the text names file, place and what to do."""


class MalformedFile(FileError):
    """Expected: the file is not well-formed, or says what no reading can be made of."""


class UnknownFormat(FileError):
    """Expected: the file is in none of the formats that are read."""


class TimeZoneRequired(FileError):
    """Expected: the time zone is neither given nor plain from the file."""


class UsagePointRequired(FileError):
    """Expected: the file holds the readings of several usage points, and none of them is named."""

    def __init__(self, path: Path, kind: str, points: Iterable[str]) -> None:
        named = sorted(points)
        super().__init__(
            f"{path}: holds the readings of {len(named)} {kind} ({', '.join(named)}); "
            "one of them is read as one meter, so name it with --usage-point"
        )


_ENERGY_QUALITIES: dict[SourceQuality, EnergyQuality.ValueType] = {
    SourceQuality.MEASURED: EnergyQuality.ENERGY_QUALITY_UNSPECIFIED,
    SourceQuality.EDITED: EnergyQuality.ENERGY_QUALITY_EDITED,
    SourceQuality.REFERENCE_DAYS: EnergyQuality.ENERGY_QUALITY_REFERENCE_DAYS,
    SourceQuality.INTERPOLATED: EnergyQuality.ENERGY_QUALITY_INTERPOLATED,
    SourceQuality.DERIVED: EnergyQuality.ENERGY_QUALITY_DERIVED,
    SourceQuality.ESTIMATED: EnergyQuality.ENERGY_QUALITY_ESTIMATED,
    SourceQuality.SUBSTITUTED: EnergyQuality.ENERGY_QUALITY_SUBSTITUTED,
    SourceQuality.FINAL_SUBSTITUTED: EnergyQuality.ENERGY_QUALITY_FINAL_SUBSTITUTED,
    SourceQuality.MIXED: EnergyQuality.ENERGY_QUALITY_MIXED,
}


def to_reading(reading: FileReading, device_id: str, revision: int = 0) -> Reading:
    """The message that a meter with this id sends: each Decimal once rounded to the nearest float."""
    return Reading(
        device_id=device_id,
        start_time=from_ms(reading.start_ms),
        interval=duration_from_ms(reading.interval_ms),
        revision=revision,
        meter=MeterMeasurement(
            import_kwh=_float(reading.import_kwh),
            export_kwh=_float(reading.export_kwh),
            power_kw=_float(reading.power_kw),
            voltage_v=_float(reading.voltage_v),
            current_a=_float(reading.current_a),
            energy_quality=_ENERGY_QUALITIES[reading.quality],
            quality_method_code=reading.quality_codes.method,
            quality_reason_code=reading.quality_codes.reason,
        ),
    )


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
