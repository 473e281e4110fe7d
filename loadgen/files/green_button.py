"""Readings of Green Button files: ESPI interval readings in an Atom feed, energy by the interval, start in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from xml.etree.ElementTree import Element

from loadgen.files.file_readings import (
    FileError,
    FileFormat,
    FileReading,
    FileReadings,
    RefusalReason,
    RowRefused,
    SourceQuality,
    TimeZoneRequired,
    UsagePointRequired,
    joined_quality,
)
from loadgen.files.green_button_feed import Feed, TiedBlock, read_feed
from loadgen.files.green_button_money import amount_of, currency_of, stated_bills
from loadgen.files.safe_xml import child, child_text, local_name
from loadgen.files.time_zone import checked_zone

# Codes of ESPI: service kind electricity, commodity electricity (primary or secondary metered), unit watt-hour,
# energy of the interval alone, and the direction seen from the utility: delivered to the customer, received from it.
_ELECTRICITY_KIND = "0"
_ELECTRICITY_COMMODITIES = (None, "0", "1", "2")
_WATT_HOUR = "72"
_DELTA = (None, "4")
_DELIVERED, _RECEIVED = (None, "1"), ("19",)

_WHOLE_NUMBER = re.compile(r"-?\d{1,15}")
_MULTIPLIER = re.compile(r"-?\d{1,2}")
_WATT_HOURS_PER_KWH_EXPONENT = 3
_LONGEST_SECONDS = 31 * 86_400
_LATEST_SECONDS = 253_402_300_799  # the end of year 9999
_HIGHEST_KWH = 1_000_000


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    reading: FileReading


# What is said of a value that nobody measured; validated, raw and other codes are of measured ones.
_QUALITIES = {
    "7": SourceQuality.EDITED,
    "8": SourceQuality.REFERENCE_DAYS,
    "9": SourceQuality.INTERPOLATED,
    "11": SourceQuality.DERIVED,
    "12": SourceQuality.ESTIMATED,  # projected
    "13": SourceQuality.MIXED,
    "16": SourceQuality.SUBSTITUTED,  # other: neither measured nor any of these
}


def read_green_button(path: Path, time_zone: str | None, usage_point: str | None = None) -> FileReadings:
    """The file's readings by start: import and export of the same interval are one reading.

    A file of gas or of another unit gives refusals, no readings. `usage_point` is the self link of one of several.

    Raises:
        TimeZoneRequired: no time zone is given and the file does not plainly name one.
        UsagePointRequired: there are several usage points of electricity in the file, and none is named.
        FileError: the given zone is none, or nothing is there of the usage point.
        MalformedFile: the file is not well-formed, no feed, or without types.
    """
    feed = read_feed(path)
    zone, remarks = _zone(feed, time_zone)
    result = FileReadings(FileFormat.GREEN_BUTTON, zone, remarks=remarks)
    blocks = _of_usage_point(path, list(feed.blocks()), usage_point)
    rows: list[_Row] = []
    for block in blocks:
        refusal = _unsupported(block)
        for element in block.element:
            if local_name(element) != "IntervalReading":
                continue
            result.rows_in += 1
            if refusal:
                result.refuse(result.rows_in, RefusalReason.UNSUPPORTED_KIND, refusal)
                continue
            try:
                rows.append(_Row(result.rows_in, _reading(element, block)))
            except RowRefused as refused:
                result.refuse(result.rows_in, refused.reason, refused.text)
                continue
            _note_cost(element, block, rows[-1], result)
    result.stated.bills += stated_bills(feed, usage_point)
    readings = list(_merged(rows, result))
    result.refused.sort(key=lambda each: each.row)
    result.readings = iter(readings)
    return result


def _zone(feed: Feed, given: str | None) -> tuple[str, list[str]]:
    if given is not None:
        zone = checked_zone(given, feed.path).key
        return zone, [f"time zone {zone}, as given"]
    local_times = feed.local_times()
    said = " and ".join(map(str, local_times)) or "nothing about local time"
    named = {each.zone_name() for each in local_times}
    if len(named) != 1 or None in named:
        raise TimeZoneRequired(f"{feed.path}: says {said}, which names no time zone plainly; give one")
    remarks = [f"time zone {local_times[0].zone_name()}, from the file: {said}"]
    if local_times[0].offset_seconds == 0 and local_times[0].has_us_rules:
        remarks.append("no place keeps UTC and American daylight saving: its starts may be local hours stamped as UTC")
    return str(named.pop()), remarks


def _of_usage_point(path: Path, blocks: list[TiedBlock], usage_point: str | None) -> list[TiedBlock]:
    points = {each.usage_point.name for each in blocks if each.usage_point and not _unsupported(each)}
    if usage_point is not None:
        if usage_point not in points:
            named = ", ".join(sorted(points)) or "none"
            raise FileError(f"{path}: has no energy of usage point {usage_point}, but of {named}")
        return [each for each in blocks if each.usage_point and each.usage_point.name == usage_point]
    if len(points) > 1:
        raise UsagePointRequired(path, "usage points", points)
    return blocks


def _unsupported(block: TiedBlock) -> str | None:
    """Why no reading can be made of this block, or None."""
    kind = block.reading_type.element
    if block.usage_point:
        service = child(block.usage_point.element, "ServiceCategory")
        code = None if service is None else child_text(service, "kind")
        if code not in (None, _ELECTRICITY_KIND):
            return f"belongs to a usage point of service kind {code}; only electricity (0) is read"
    for name, supported, meaning in (
        ("commodity", _ELECTRICITY_COMMODITIES, "electricity (1)"),
        ("uom", (_WATT_HOUR,), "watt-hours (72)"),
        ("accumulationBehaviour", _DELTA, "energy of the interval (4)"),
        ("flowDirection", _DELIVERED + _RECEIVED, "delivered (1) and received (19)"),
    ):
        code = child_text(kind, name)
        if code not in supported:
            return f"has {name} {code or 'missing'}; only {meaning} is read"
    if not _MULTIPLIER.fullmatch(child_text(kind, "powerOfTenMultiplier") or "0"):
        return "has a powerOfTenMultiplier that is no small whole number"
    return None


def _reading(element: Element, block: TiedBlock) -> FileReading:
    kind = block.reading_type.element
    period = child(element, "timePeriod")
    if period is None:
        raise RowRefused(RefusalReason.MALFORMED_ROW, "has no timePeriod")
    start = _whole(child_text(period, "start"), "start", lowest=0, highest=_LATEST_SECONDS)
    length = child_text(period, "duration") or child_text(kind, "intervalLength")
    duration = _whole(length, "duration", lowest=1, highest=_LONGEST_SECONDS)
    value = child_text(element, "value")
    if value is None:
        raise RowRefused(RefusalReason.VALUE_MISSING, "has no value")
    number = _whole(value, "value", lowest=0, highest=None)
    exponent = int(child_text(kind, "powerOfTenMultiplier") or "0") - _WATT_HOURS_PER_KWH_EXPONENT
    energy = Decimal(number).scaleb(exponent)
    if energy > _HIGHEST_KWH:
        raise RowRefused(RefusalReason.OUT_OF_RANGE, f"energy {energy} kWh is more than {_HIGHEST_KWH}")
    received = child_text(kind, "flowDirection") in _RECEIVED
    reading = FileReading(start_ms=start * 1000, interval_ms=duration * 1000, quality=_quality(element, kind))
    return replace(reading, export_kwh=energy) if received else replace(reading, import_kwh=energy)


def _note_cost(element: Element, block: TiedBlock, row: _Row, result: FileReadings) -> None:
    text = child_text(element, "cost")
    if text is None:
        return
    cost = amount_of(text)
    if cost is None:
        result.remarks.append(f"row {row.number}: cost {text[:40]!r} is no whole number and is left out")
        return
    result.stated.costs.append((row.reading.start_ms, cost))
    code = currency_of(child_text(block.reading_type.element, "currency"))
    result.stated.cost_currency_code = result.stated.cost_currency_code or code


def _quality(element: Element, kind: Element) -> SourceQuality:
    codes = [child_text(each, "quality") for each in element if local_name(each) == "ReadingQuality"]
    quality = SourceQuality.MEASURED
    for code in codes or [child_text(kind, "defaultQuality")]:
        quality = joined_quality(quality, _QUALITIES.get(code or "", SourceQuality.MEASURED))
    return quality


def _whole(text: str | None, name: str, *, lowest: int, highest: int | None) -> int:
    if text is None or not _WHOLE_NUMBER.fullmatch(text):
        raise RowRefused(RefusalReason.MALFORMED_ROW, f"{name} {text!r} is no whole number")
    number = int(text)
    if number < lowest or (highest is not None and number > highest):
        raise RowRefused(RefusalReason.OUT_OF_RANGE, f"{name} {number} is not {lowest} to {highest or 'any'}")
    return number


def _merged(rows: list[_Row], result: FileReadings) -> Iterator[FileReading]:
    """Readings by start, both directions of an interval in one; what overlaps an earlier row is refused."""
    merged: dict[int, FileReading] = {}
    for received in (False, True):
        end_ms = None
        for row in sorted(rows, key=lambda each: (each.reading.start_ms, each.number)):
            reading = row.reading
            if (reading.export_kwh is not None) is not received:
                continue
            other = merged.get(reading.start_ms)
            overlaps = end_ms is not None and reading.start_ms < end_ms
            if overlaps or (other and other.interval_ms != reading.interval_ms):
                result.refuse(row.number, RefusalReason.OVERLAP, "overlaps another interval of the file")
                continue
            end_ms = reading.start_ms + reading.interval_ms
            if other:
                quality = joined_quality(other.quality, reading.quality)
                reading = replace(other, export_kwh=reading.export_kwh, quality=quality)
            merged[reading.start_ms] = reading
    yield from (merged[start_ms] for start_ms in sorted(merged))
