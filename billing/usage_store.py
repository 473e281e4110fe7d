"""Asks the database what devices measured and used, with the readings not folded yet laid over it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from billing.history_store import HistoryStore, span_filter
from billing.observation import Observation, SpanKey
from billing.rating import Quarter
from billing.schema import METER, Kind
from billing.span import Span
from billing.span_document import to_document
from billing.tail_reader import TailReader, in_window
from billing.usage import Usage, add_up, from_group
from billing.usage_pipeline import Pipeline, UsageQuery, by_span_bounds, trimmed, usage
from common.instants import datetime_to_ms
from common.mongo import Database

_QUERIES_AT_ONCE = 8
_AGGREGATE_TIMEOUT_MS = 25_000


class UsageStore:
    """Usage and readings of devices, up to the newest one in the log."""

    def __init__(self, database: Database, history: HistoryStore, tail: TailReader) -> None:
        self._database = database
        self._history = history
        self._tail = tail

    async def spans(
        self, kind: Kind, device_id: str, start_ms: int, end_ms: int
    ) -> AsyncIterator[tuple[SpanKey, Span]]:
        """The spans of a device in which a reading of [start_ms, end_ms) may start, by time, the tail folded in."""
        overlay = await self._overlay(kind, [device_id], start_ms, end_ms)
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

    async def intervals(self, query: UsageQuery, limit: int | None = None) -> list[tuple[int, Usage]]:
        """Usage by the start of its buckets, epoch milliseconds, the first `limit` that have a reading."""
        overlay = await self._overlay(query.kind, [query.device_id], query.start_ms, query.end_ms)
        found = await self._sum(query, overlay, limit)
        return [(datetime_to_ms(start), found[start]) for start in sorted(found)][:limit]

    async def by_device(self, kind: Kind, device_ids: Sequence[str], start_ms: int, end_ms: int) -> dict[str, Usage]:
        """Usage of each of some devices of one kind; those without a reading are left out."""
        overlay = await self._overlay(kind, device_ids, start_ms, end_ms)
        found: dict[str, Usage] = {}
        # One query a device: each is a range of the index, on one shard, whatever the server makes of long lists.
        for first in range(0, len(device_ids), _QUERIES_AT_ONCE):
            some = device_ids[first : first + _QUERIES_AT_ONCE]
            queries = [UsageQuery(kind, device_id, start_ms, end_ms, "all") for device_id in some]
            sums = await asyncio.gather(*(self._sum(query, overlay) for query in queries))
            found |= {query.device_id: usage[None] for query, usage in zip(queries, sums, strict=True) if usage}
        return found

    async def quarters(self, device_id: str, start_ms: int, end_ms: int) -> list[Quarter]:
        """The quarter-hours of a meter that have a reading, by time: what bills are rated from."""
        return [
            Quarter(at_ms, usage.last_end_ms, usage.energies.get("import_milliwatt_hours"), usage.reading_count)
            for at_ms, usage in await self.intervals(UsageQuery(METER, device_id, start_ms, end_ms, "quarter_hour"))
        ]

    async def _sum(
        self, query: UsageQuery, overlay: Mapping[SpanKey, Span], limit: int | None = None
    ) -> dict[Any, Usage]:
        """Usage by bucket: the start of an interval, or None for all."""
        parts: defaultdict[Any, list[Usage]] = defaultdict(list)
        for part in by_span_bounds(query):
            for group in await self._groups(part, overlay, limit):
                parts[group["_id"]].append(from_group(query.kind, group))
        return {bucket: add_up(usages) for bucket, usages in parts.items()}

    async def _groups(
        self, query: UsageQuery, overlay: Mapping[SpanKey, Span], limit: int | None
    ) -> list[dict[str, Any]]:
        kind = query.kind
        laid_over = [
            trimmed(query, to_document(key, span, 0))
            for key, span in overlay.items()
            if key.device_id == query.device_id and query.start_ms - kind.span_ms < key.span_start_ms < query.end_ms
        ]
        stages: Pipeline = usage(query)
        if limit is not None:
            stages.append({"$limit": limit})
        match = span_filter(kind, query.device_id, query.start_ms, query.end_ms)
        if laid_over:
            match["_id"] = {"$nin": [document["_id"] for document in laid_over]}
        groups = await _run(self._database[kind.history], [{"$match": match}, *stages])
        if laid_over:
            # The same stages over documents that travel with the query: there is one way to sum.
            groups += await _run(self._database, [{"$documents": laid_over}, *stages])
        return groups

    async def _overlay(self, kind: Kind, device_ids: Sequence[str], start_ms: int, end_ms: int) -> dict[SpanKey, Span]:
        pending = await self._tail.pending(device_ids)
        keys = list(in_window(pending, kind.name, kind.span_ms, start_ms, end_ms))
        if not keys:
            return {}
        known = await self._history.find(kind, keys)
        overlay = {}
        for key in keys:
            span = known.get(key, Span())
            span.fold(pending[key])
            overlay[key] = span
        return overlay


async def _run(place: Any, pipeline: Pipeline) -> list[dict[str, Any]]:
    return [group async for group in place.aggregate(pipeline, maxTimeMS=_AGGREGATE_TIMEOUT_MS)]


def readings_of(key: SpanKey, span: Span, start_ms: int, end_ms: int) -> list[tuple[int, Observation, bool]]:
    """The readings of a span that start in [start_ms, end_ms): start, reading and whether it is superseded.

    By start; of one start first the reading that counts, then the superseded ones from the strongest on.
    """
    found = []
    for observation in span.in_order():
        at_ms = key.span_start_ms + observation.offset_ms
        if start_ms <= at_ms < end_ms:
            found.append((at_ms, observation, False))
            found += [(at_ms, other, True) for other in span.superseded.get(observation.offset_ms, [])]
    return found
