"""The records of NEM12: a register (200), its day (300), and what is said of some of its intervals (400)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from loadgen.files.file_readings import NO_CODES, QualityCodes, RefusalReason, RowRefused, SourceQuality

IMPORT, EXPORT = "E", "B"

_REGISTER_CELLS = 9
_MINUTES_PER_DAY = 1440
_INTERVAL_MINUTES = ("5", "15", "30")
_KWH_EXPONENTS = {"wh": -3, "kwh": 0, "mwh": 3}
_HIGHEST_KWH = 1_000_000
_NUMBER = re.compile(r"-?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})", re.ASCII)
_WHOLE_NUMBER = re.compile(r"\d{1,4}", re.ASCII)
_DATE = re.compile(r"(19|20)\d{6}", re.ASCII)
_FLAG = re.compile(r"([AENFSV])(\d{0,2})", re.ASCII)
_REASON = re.compile(r"\d{1,3}", re.ASCII)
_VARIABLE, _NULL = "V", "N"
_QUALITIES = {
    "A": SourceQuality.MEASURED,
    "E": SourceQuality.ESTIMATED,
    "S": SourceQuality.SUBSTITUTED,
    "F": SourceQuality.FINAL_SUBSTITUTED,
}


@dataclass(frozen=True, slots=True)
class Register:
    """One channel of a connection point. `problem` says why no reading can be made of it."""

    nmi: str
    suffix: str
    interval_minutes: int = 0
    kwh_exponent: int = 0
    problem: str | None = None

    @property
    def direction(self) -> str:
        """`IMPORT` or `EXPORT`."""
        return self.suffix[:1]

    @property
    def interval_count(self) -> int:
        """Intervals of a day."""
        return _MINUTES_PER_DAY // self.interval_minutes


@dataclass(frozen=True, slots=True)
class Value:
    """The energy of an interval, or why it has none."""

    energy_kwh: Decimal | None
    quality: SourceQuality = SourceQuality.MEASURED
    reason: RefusalReason = RefusalReason.VALUE_MISSING
    problem: str = ""
    codes: QualityCodes = NO_CODES


@dataclass(frozen=True, slots=True)
class _Said:
    """What a record says of its values: the letter of their quality, empty where it says none, and the codes beside."""

    letter: str
    codes: QualityCodes = NO_CODES


def register_of(cells: Sequence[str]) -> Register:
    """The register of a 200 record."""
    nmi, suffix = (cells[1:2] or [""])[0], (cells[4:5] or [""])[0].upper()
    if len(cells) < _REGISTER_CELLS:
        return Register(nmi, suffix, problem=f"belongs to a 200 record of {len(cells)} cells, not {_REGISTER_CELLS}")
    unit, minutes = cells[7], cells[8]
    if suffix[:1] not in {IMPORT, EXPORT}:
        problem = f"is of register {suffix or 'without a suffix'}; only import (E) and export (B) of energy are read"
    elif unit.lower() not in _KWH_EXPONENTS:
        problem = f"is in {unit or 'no unit'}; only Wh, kWh and MWh are read"
    elif minutes not in _INTERVAL_MINUTES:
        problem = f"has an interval length of {minutes or 'no'} minutes, which must be 5, 15 or 30"
    else:
        return Register(nmi, suffix, int(minutes), _KWH_EXPONENTS[unit.lower()])
    return Register(nmi, suffix, problem=problem)


def date_of(cell: str) -> date:
    """The day of a 300 record.

    Raises:
        RowRefused: it is none.
    """
    try:
        if _DATE.fullmatch(cell):
            return datetime.strptime(cell, "%Y%m%d").date()  # noqa: DTZ007 - a day of market time
    except ValueError:
        pass
    raise RowRefused(RefusalReason.MALFORMED_ROW, f"{cell!r} is no day of the form yyyymmdd")


def values_of(day: Sequence[str], events: Iterable[tuple[int, Sequence[str]]], register: Register) -> list[Value]:
    """The values of a 300 record with the 400 records after it, each of those with its line.

    Raises:
        RowRefused: the records are of another length or a quality is unreadable; then no value can be trusted.
    """
    count = register.interval_count
    if len(day) < count + 3:
        raise RowRefused(
            RefusalReason.MALFORMED_ROW,
            f"has {len(day)} cells; a day of {register.interval_minutes} minutes has {count} values and a quality",
        )
    of_day = _said(day[count + 2 :], f"cell {count + 3}")
    said = [of_day if of_day.letter != _VARIABLE else _Said("")] * count
    said_until = 0
    for line, event in events:
        first, last, of_some = _event(line, event, after=said_until, count=count)
        said[first - 1 : last] = [of_some] * (last - first + 1)
        said_until = last
    return [_value(cell, one, register) for cell, one in zip(day[2 : count + 2], said, strict=True)]


def _event(line: int, cells: Sequence[str], *, after: int, count: int) -> tuple[int, int, _Said]:
    bounds = [int(cell) if _WHOLE_NUMBER.fullmatch(cell) else 0 for cell in [*cells[1:3], "", ""][:2]]
    first, last = bounds
    if not after < first <= last <= count:
        raise RowRefused(
            RefusalReason.MALFORMED_ROW,
            f"has a 400 record at line {line} whose intervals {','.join(cells[1:3])} "
            f"are not within {after + 1} to {count}",
        )
    said = _said(cells[3:] or [""], f"the quality of its 400 record at line {line}")
    if said.letter == _VARIABLE:
        raise RowRefused(RefusalReason.MALFORMED_ROW, f"has a 400 record at line {line} of quality V, which says none")
    return first, last, said


def _said(cells: Sequence[str], place: str) -> _Said:
    """What a quality, with its method, and the reason code in the cell after it say."""
    found = _FLAG.fullmatch(cells[0].strip().upper())
    if not found:
        raise RowRefused(
            RefusalReason.MALFORMED_ROW, f"{place} is {cells[0]!r}, which is no quality (A, E, F, N, S or V)"
        )
    letter, method = found.groups()
    reason = (cells[1:2] or [""])[0].strip()
    codes = QualityCodes(int(method) if method else None, int(reason) if _REASON.fullmatch(reason) else None)
    return _Said(letter, codes)


def _value(cell: str, said: _Said, register: Register) -> Value:
    if said.letter == _NULL:
        return Value(None, problem="null (quality N)")
    if not said.letter:
        return Value(
            None, reason=RefusalReason.MALFORMED_ROW, problem="quality V, and no 400 record says the quality of these"
        )
    cell = cell.strip()
    if not cell:
        return Value(None, problem="no value")
    if not _NUMBER.fullmatch(cell):
        return Value(None, reason=RefusalReason.MALFORMED_ROW, problem=f"{cell!r} is no number")
    energy = Decimal(cell).scaleb(register.kwh_exponent)
    if not 0 <= energy <= _HIGHEST_KWH:
        return Value(None, reason=RefusalReason.OUT_OF_RANGE, problem=f"{energy} kWh is not 0 to {_HIGHEST_KWH}")
    return Value(energy, _QUALITIES[said.letter], codes=said.codes)
