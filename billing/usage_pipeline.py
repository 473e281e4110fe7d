"""Builds the pipelines by which the database itself turns readings at rest into usage; only documented operators."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from billing.schema import QUARTER_MS, Kind
from common.instants import datetime_from_ms

Pipeline = list[dict[str, Any]]
Bucket = Literal["minute", "quarter_hour", "hour", "local_day", "all"]
# What of a cold document is summed: its readings one by one, its quarter-hours, or the whole span at once.
Cells = Literal["readings", "quarters", "total"]

# Sums in which no reading took part are told from zero by the count beside them.
COUNT_SUFFIX = "_count"


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """The readings of a device that start in [start_ms, end_ms), to be summed by bucket; `all` is one bucket."""

    kind: Kind
    device_id: str
    start_ms: int
    end_ms: int
    bucket: Bucket
    time_zone: str = "UTC"
    cells: Cells = "readings"


def by_span_bounds(query: UsageQuery) -> Iterator[UsageQuery]:
    """The query in up to three parts: the spans cut by its start and by its end, and those that lie inside.

    The cut ones are summed reading by reading, the others by what is rolled up in them. No span is in two parts.
    """
    span_ms = query.kind.span_ms
    first_ms, last_ms = -(-query.start_ms // span_ms) * span_ms, query.end_ms // span_ms * span_ms
    if query.bucket == "minute" or first_ms >= last_ms:
        yield query
        return
    if query.start_ms < first_ms:
        yield replace(query, end_ms=first_ms)
    yield replace(query, start_ms=first_ms, end_ms=last_ms, cells="total" if query.bucket == "all" else "quarters")
    if last_ms < query.end_ms:
        yield replace(query, start_ms=last_ms)


def trimmed(query: UsageQuery, document: dict[str, Any]) -> dict[str, Any]:
    """An overlay document without what its query does not look at, for it travels with the query."""
    if query.cells == "readings":
        return document
    return {name: document[name] for name in ("_id", "device_id", "span_start", query.cells)}


def usage(query: UsageQuery) -> Pipeline:
    """Sums the documents of a query, in order of the bucket."""
    if query.cells == "total":
        return [{"$group": {"_id": _bucket(query.bucket, query.time_zone), **_sums(query.kind, "$total")}}]
    start, end = datetime_from_ms(query.start_ms), datetime_from_ms(query.end_ms)
    cells = _readings(query.kind) if query.cells == "readings" else "$quarters"
    return [
        {"$project": {"device_id": 1, "span_start": 1, "cells": cells}},
        {"$unwind": "$cells"},
        {"$addFields": {"start": {"$add": ["$span_start", "$cells.offset_ms"]}}},
        {"$match": {"start": {"$gte": start, "$lt": end}}},
        {"$group": {"_id": _bucket(query.bucket, query.time_zone), **_sums(query.kind, "$cells")}},
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
                "maximum_power_kw": power,
                "temperature_sum": {"$ifNull": [at(kind.temperature), 0.0]},
                "temperature_count": {"$cond": [{"$isNumber": at(kind.temperature)}, 1, 0]},
            },
        }
    }


def _bucket(bucket: Bucket, time_zone: str) -> Any:
    if bucket == "all":
        return None
    units: dict[str, dict[str, Any]] = {
        "minute": {"unit": "minute"},
        "quarter_hour": {"unit": "minute", "binSize": QUARTER_MS // 60_000},
        "hour": {"unit": "hour", "timezone": time_zone},
        "local_day": {"unit": "day", "timezone": time_zone},
    }
    return {"$dateTrunc": {"date": "$start", **units[bucket]}}


def _sums(kind: Kind, cell: str) -> dict[str, Any]:
    sums: dict[str, Any] = {
        name: {"$sum": f"{cell}.{name}"}
        for name in (
            "reading_count",
            "covered_ms",
            "power_kw_ms",
            "power_covered_ms",
            "temperature_sum",
            "temperature_count",
            *kind.summed,
        )
    }
    for name in kind.summed:
        sums[name + COUNT_SUFFIX] = {"$sum": {"$cond": [{"$isNumber": f"{cell}.{name}"}, 1, 0]}}
    sums["maximum_power_kw"] = {"$max": f"{cell}.maximum_power_kw"}
    sums["last_end"] = {"$max": {"$add": ["$span_start", f"{cell}.last_end_ms"]}}
    return sums
