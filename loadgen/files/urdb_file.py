"""Reads a rate of the US Utility Rate Database: JSON in either spelling, every number exact, every place named.

Sources: the database's field list (OpenEI, "Utility Rate Database" API, version 8) and published dumps of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from loadgen.files.file_readings import FileError, MalformedFile

_MONTHS, _HOURS = 12, 24
# What dumps say instead of leaving the bound of the last tier out.
_NO_BOUND = Decimal("1e30")
# The spelling of bulk dumps, in small letters, beside that of the API.
_OTHER_SPELLINGS = {
    "energyratestrux": "energyratestructure",
    "energyweekdaysched": "energyweekdayschedule",
    "energyweekendsched": "energyweekendschedule",
    "demandratestrux": "demandratestructure",
    "demandweekdaysched": "demandweekdayschedule",
    "demandweekendsched": "demandweekendschedule",
    "flatdemandstrux": "flatdemandstructure",
    "ratename": "name",
    "utilityname": "utility",
    "effectivedate": "startdate",
}


@dataclass(frozen=True, slots=True)
class UrdbTier:
    """A price of one unit up to and including a cumulative amount; None is without end."""

    rate: Decimal
    up_to: Decimal | None
    unit: str
    sell: Decimal | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which period each hour belongs to: of weekdays and of weekends, twelve months of 24 hours each."""

    weekday: Sequence[Sequence[int]]
    weekend: Sequence[Sequence[int]]


class UrdbRate:
    """One rate of a file; whatever is read of it says where it stands if it is wrong."""

    def __init__(self, path: Path, fields: Mapping[str, Any]) -> None:
        self._path = path
        self._fields = fields

    def has(self, name: str) -> bool:
        """Whether a field is there and not empty."""
        return self._fields.get(name) not in (None, "", [])

    def text(self, name: str) -> str:
        """The text of a field; empty without it."""
        return str(self._fields.get(name) or "")

    def labels(self, name: str) -> list[str]:
        """The texts of a list, none without it."""
        values = self._fields.get(name)
        return [str(value) for value in values] if isinstance(values, list) else []

    def number(self, name: str) -> Decimal | None:
        """The number of a field; None without it."""
        return self._number(self._fields[name], name) if self.has(name) else None

    def numbers(self, name: str) -> list[Decimal]:
        """The numbers of a list, none without it."""
        if not self.has(name):
            return []
        return [self._number(value, f"{name}[{index}]") for index, value in enumerate(self._list(name))]

    def switches(self, name: str, length: int) -> list[bool]:
        """The yes or no of each entry of a list, also as 1 and 0; none without it."""
        if not self.has(name):
            return []
        values = self._list(name)
        if len(values) != length:
            raise self.wrong(name, f"has {len(values)} entries, must have {length}")
        for index, value in enumerate(values):
            if value not in (0, 1):
                raise self.wrong(f"{name}[{index}]", f"is {value!r}, must be true or false")
        return [bool(value) for value in values]

    def periods(self, name: str) -> list[list[UrdbTier]]:
        """The tiers of each period of a structure, none without it."""
        if not self.has(name):
            return []
        return [self._tiers(period, f"{name}[{index}]") for index, period in enumerate(self._list(name))]

    def schedule(self, kind: str, period_count: int) -> Schedule:
        """The schedules of `energy` or `demand`, each hour one of so many periods."""
        return Schedule(
            self._hours(f"{kind}weekdayschedule", period_count), self._hours(f"{kind}weekendschedule", period_count)
        )

    def wrong(self, place: str, what: str) -> MalformedFile:
        """What is to be raised when something at a place cannot be taken."""
        return MalformedFile(f"{self._path}: {place} {what}")

    def months(self, name: str, period_count: int) -> list[int]:
        """Which period each of twelve months belongs to."""
        return self._indexes(self._fields.get(name), name, _MONTHS, period_count)

    def _hours(self, name: str, period_count: int) -> list[list[int]]:
        rows = self._fields.get(name)
        if not isinstance(rows, list) or len(rows) != _MONTHS:
            found = f"has {len(rows)} months" if isinstance(rows, list) else "is missing"
            raise self.wrong(name, f"{found}, must have {_MONTHS}")
        return [self._indexes(row, f"{name}[{month}]", _HOURS, period_count) for month, row in enumerate(rows)]

    def _indexes(self, values: Any, place: str, length: int, period_count: int) -> list[int]:
        if not isinstance(values, list) or len(values) != length:
            found = f"has {len(values)} entries" if isinstance(values, list) else "is missing"
            raise self.wrong(place, f"{found}, must have {length}")
        for index, value in enumerate(values):
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < period_count:
                raise self.wrong(f"{place}[{index}]", f"is {value!r}, must be a period from 0 to {period_count - 1}")
        return list(values)

    def _tiers(self, period: Any, place: str) -> list[UrdbTier]:
        if isinstance(period, Mapping):
            # Nested dumps: {"energyRateTiers": [...]}.
            inner = [value for key, value in period.items() if key.lower().endswith("tiers")]
            period = inner[0] if len(inner) == 1 else None
        if not isinstance(period, list) or not period:
            raise self.wrong(place, "must be a list of tiers")
        return [self._tier(tier, f"{place}[{index}]") for index, tier in enumerate(period)]

    def _tier(self, tier: Any, place: str) -> UrdbTier:
        if not isinstance(tier, Mapping):
            raise self.wrong(place, "must be a tier with a rate")
        fields = {key.lower(): value for key, value in tier.items()}
        if fields.get("rate") is None and fields.get("adj") is None:
            raise self.wrong(place, "has no rate")
        rate = self._number(fields.get("rate") or 0, f"{place}.rate")
        bound = None if fields.get("max") is None else self._number(fields["max"], f"{place}.max")
        return UrdbTier(
            rate=rate + self._number(fields.get("adj") or 0, f"{place}.adj"),
            up_to=None if bound is None or bound >= _NO_BOUND else bound,
            unit=str(fields.get("unit") or ""),
            sell=None if fields.get("sell") is None else self._number(fields["sell"], f"{place}.sell"),
        )

    def _list(self, name: str) -> list[Any]:
        value = self._fields[name]
        if not isinstance(value, list):
            raise self.wrong(name, "must be a list")
        return value

    def _number(self, value: Any, place: str) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise self.wrong(place, f"is {value!r}, must be a number")
        return Decimal(value)


