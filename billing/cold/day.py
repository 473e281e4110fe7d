"""The roll-up of a device's UTC day: its quarter-hours as columns, for questions over weeks and months.

Days are those of UTC, whatever the zone of the site: an hour lies in one of them only, so they say without a zone which
hours they were made of, and every local hour, day and month is a run of quarter-hours of a few of them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from billing.log.observation import SpanKey
from billing.log.reading_quality import QUALITY_COUNTS
from billing.log.schema import DAY_MS, QUARTER_MS, Kind

QUARTERS_A_DAY = DAY_MS // QUARTER_MS

# A day counts as ended this long after its end, for the fold: whoever folds into it from then on tells its document.
_ENDED_MS = 30 * 60_000
# Its document is made this long after its end. The hour between is for clocks that differ and writes that hang.
_READY_MS = 90 * 60_000


def day_of(instant_ms: int) -> int:
    """Start of the UTC day of an instant, epoch milliseconds."""
    return instant_ms - instant_ms % DAY_MS


def has_ended(span_start_ms: int, now_ms: int) -> bool:
    """True when the day of a span is over, so that a document may have been made of it."""
    return now_ms >= day_of(span_start_ms) + DAY_MS + _ENDED_MS


def newest_ready_day(now_ms: int) -> int:
    """Start of the newest day that may be rolled up, epoch milliseconds."""
    return day_of(now_ms - _READY_MS) - DAY_MS


def hour_name(span_start_ms: int) -> str:
    """What an hour is called within its day: `h00` to `h23`."""
    return f"h{span_start_ms % DAY_MS // 3_600_000:02}"


def document_id(device_id: str, day_start_ms: int) -> str:
    """Identity of the document in its collection."""
    return f"{device_id}@{day_start_ms}"


def day_columns(kind: Kind, spans: Mapping[SpanKey, Iterable[Mapping[str, Any]]]) -> dict[str, Any]:
    """The sums of a day from the quarter-hours of its spans: `columns` of 96 places each, and their `total`.

    A place without a reading has `reading_count` 0 and None elsewhere. Columns in which nothing is carried are left
    out. `last_end_ms` counts from the start of the day.
    """
    cells: list[Mapping[str, Any]] = [{} for _ in range(QUARTERS_A_DAY)]
    for key, quarters in spans.items():
        span_offset_ms = key.span_start_ms % DAY_MS
        for quarter in quarters:
            moved = {name: value for name, value in quarter.items() if name != "offset_ms"}
            moved["last_end_ms"] += span_offset_ms
            cells[(span_offset_ms + quarter["offset_ms"]) // QUARTER_MS] = moved
    carried = [cell for cell in cells if cell]
    names = dict.fromkeys(name for cell in carried for name, value in cell.items() if value is not None)
    columns: dict[str, list[Any]] = {name: [cell.get(name) for cell in cells] for name in names}
    columns["reading_count"] = [cell.get("reading_count", 0) for cell in cells]
    return {"columns": columns, "total": sum_of_quarters(kind, carried)}


def sum_of_quarters(kind: Kind, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What `quarter.cell` is of a longer part of the day, from the quarters that carry something, in order."""

    def present(name: str) -> list[Any]:
        return [cell[name] for cell in cells if cell.get(name) is not None]

    powers = {name: present(name + "_power_kw") for name in ("minimum", "maximum", "first", "last")}
    return {
        "offset_ms": 0,
        "reading_count": sum(present("reading_count")),
        "covered_ms": sum(present("covered_ms")),
        "last_end_ms": max(present("last_end_ms"), default=0),
        **{name: sum(energies) if (energies := present(name)) else None for name in kind.summed},
        "power_kw_ms": math.fsum(present("power_kw_ms")),
        "power_covered_ms": sum(present("power_covered_ms")),
        "minimum_power_kw": min(powers["minimum"], default=None),
        "maximum_power_kw": max(powers["maximum"], default=None),
        "first_power_kw": powers["first"][0] if powers["first"] else None,
        "last_power_kw": powers["last"][-1] if powers["last"] else None,
        "temperature_sum": math.fsum(present("temperature_sum")),
        "temperature_count": sum(present("temperature_count")),
        **{name: sum(counts) for name in QUALITY_COUNTS if (counts := present(name))},
    }
