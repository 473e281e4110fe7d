"""Asks for usage over short windows: of many devices at once, whose documents are named, or of one."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from billing.cold.day import day_of
from billing.cold.day_store import DayStore
from billing.cold.history_store import HistoryStore, span_filter
from billing.cold.overlay import overlay_of
from billing.cold.past_spans import SpanWindow
from billing.cold.sealed_day_store import SealedDayStore
from billing.cold.span import Span
from billing.cold.span_document import document_id, to_document
from billing.cold.usage_bucket import bucket_of, clock_runs
from billing.cold.usage_pipeline import UsageQuery
from billing.cold.usage_sum import Usage, add_up
from billing.log.observation import Observation, SpanKey
from billing.log.schema import QUARTER_MS
from billing.usage.cell_usage import quarters_inside, usages_inside
from common.mongo import Database, find_by_ids

_TIMEOUT_MS = 10_000
_QUARTERS = {"device_id": 1, "span_start": 1, "quarters": 1}


class CellStore:
    """The cold documents, read a quarter-hour at a time and added up here for half of what pipelines cost."""

    def __init__(self, database: Database, history: HistoryStore, days: DayStore) -> None:
        self._database = database
        self._history = history
        self._days = days
        self._sealed = SealedDayStore(database)

    async def by_device(
        self, window: SpanWindow, pending: Mapping[SpanKey, Sequence[Observation]]
    ) -> tuple[dict[str, Usage], Sequence[str]]:
        """The usage of each device over a short window, and the devices still to be asked about.

        These are the ones of which cold readings were let go.
        """
        kind = window.kind
        overlay = await overlay_of(self._history, window, pending)
        usages: defaultdict[str, list[Usage]] = defaultdict(list)
        for key, span in overlay.items():
            if span.counting:
                usages[key.device_id] += _usages(window, to_document(key, span, 0))
        left = {document_id(key): key for key in window.all_keys() if key not in overlay}
        cold = self._database[kind.history]
        async for document in find_by_ids(cold, list(left), _QUARTERS, timeout_ms=_TIMEOUT_MS):
            usages[document["device_id"]] += _usages(window, document)
            del left[document["_id"]]
        gone: frozenset[str] = frozenset()
        if self._days.may_be_sealed(day_of(window.start_ms)):
            # After the readings, so that none is missed that is removed meanwhile.
            gone = frozenset(key.device_id for key in await self._sealed.among(kind, [*overlay, *left.values()]))
        found = {device_id: add_up(some) for device_id, some in usages.items() if some and device_id not in gone}
        return found, [device_id for device_id in window.device_ids if device_id in gone]

    async def of_device(self, query: UsageQuery, overlay: Mapping[SpanKey, Span]) -> list[tuple[int | None, Usage]]:
        """Usage by bucket from the quarter-hours of the few documents of a short query: one question, added up here."""
        kind, is_whole = query.kind, not (query.start_ms % QUARTER_MS or query.end_ms % QUARTER_MS)
        laid_over = {
            document_id(key): to_document(key, span, 0)
            for key, span in overlay.items()
            if key.device_id == query.device_id
        }
        match = span_filter(kind, query.device_id, query.start_ms, query.end_ms)
        found = self._database[kind.history].find(match, _QUARTERS if is_whole else None)
        cold = [one async for one in found.max_time_ms(_TIMEOUT_MS) if one["_id"] not in laid_over]
        cells = [
            cell
            for document in (*laid_over.values(), *cold)
            for cell in usages_inside(kind, document, query.start_ms, query.end_ms)
        ]
        if query.bucket == "all":
            return [(None, usage) for _, usage in cells]
        zone = ZoneInfo(query.time_zone)
        runs = list(clock_runs(query.start_ms, query.end_ms, query.bucket, zone))
        return [(bucket_of(at_ms, query.bucket, runs, zone), usage) for at_ms, usage in cells]


def _usages(window: SpanWindow, document: Mapping[str, Any]) -> Iterator[Usage]:
    return (usage for _, usage in quarters_inside(window.kind, document, window.start_ms, window.end_ms))
