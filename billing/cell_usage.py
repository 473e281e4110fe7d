"""Usage of many devices over a short window: of each the few quarter-hours of its hours that the window is made of."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from billing.reading_quality import QUALITY_COUNTS
from billing.schema import HOUR_MS, QUARTER_MS, Kind
from billing.usage import TimedPower, Usage
from billing.usage_pipeline import Pipeline
from common.instants import datetime_from_ms, datetime_to_ms


def is_short(start_ms: int, end_ms: int) -> bool:
    """Whether a window, UTC milliseconds, is whole quarter-hours and at most an hour."""
    return not start_ms % QUARTER_MS and not end_ms % QUARTER_MS and start_ms < end_ms <= start_ms + HOUR_MS


def cells_of(document_ids: Sequence[str], start_ms: int, end_ms: int) -> Pipeline:
    """Finds the quarter-hours of a window in some documents, which are named one by one."""
    start = {"$add": ["$span_start", "$$cell.offset_ms"]}
    is_inside = {"$and": [{"$gte": [start, datetime_from_ms(start_ms)]}, {"$lt": [start, datetime_from_ms(end_ms)]}]}
    cells = {"$filter": {"input": "$quarters", "as": "cell", "cond": is_inside}}
    return [
        {"$match": {"_id": {"$in": list(document_ids)}}},
        {"$project": {"device_id": 1, "span_start": 1, "cells": cells}},
    ]


def cells_inside(document: Mapping[str, Any], start_ms: int, end_ms: int) -> dict[str, Any]:
    """What `cells_of` finds in a document."""
    span_start_ms = datetime_to_ms(document["span_start"])
    cells = [cell for cell in document["quarters"] if start_ms <= span_start_ms + cell["offset_ms"] < end_ms]
    return {"device_id": document["device_id"], "span_start": document["span_start"], "cells": cells}


def usages_of(kind: Kind, document: Mapping[str, Any]) -> Iterator[Usage]:
    """The usage of each quarter-hour in a document that `cells_of` has found."""
    for _, usage in quarters_of(kind, document):
        yield usage


def quarters_of(kind: Kind, document: Mapping[str, Any]) -> Iterator[tuple[int, Usage]]:
    """Start, epoch milliseconds, and usage of each quarter-hour in a document that `cells_of` has found."""
    span_start_ms = datetime_to_ms(document["span_start"])
    for cell in document["cells"]:
        at_ms = span_start_ms + cell["offset_ms"]
        yield (
            at_ms,
            Usage(
                reading_count=cell["reading_count"],
                covered_ms=cell["covered_ms"],
                energies={name: int(cell[name]) for name in kind.summed if cell[name] is not None},
                power_kw_ms=cell["power_kw_ms"],
                power_covered_ms=cell["power_covered_ms"],
                minimum_power_kw=cell["minimum_power_kw"],
                maximum_power_kw=cell["maximum_power_kw"],
                first_power=_timed(at_ms, cell["first_power_kw"]),
                last_power=_timed(at_ms, cell["last_power_kw"]),
                temperature_sum=cell["temperature_sum"],
                temperature_count=cell["temperature_count"],
                last_end_ms=span_start_ms + cell["last_end_ms"],
                **{name: cell.get(name, 0) for name in QUALITY_COUNTS},
            ),
        )


def _timed(at_ms: int, power_kw: float | None) -> TimedPower | None:
    return None if power_kw is None else TimedPower(at_ms, power_kw)