def read_urdb(path: Path, label: str | None = None) -> UrdbRate:
    """The rate of a file, or the one of several that has a label.

    Raises:
        MalformedFile: it is no JSON, an error reply of the database, or holds no rate or several.
        FileError: it cannot be opened.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal, parse_constant=_no_constant)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or 'cannot be read'}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedFile(f"{path}: is no JSON: {error}") from error
    if isinstance(content, Mapping) and "error" in content:
        reply = content["error"]
        told = reply.get("message") or reply.get("code") if isinstance(reply, Mapping) else reply
        raise MalformedFile(f"{path}: is an error reply of the rate database: {told}")
    found = content.get("items", [content]) if isinstance(content, Mapping) else content
    if not isinstance(found, list) or not all(isinstance(rate, Mapping) for rate in found):
        raise MalformedFile(f"{path}: holds no rate")
    rates = [_in_one_spelling(rate) for rate in found]
    chosen = [rate for rate in rates if label is None or rate.get("label") == label]
    if len(chosen) != 1:
        labels = ", ".join(str(rate.get("label")) for rate in rates) or "none"
        raise MalformedFile(f"{path}: name one of its rates by its label: {labels}")
    return UrdbRate(path, chosen[0])


def _in_one_spelling(rate: Mapping[str, Any]) -> dict[str, Any]:
    small = {key.lower(): value for key, value in rate.items()}
    other = {_OTHER_SPELLINGS[key]: value for key, value in small.items() if key in _OTHER_SPELLINGS}
    # Where a dump has both, that of the API counts.
    return other | {key: value for key, value in small.items() if value is not None}


def _no_constant(name: str) -> Decimal:
    raise ValueError(f"{name} is no number")
