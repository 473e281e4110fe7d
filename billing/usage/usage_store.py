"""Asks the database what devices measured and used, with the readings not folded yet laid over it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from billing.cold.day import day_of
from billing.cold.day_store import FRESH, DayStore, days_filter
from billing.cold.history_store import HistoryStore, span_filter
from billing.cold.overlay import overlay_of
from billing.cold.past_spans import Moment, PastSpans, SpanWindow
from billing.cold.span import Span
from billing.cold.span_document import document_id, to_document
from billing.cold.usage_bucket import Bucket, ClockRun, bucket_start_ms, clock_runs
from billing.cold.usage_pipeline import Pipeline, UsageQuery, by_cells, trimmed, usage
from billing.cold.usage_sum import Usage, add_up, from_group
from billing.log.observation import Observation, SpanKey
from billing.log.period import Period
from billing.log.schema import DAY_MS, METER, QUARTER_MS, Kind
from billing.log.tail_reader import TailReader
from billing.tariffs.rated_line import Quarter
from billing.usage.billed_quarters import BilledQuarters, quarter_of
from billing.usage.cell_store import CellStore
from billing.usage.cell_usage import is_within_an_hour
from billing.usage.downsampled_day import usage_of_documents
from billing.usage.usage_pieces import pieces, without
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

T = TypeVar("T")
Pending = Mapping[SpanKey, Sequence[Observation]]

_QUERIES_AT_ONCE = 8
# Two days: so few documents are read for less than a pipeline over them costs.
_SHORT_MS = 2 * DAY_MS
_AGGREGATE_TIMEOUT_MS = 25_000


class _FromDays(NamedTuple):
    """Usage by bucket, and the times it says nothing of."""

    usages: list[tuple[int | None, Usage]]
    rest: list[tuple[int, int]]


class UsageStore:
    """Usage and readings of devices, up to the newest one in the log."""

    def __init__(
        self, database: Database, history: HistoryStore, tail: TailReader, days: DayStore | None = None
    ) -> None:
        self._database = database
        self._days = days or DayStore(database)
        self._history = history
        self._tail = tail
        self._past = PastSpans(history)
        self._cells = CellStore(database, history, self._days)
        self._billed = BilledQuarters(history, tail, self._days)

    async def spans(
        self, kind: Kind, device_id: str, start_ms: int, end_ms: int
    ) -> AsyncIterator[tuple[SpanKey, Span]]:
        """The spans of a device in which a reading of [start_ms, end_ms) may start, by time, the tail folded in."""
        pending = await self._tail.pending([device_id], Period.of_spans(start_ms, end_ms))
        overlay = await overlay_of(self._history, SpanWindow(kind, [device_id], start_ms, end_ms), pending)
        waiting = sorted(overlay)
        async for key, span in self._history.spans(kind, device_id, start_ms, end_ms):
            while waiting and waiting[0] < key:
                yield waiting[0], overlay[waiting.pop(0)]
            if waiting and waiting[0] == key:
                yield key, overlay[waiting.pop(0)]
            else:
                yield key, span
        for key in waiting:
            yield key, overlay[key]

    async def intervals(
        self, query: UsageQuery, limit: int | None = None, as_of_ms: int | None = None
    ) -> list[tuple[int, Usage]]:
        """Usage by the start of its buckets, epoch milliseconds, the first `limit` that have a reading.

        With `as_of_ms` by the readings recorded at or before that instant; raises as `PastSpans.summed` does.
        """
        window = SpanWindow(query.kind, [query.device_id], query.start_ms, query.end_ms)
        pending = await self._tail.pending(window.device_ids, Period.of_spans(query.start_ms, query.end_ms))
        query = replace(query, from_days=as_of_ms is None)
        moment = None if as_of_ms is None else Moment(as_of_ms)
        return await self._overlaid(window, pending, moment, lambda overlay: self._intervals(query, overlay, limit))

    async def _intervals(
        self, query: UsageQuery, overlay: Mapping[SpanKey, Span], limit: int | None
    ) -> list[tuple[int, Usage]]:
        found: defaultdict[int, list[Usage]] = defaultdict(list)
        # Piece by piece, so that a page does not cost what all pages cost.
        for piece in pieces(query):
            for start_ms, summed in (await self._sum(piece, overlay)).items():
                found[start_ms].append(summed)
            if limit is not None and len(found) > limit:
                break
        return [(start_ms, add_up(found[start_ms])) for start_ms in sorted(found)][:limit]

    async def by_device(
        self, kind: Kind, device_ids: Sequence[str], start_ms: int, end_ms: int, as_of_ms: int | None = None
    ) -> dict[str, Usage]:
        """Usage of each of some devices of one kind; those without a reading are left out. As of as `intervals`."""
        pending = await self._tail.pending(device_ids, Period.of_spans(start_ms, end_ms))
        moment = None if as_of_ms is None else Moment(as_of_ms)
        found: dict[str, Usage] = {}
        if moment is None and len(device_ids) > _QUERIES_AT_ONCE and is_within_an_hour(start_ms, end_ms):
            short = SpanWindow(kind, device_ids, start_ms, end_ms)
            found, device_ids = await self._cells.by_device(short, pending)
        # One query a device: each is a range of the index, on one shard, whatever the server makes of long lists.
        for first in range(0, len(device_ids), _QUERIES_AT_ONCE):
            window = SpanWindow(kind, device_ids[first : first + _QUERIES_AT_ONCE], start_ms, end_ms)
            found |= await self._overlaid(window, pending, moment, partial(self._by_device, window, moment is None))
        return found

    async def _by_device(
        self, window: SpanWindow, from_days: bool, overlay: Mapping[SpanKey, Span]
    ) -> dict[str, Usage]:
        queries = [
            UsageQuery(window.kind, device_id, window.start_ms, window.end_ms, "all", from_days=from_days)
            for device_id in window.device_ids
        ]
        sums = await asyncio.gather(*(self._sum(query, overlay) for query in queries))
        return {query.device_id: summed[None] for query, summed in zip(queries, sums, strict=True) if summed}

    async def quarters(self, device_id: str, start_ms: int, end_ms: int, as_of_ms: int | None = None) -> list[Quarter]:
        """The quarter-hours of a meter that have a reading, by time: what bills rest on. As of as `intervals`."""
        if as_of_ms is not None and not (start_ms % QUARTER_MS or end_ms % QUARTER_MS):
            return await self._billed.as_of(device_id, start_ms, end_ms, as_of_ms)
        query = UsageQuery(METER, device_id, start_ms, end_ms, "quarter_hour")
        return [quarter_of(at_ms, one) for at_ms, one in await self.intervals(query, as_of_ms=as_of_ms)]

    async def _sum(self, query: UsageQuery, overlay: Mapping[SpanKey, Span]) -> dict[Any, Usage]:
        """Usage by bucket: the start of an interval in epoch milliseconds, or None for all."""
        parts: defaultdict[Any, list[Usage]] = defaultdict(list)
        zone = ZoneInfo(query.time_zone)
        from_days = await self._from_days(query, overlay)
        for start_ms, found in from_days.usages:
            parts[start_ms].append(found)
        for first_ms, end_ms in from_days.rest:
            if query.bucket != "minute" and end_ms - first_ms <= _SHORT_MS:
                short = replace(query, start_ms=first_ms, end_ms=end_ms)
                for start_ms, found in await self._cells.of_device(short, overlay):
                    parts[start_ms].append(found)
                continue
            for run in clock_runs(first_ms, end_ms, query.bucket, zone):
                run_query = replace(
                    query,
                    start_ms=max(first_ms, run.start_ms),
                    end_ms=min(end_ms, run.end_ms),
                    ahead_ms=run.ahead_ms,
                )
                for part in by_cells(run_query):
                    for group in await self._groups(part, overlay):
                        start_ms = _bucket_of(group["_id"], query.bucket, run, zone)
                        parts[start_ms].append(from_group(query.kind, group))
        return {start_ms: add_up(usages) for start_ms, usages in parts.items()}

    async def _from_days(self, query: UsageQuery, overlay: Mapping[SpanKey, Span]) -> _FromDays:
        """What the roll-ups of days say of a query, and what of its time they say nothing of."""
        whole = (query.start_ms, query.end_ms)
        first_ms, last_ms = -(-query.start_ms // QUARTER_MS) * QUARTER_MS, query.end_ms // QUARTER_MS * QUARTER_MS
        first_day_ms = day_of(first_ms)
        is_of_days = query.from_days and query.bucket != "minute"
        if not is_of_days or first_ms >= last_ms or not self._days.may_hold(first_day_ms):
            return _FromDays([], [whole])
        laid_over = {day_of(key.span_start_ms) for key in overlay if key.device_id == query.device_id}
        usages: list[tuple[int | None, Usage]] = []
        known: list[int] = []
        columns_of = [(first_day_ms, last_ms)]
        if query.bucket == "all" and last_ms - first_ms > _SHORT_MS:
            inner_ms, outer_ms = -(-first_ms // DAY_MS) * DAY_MS, day_of(last_ms)
            if inner_ms < outer_ms:
                columns_of = [(first_day_ms, inner_ms), (outer_ms, last_ms)]
                total, known = await self._total_of_days(replace(query, start_ms=inner_ms, end_ms=outer_ms), laid_over)
                usages += [(None, one) for one in total]
        for start_ms, end_ms in columns_of:
            documents = [
                document
                for document in await self._days.fresh(query.kind, query.device_id, start_ms, end_ms)
                if document.get("sealed") or datetime_to_ms(document["span_start"]) not in laid_over
            ]
            known += [datetime_to_ms(document["span_start"]) for document in documents]
            usages += usage_of_documents(documents, (first_ms, last_ms), query)
        return _FromDays(usages, list(without(whole, (first_ms, last_ms), sorted(known))))

    async def _total_of_days(self, query: UsageQuery, without: Collection[int]) -> tuple[list[Usage], list[int]]:
        """The usage of all days of a query that may be believed, and the starts of these."""
        match = days_filter(query.device_id, query.start_ms, query.end_ms)
        others = {"$nin": [datetime_from_ms(start_ms) for start_ms in without]}
        usable = {**FRESH, "$or": [{"sealed": True}, {"span_start": others}]}
        (stage,) = usage(replace(query, cells="total"))
        stage["$group"]["days"] = {"$push": "$span_start"}
        groups = await _run(self._database[query.kind.days], [{"$match": match}, {"$match": usable}, stage])
        known = [datetime_to_ms(start) for group in groups for start in group["days"]]
        return [from_group(query.kind, group) for group in groups if group["reading_count"]], known

    async def _groups(self, query: UsageQuery, overlay: Mapping[SpanKey, Span]) -> list[dict[str, Any]]:
        kind = query.kind
        covered = {
            key: span
            for key, span in overlay.items()
            if key.device_id == query.device_id and query.start_ms - kind.span_ms < key.span_start_ms < query.end_ms
        }
        laid_over = [trimmed(query, to_document(key, span, 0)) for key, span in covered.items() if span.counting]
        stages: Pipeline = usage(query)
        match = span_filter(kind, query.device_id, query.start_ms, query.end_ms)
        # Two stages, for with both in one not every server goes by the index.
        others = {"_id": {"$nin": [document_id(key) for key in covered]}}
        groups = await _run(self._database[kind.history], [{"$match": match}, {"$match": others}, *stages])
        if laid_over:
            # The same stages over documents that travel with the query: there is one way to sum.
            groups += await _run(self._database, [{"$documents": laid_over}, *stages])
        return groups

    async def _overlaid(
        self,
        window: SpanWindow,
        pending: Pending,
        moment: Moment | None,
        sum_up: Callable[[Mapping[SpanKey, Span]], Awaitable[T]],
    ) -> T:
        if moment is not None:
            await self._days.require_unsealed(window.kind, window.device_ids, window.start_ms, window.end_ms)
            return await self._past.summed(window, pending, moment, sum_up)
        return await sum_up(await overlay_of(self._history, window, pending))


def _bucket_of(group: datetime | None, bucket: Bucket, run: ClockRun, zone: ZoneInfo) -> int | None:
    return None if group is None else bucket_start_ms(datetime_to_ms(group), bucket, run, zone)


async def _run(place: Any, pipeline: Pipeline) -> list[dict[str, Any]]:
    return [group async for group in place.aggregate(pipeline, maxTimeMS=_AGGREGATE_TIMEOUT_MS)]
