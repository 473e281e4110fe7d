"""Usage over short windows: the quarter-hours of cold documents, added up here where their pipeline would cost more."""

from collections.abc import Iterator, Mapping
from typing import Any

from billing.cold.quarter import cell
from billing.cold.span_document import from_document
from billing.cold.usage_sum import TimedPower, Usage
from billing.log.reading_quality import QUALITY_COUNTS
from billing.log.schema import HOUR_MS, QUARTER_MS, Kind
from common.instants import datetime_to_ms


def is_within_an_hour(start_ms: int, end_ms: int) -> bool:
    """Whether a window, UTC milliseconds, is whole quarter-hours and at most an hour."""
    return not start_ms % QUARTER_MS and not end_ms % QUARTER_MS and start_ms < end_ms <= start_ms + HOUR_MS


def usages_inside(kind: Kind, document: Mapping[str, Any], start_ms: int, end_ms: int) -> Iterator[tuple[int, Usage]]:
    """Start, epoch milliseconds, and usage of each quarter-hour of a cold document as far as it lies in a window.

    Of quarter-hours that the window cuts the readings are added up, so a document needs its readings only there.
    """
    first_ms, last_ms = -(-start_ms // QUARTER_MS) * QUARTER_MS, end_ms // QUARTER_MS * QUARTER_MS
    if start_ms < first_ms:
        yield from _readings_inside(kind, document, start_ms, min(first_ms, end_ms))
    yield from quarters_inside(kind, document, first_ms, last_ms)
    if first_ms <= last_ms < end_ms:
        yield from _readings_inside(kind, document, last_ms, end_ms)


def quarters_inside(kind: Kind, document: Mapping[str, Any], start_ms: int, end_ms: int) -> Iterator[tuple[int, Usage]]:
    """Start and usage of each quarter-hour of a cold document that starts in a window."""
    span_start_ms = datetime_to_ms(document["span_start"])
    for cells in document["quarters"]:
        at_ms = span_start_ms + cells["offset_ms"]
        if start_ms <= at_ms < end_ms:
            yield at_ms, usage_of_cell(kind, cells, span_start_ms, at_ms)


def _readings_inside(
    kind: Kind, document: Mapping[str, Any], start_ms: int, end_ms: int
) -> Iterator[tuple[int, Usage]]:
    """Start of the quarter-hour that a window lies in, and usage of the readings that start in the window."""
    span_start_ms = datetime_to_ms(document["span_start"])
    if end_ms <= span_start_ms or span_start_ms + kind.span_ms <= start_ms:
        return
    _, span = from_document(kind, document)
    inside = [one for one in span.in_order() if start_ms <= span_start_ms + one.offset_ms < end_ms]
    if inside:
        at_ms = start_ms // QUARTER_MS * QUARTER_MS
        yield at_ms, usage_of_cell(kind, cell(kind, at_ms - span_start_ms, inside), span_start_ms, at_ms)


def usage_of_cell(kind: Kind, cells: Mapping[str, Any], span_start_ms: int, at_ms: int) -> Usage:
    """The usage in a cell of a document that begins at `span_start_ms`; its powers are told as of `at_ms`."""
    return Usage(
        reading_count=cells["reading_count"],
        covered_ms=cells["covered_ms"],
        energies={name: int(cells[name]) for name in kind.summed if cells[name] is not None},
        power_kw_ms=cells["power_kw_ms"],
        power_covered_ms=cells["power_covered_ms"],
        minimum_power_kw=cells["minimum_power_kw"],
        maximum_power_kw=cells["maximum_power_kw"],
        first_power=_timed(at_ms, cells["first_power_kw"]),
        last_power=_timed(at_ms, cells["last_power_kw"]),
        temperature_sum=cells["temperature_sum"],
        temperature_count=cells["temperature_count"],
        last_end_ms=span_start_ms + cells["last_end_ms"],
        **{name: cells.get(name, 0) for name in QUALITY_COUNTS},
    )


def _timed(at_ms: int, power_kw: float | None) -> TimedPower | None:
    return None if power_kw is None else TimedPower(at_ms, power_kw)
