"""Builds the pipelines by which the database itself turns readings at rest into usage; only documented operators."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from billing.observation import SpanKey
from billing.schema import QUARTER_MS, Kind
from common.instants import datetime_from_ms

Pipeline = list[dict[str, Any]]
Bucket = Literal["minute", "quarter_hour", "hour", "local_day", "device"]

# Sums in which no reading took part are told from zero by the count beside them.
COUNT_SUFFIX = "_count"


def source(history: str, match: dict[str, Any], overlay: Sequence[dict[str, Any]]) -> Pipeline:
    """The documents to sum: those of the collection, with `overlay` in place of the ones it repeats.

    With an overlay the pipeline runs on the database, without one on the collection.
    """
    if not overlay:
        return [{"$match": match}]
    replaced = [document["_id"] for document in overlay]
    rest = {"$match": {**match, "_id": {"$nin": replaced}}}
    return [{"$documents": list(overlay)}, {"$unionWith": {"coll": history, "pipeline": [rest]}}]


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """The readings of some devices of one kind that start in [start_ms, end_ms), to be summed by bucket."""

    kind: Kind
    device_ids: Sequence[str]
    start_ms: int
    end_ms: int
    bucket: Bucket
    time_zone: str = "UTC"


def usage(query: UsageQuery) -> Pipeline:
    """Sums the readings of a query, in order of the bucket.

    Spans that lie inside are summed by their quarters; the others, and everything by the minute, reading by reading.
    """
    start, end = datetime_from_ms(query.start_ms), datetime_from_ms(query.end_ms)
    return [
        {"$project": {"device_id": 1, "span_start": 1, "cells": _cells(query.kind, start, end, query.bucket)}},
        {"$unwind": "$cells"},
        {"$addFields": {"start": {"$add": ["$span_start", "$cells.offset_ms"]}}},
        {"$match": {"start": {"$gte": start, "$lt": end}}},
        {"$group": {"_id": _bucket(query.bucket, query.time_zone), **_sums(query.kind)}},
        {"$sort": {"_id": 1}},
    ]


def trimmed(query: UsageQuery, key: SpanKey, document: dict[str, Any]) -> dict[str, Any]:
    """An overlay document without the columns that its query does not look at: it travels with the query."""
    if query.bucket == "minute" or not query.start_ms <= key.span_start_ms <= query.end_ms - query.kind.span_ms:
        return document
    return {name: document[name] for name in ("_id", "device_id", "span_start", "quarters")}


def _cells(kind: Kind, start: Any, end: Any, bucket: Bucket) -> Any:
    readings = _readings(kind)
    if bucket == "minute":
        return readings
    inside = {
        "$and": [
            {"$gte": ["$span_start", start]},
            {"$lte": [{"$add": ["$span_start", kind.span_ms]}, end]},
        ]
    }
    return {"$cond": [inside, "$quarters", readings]}


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
    if bucket == "device":
        return "$device_id"
    units: dict[str, dict[str, Any]] = {
        "minute": {"unit": "minute"},
        "quarter_hour": {"unit": "minute", "binSize": QUARTER_MS // 60_000},
        "hour": {"unit": "hour", "timezone": time_zone},
        "local_day": {"unit": "day", "timezone": time_zone},
    }
    return {"$dateTrunc": {"date": "$start", **units[bucket]}}


def _sums(kind: Kind) -> dict[str, Any]:
    sums: dict[str, Any] = {
        name: {"$sum": f"$cells.{name}"}
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
        sums[name + COUNT_SUFFIX] = {"$sum": {"$cond": [{"$isNumber": f"$cells.{name}"}, 1, 0]}}
    sums["maximum_power_kw"] = {"$max": "$cells.maximum_power_kw"}
    sums["last_end"] = {"$max": {"$add": ["$span_start", "$cells.last_end_ms"]}}
    return sums
