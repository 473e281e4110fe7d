"""Asks the database what many devices used together, by the minute, with the readings not folded yet laid over it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from billing.history_store import HistoryStore
from billing.observation import SpanKey
from billing.past_spans import SpanWindow
from billing.schema import Kind
from billing.span import Span
from billing.span_document import document_id, to_document
from billing.tail_reader import TailReader
from billing.usage import Usage, add_up, from_group
from billing.usage_pipeline import Pipeline, UsageQuery, usage
from common.instants import datetime_to_ms
from common.mongo import Database

MINUTE_MS = 60_000

_DOCUMENTS_AT_ONCE = 500
# What is laid over the stored documents travels with the question, which may be no longer than a document.
_OVERLAID_AT_ONCE = 200
_TIMEOUT_MS = 25_000


class MinuteTotal(NamedTuple):
    """What some devices used in a minute, and how many of them were heard.

    `power_only_kw_ms` is the power by time of the readings that carry a power and no energy; None: there are none.
    """

    usage: Usage
    device_count: int
    power_only_kw_ms: float | None


class MinuteStore:
    """What devices used together, up to the newest reading in the log."""

    def __init__(self, database: Database, history: HistoryStore, tail: TailReader) -> None:
        self._database = database
        self._history = history
        self._tail = tail

    async def totals(self, kind: Kind, device_ids: Sequence[str], start_ms: int, end_ms: int) -> dict[int, MinuteTotal]:
        """By the start of each minute of [start_ms, end_ms), epoch milliseconds, in which a reading starts.

        Only readings of a minute at most count.
        """
        window = SpanWindow(kind, device_ids, start_ms, end_ms)
        overlay = await self._overlay(window)
        stages = _stages(UsageQuery(kind, "", start_ms, end_ms, "minute"))
        spans = range(start_ms - start_ms % kind.span_ms, end_ms, kind.span_ms)
        keys = [SpanKey(kind.name, device_id, span) for device_id in window.device_ids for span in spans]
        stored = [document_id(key) for key in keys if key not in overlay]
        laid_over = [to_document(key, span, 0) for key, span in overlay.items() if span.counting]
        groups: list[dict[str, Any]] = []
        for first in range(0, len(stored), _DOCUMENTS_AT_ONCE):
            match = {"$match": {"_id": {"$in": stored[first : first + _DOCUMENTS_AT_ONCE]}}}
            groups += await _run(self._database[kind.history], [match, *stages])
        for first in range(0, len(laid_over), _OVERLAID_AT_ONCE):
            # The same stages over documents that travel with the question: there is one way to sum.
            documents = {"$documents": laid_over[first : first + _OVERLAID_AT_ONCE]}
            groups += await _run(self._database, [documents, *stages])
        return _joined(kind, groups)

    async def _overlay(self, window: SpanWindow) -> dict[SpanKey, Span]:
        pending = await self._tail.pending(window.device_ids)
        keys = window.keys(pending)
        if not keys:
            return {}
        overlay = await self._history.find(window.kind, keys)
        for key in keys:
            overlay.setdefault(key, Span()).fold(pending[key])
        return overlay


def _stages(query: UsageQuery) -> Pipeline:
    *before, group, sort = usage(query)
    # What a longer reading used in each of its minutes is not known, and would look like a peak in the first.
    is_fine = {"$match": {"cells.covered_ms": {"$lte": MINUTE_MS}}}
    has_no_energy = {"$not": [{"$or": [{"$isNumber": f"$cells.{name}"} for name in query.kind.summed]}]}
    is_power_only = {"$and": [{"$isNumber": "$cells.power_kw"}, has_no_energy]}
    more = {
        "devices": {"$addToSet": "$device_id"},
        "power_only_kw_ms": {"$sum": {"$cond": [is_power_only, "$cells.power_kw_ms", 0.0]}},
        "power_only_count": {"$sum": {"$cond": [is_power_only, 1, 0]}},
    }
    counted = {"device_count": {"$size": "$devices"}}
    grouped = {"$group": {**group["$group"], **more}}
    return [*before, is_fine, grouped, sort, {"$addFields": counted}, {"$project": {"devices": 0}}]


def _joined(kind: Kind, groups: Sequence[Mapping[str, Any]]) -> dict[int, MinuteTotal]:
    # A device has one document a span, so none is counted in two groups of a minute.
    found: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for group in groups:
        found[datetime_to_ms(group["_id"])].append(group)
    return {start_ms: _total(kind, found[start_ms]) for start_ms in sorted(found)}


def _total(kind: Kind, groups: Sequence[Mapping[str, Any]]) -> MinuteTotal:
    total = add_up([from_group(kind, group) for group in groups])
    has_power_only = any(group["power_only_count"] for group in groups)
    return MinuteTotal(
        replace(total, first_power=None, last_power=None),
        sum(int(group["device_count"]) for group in groups),
        sum(float(group["power_only_kw_ms"]) for group in groups) if has_power_only else None,
    )


async def _run(place: Any, pipeline: Pipeline) -> list[dict[str, Any]]:
    return [group async for group in place.aggregate(pipeline, maxTimeMS=_TIMEOUT_MS)]
