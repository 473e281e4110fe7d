"""What is left of a UTC day of a device whose quarter-hours were let go: its sums by the local days of its site.

A day of UTC overlaps two local days, or three where one is very short: each has a cell, with its bounds. Local days,
months and longer times of that zone are sums of cells; whatever would cut one is refused, never guessed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from billing.cold.day import QUARTERS_A_DAY, sum_of_quarters
from billing.cold.usage_bucket import Bucket, bucket_of, clock_runs
from billing.cold.usage_pipeline import UsageQuery
from billing.cold.usage_sum import Usage
from billing.log.schema import DAY_MS, QUARTER_MS, Kind
from billing.usage.cell_usage import usage_of_cell
from billing.usage.day_usage import usage_of_days
from common.errors import NoReadings
from common.instants import datetime_to_ms
from common.local_time import local_day_of

# Floating-point sums depend on their order; all others must be met exactly.
_ROUNDED = ("power_kw_ms", "temperature_sum")
_TOLERANCE = 1e-9


def local_day_cells(kind: Kind, document: Mapping[str, Any], zone: ZoneInfo) -> list[dict[str, Any]]:
    """The sums of the document of a day by the local days of a zone, by time, those that have a reading."""
    day_start_ms = datetime_to_ms(document["span_start"])
    cells, begin_ms = [], day_start_ms
    while begin_ms < day_start_ms + DAY_MS:
        end_ms = min(local_day_of(begin_ms, zone).end_ms, day_start_ms + DAY_MS)
        offset_ms, end_offset_ms = begin_ms - day_start_ms, end_ms - day_start_ms
        quarters = _quarters(document, -(-offset_ms // QUARTER_MS), -(-end_offset_ms // QUARTER_MS))
        if quarters:
            bounds = {"offset_ms": offset_ms, "end_offset_ms": end_offset_ms}
            cells.append({**sum_of_quarters(kind, quarters), **bounds})
        begin_ms = end_ms
    return cells


def is_faithful(kind: Kind, document: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the total of the document of a day is what its quarter-hours come to, and its cells come to it too."""
    total = document["total"]
    if sum_of_quarters(kind, _quarters(document, 0, QUARTERS_A_DAY)) != total:
        return False
    summed = ("reading_count", "covered_ms", "power_covered_ms", "temperature_count", *kind.summed)
    is_exact = all(_sum(cells, name) == (total.get(name) or 0) for name in summed)
    is_met = all(abs(_sum(cells, name) - total[name]) <= _TOLERANCE * max(1.0, abs(total[name])) for name in _ROUNDED)
    return is_exact and is_met


def usage_of_documents(
    documents: Sequence[Mapping[str, Any]], quarters: tuple[int, int], query: UsageQuery
) -> Iterator[tuple[int | None, Usage]]:
    """Usage by bucket from the documents of a device's days, by time, whatever is left of each.

    Of quarter-hours those that start in `quarters`, epoch milliseconds; of cells all that the query overlaps.

    Raises:
        NoReadings: only sums are left of a time that a bucket, or the query, would cut.
    """
    zone = ZoneInfo(query.time_zone)
    whole = [document for document in documents if "local_days" not in document]
    if whole:
        yield from usage_of_days(query.kind, whole, quarters, query.bucket, zone)
    for document in documents:
        for cell in document.get("local_days", ()):
            yield from _usage_of_cell(document, cell, query, zone)


def _usage_of_cell(
    document: Mapping[str, Any], cell: Mapping[str, Any], query: UsageQuery, zone: ZoneInfo
) -> Iterator[tuple[int | None, Usage]]:
    span_start: datetime = document["span_start"]
    day_start_ms = datetime_to_ms(span_start)
    begin_ms, end_ms = day_start_ms + cell["offset_ms"], day_start_ms + cell["end_offset_ms"]
    if end_ms <= query.start_ms or begin_ms >= query.end_ms:
        return
    # A query may be a piece of a longer one, that ends where a day of UTC does.
    starts = {_bucket_start_ms(at_ms, query.bucket, zone) for at_ms in (begin_ms, end_ms - 1)}
    if begin_ms < query.start_ms or end_ms > query.end_ms or len(starts) > 1:
        zone_name = document["time_zone"]
        trouble = f"has had quarter-hours of the period removed: only sums of local days of {zone_name} are left"
        raise NoReadings(query.device_id, trouble)
    yield starts.pop(), usage_of_cell(query.kind, cell, day_start_ms, begin_ms)


def _bucket_start_ms(at_ms: int, bucket: Bucket, zone: ZoneInfo) -> int | None:
    if bucket == "all":
        return None
    return bucket_of(at_ms, bucket, list(clock_runs(at_ms, at_ms + 1, bucket, zone)), zone)


def _quarters(document: Mapping[str, Any], first: int, end: int) -> list[dict[str, Any]]:
    columns: Mapping[str, Sequence[Any]] = document["columns"]
    return [
        {name: column[place] for name, column in columns.items()}
        for place in range(first, end)
        if columns["reading_count"][place]
    ]


def _sum(cells: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum(cell.get(name) or 0 for cell in cells)
