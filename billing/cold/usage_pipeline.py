"""Builds the pipelines by which the database itself turns readings at rest into usage; only documented operators."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from billing.cold.usage_bucket import Bucket, length_ms
from billing.log.reading_quality import QUALITY_COUNTS
from billing.log.schema import QUARTER_MS, Kind
from common.instants import datetime_from_ms

Pipeline = list[dict[str, Any]]
# What of a cold document is summed: its readings one by one, its quarter-hours, or the whole span at once.
Cells = Literal["readings", "quarters", "total"]

# Sums in which no reading took part are told from zero by the count beside them.
COUNT_SUFFIX = "_count"

# Where a cell keeps its powers; in a cell of one reading all four are one, looked up once.
_POWERS = {name: f"{name}_power_kw" for name in ("minimum", "maximum", "first", "last")}
_ONE_POWER = dict.fromkeys(_POWERS, "power_kw")


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """The readings of a device that start in [start_ms, end_ms), to be summed by bucket; `all` is one bucket.

    Without `from_days` the roll-ups of days are left out, for they do not tell when readings were recorded.
    A pipeline groups by a clock that is `ahead_ms` of UTC throughout; see `usage_bucket` for clocks that change.
    """

    kind: Kind
    device_id: str
    start_ms: int
    end_ms: int
    bucket: Bucket
    time_zone: str = "UTC"
    cells: Cells = "readings"
    ahead_ms: int = 0
    from_days: bool = True


def by_cells(query: UsageQuery) -> Iterator[UsageQuery]:
    """The query in parts by what they are summed from: the largest cells that lie whole in its window.

    Where the window cuts a quarter-hour it is summed reading by reading, the rest by quarter-hours or whole spans. No
    reading is in two parts.
    """
    first_ms, last_ms = _inside(query, QUARTER_MS)
    if query.bucket == "minute" or first_ms >= last_ms:
        yield query
        return
    if query.start_ms < first_ms:
        yield replace(query, end_ms=first_ms)
    yield from _by_spans(replace(query, start_ms=first_ms, end_ms=last_ms, cells="quarters"))
    if last_ms < query.end_ms:
        yield replace(query, start_ms=last_ms)


def _by_spans(query: UsageQuery) -> Iterator[UsageQuery]:
    first_ms, last_ms = _inside(query, query.kind.span_ms)
    if query.bucket != "all" or first_ms >= last_ms:
        yield query
        return
    if query.start_ms < first_ms:
        yield replace(query, end_ms=first_ms)
    yield replace(query, start_ms=first_ms, end_ms=last_ms, cells="total")
    if last_ms < query.end_ms:
        yield replace(query, start_ms=last_ms)


def _inside(query: UsageQuery, length_ms: int) -> tuple[int, int]:
    return -(-query.start_ms // length_ms) * length_ms, query.end_ms // length_ms * length_ms


def trimmed(query: UsageQuery, document: dict[str, Any]) -> dict[str, Any]:
    """An overlay document without what its query does not look at, for it travels with the query."""
    if query.cells == "readings":
        return document
    return {name: document[name] for name in ("_id", "device_id", "span_start", query.cells)}


def usage(query: UsageQuery) -> Pipeline:
    """Sums the documents of a query, in order of the bucket."""
    if query.cells == "total":
        return [{"$group": {"_id": _group(query), **_sums(query.kind, "$total", "$span_start", _POWERS)}}]
    start, end = datetime_from_ms(query.start_ms), datetime_from_ms(query.end_ms)
    is_by_reading = query.cells == "readings"
    cells = _readings(query.kind) if is_by_reading else "$quarters"
    powers = _ONE_POWER if is_by_reading else _POWERS
    return [
        {"$project": {"device_id": 1, "span_start": 1, "cells": cells}},
        {"$unwind": "$cells"},
        {"$addFields": {"start": {"$add": ["$span_start", "$cells.offset_ms"]}}},
        {"$match": {"start": {"$gte": start, "$lt": end}}},
        {"$group": {"_id": _group(query), **_sums(query.kind, "$cells", "$start", powers)}},
        {"$sort": {"_id": 1}},
    ]


def _readings(kind: Kind) -> dict[str, Any]:
    def at(column: str) -> dict[str, Any]:
        return {"$arrayElemAt": [f"${column}", "$$place"]}

    power, interval_ms = at(kind.power), at("interval_ms")
    has_power = {"$isNumber": power}
    return {
        "$map": {
            "input": {"$range": [0, {"$size": "$offset_ms"}]},
            "as": "place",
            "in": {
                "offset_ms": at("offset_ms"),
                "reading_count": 1,
                "covered_ms": interval_ms,
                "last_end_ms": {"$add": [at("offset_ms"), interval_ms]},
                **{name: at(name) for name in kind.summed},
                "power_kw_ms": {"$cond": [has_power, {"$multiply": [power, interval_ms]}, 0.0]},
                "power_covered_ms": {"$cond": [has_power, interval_ms, 0]},
                "power_kw": power,
                "temperature_sum": {"$ifNull": [at(kind.temperature), 0.0]},
                "temperature_count": {"$cond": [{"$isNumber": at(kind.temperature)}, 1, 0]},
                **{
                    name: {"$cond": [{"$in": [at("quality"), sorted(counted)]}, 1, 0]}
                    for name, counted in QUALITY_COUNTS.items()
                },
            },
        }
    }


def _group(query: UsageQuery) -> Any:
    if query.bucket == "all":
        return None
    local_ms = {"$add": [{"$toLong": "$start"}, query.ahead_ms]}
    return {"$subtract": ["$start", {"$mod": [local_ms, length_ms(query.bucket)]}]}


def _sums(kind: Kind, cell: str, cell_start: str, powers: Mapping[str, str]) -> dict[str, Any]:
    sums: dict[str, Any] = {
        name: {"$sum": f"{cell}.{name}"}
        for name in (
            "reading_count",
            "covered_ms",
            "power_kw_ms",
            "power_covered_ms",
            "temperature_sum",
            "temperature_count",
            *QUALITY_COUNTS,
            *kind.summed,
        )
    }
    for name in kind.summed:
        sums[name + COUNT_SUFFIX] = {"$sum": {"$cond": [{"$isNumber": f"{cell}.{name}"}, 1, 0]}}
    sums["minimum_power_kw"] = {"$min": f"{cell}.{powers['minimum']}"}
    sums["maximum_power_kw"] = {"$max": f"{cell}.{powers['maximum']}"}
    sums["first_power"] = {"$min": _timed(f"{cell}.{powers['first']}", cell_start)}
    sums["last_power"] = {"$max": _timed(f"{cell}.{powers['last']}", cell_start)}
    sums["last_end"] = {"$max": {"$add": ["$span_start", f"{cell}.last_end_ms"]}}
    return sums


def _timed(power: str, cell_start: str) -> dict[str, Any]:
    # Documents are compared field by field: the time is to be the first. Cells that carry no power take no part.
    return {"$cond": [{"$isNumber": power}, {"cell_start": cell_start, "power_kw": power}, None]}
