"""Folds the readings of many segments into cold documents: new spans whole and at once, the others one by one."""

from collections.abc import Awaitable, Callable, Iterator, Mapping

import numpy as np

from billing.cold.history_store import HistoryStore
from billing.cold.merger_metrics import MergerMetrics
from billing.cold.span_columns import fresh_documents
from billing.log.kind_columns import Gathered
from billing.log.observation import SpanKey
from common.reading_location import Integers

# Documents in one write: the log must not wait for long behind it. To change one costs what four new ones cost.
_SPANS_A_WRITE = 100
_CHANGES_A_WRITE = 25
# Longer than this the merger does not stand aside, so that it is never starved.
_GIVE_WAY_SECONDS = 0.3
_REMEMBERED_SPANS = 100_000

# The rows of each of some spans.
SpanRows = Mapping[SpanKey, Integers]


class SpanFolder:
    """Takes sorted readings of one kind to their documents.

    A span not met before is inserted whole, without asking whether it is there: the store says so if it is, and then
    its readings are folded into what is there. Which spans exist is remembered, within bounds, only to spare inserts
    that would fail.
    """

    def __init__(
        self, history: HistoryStore, metrics: MergerMetrics, give_way: Callable[[float], Awaitable[None]]
    ) -> None:
        self._history = history
        self._give_way = give_way
        self._metrics = metrics
        self._existing: dict[SpanKey, None] = {}

    async def fold(self, gathered: Gathered) -> None:
        """Returns when every reading is in its document.

        Raises:
            UnmergeableSpan: a document would be larger than the store takes; others may be written.
            pymongo.errors.PyMongoError: the store failed; folding all again is safe.
        """
        spans = list(span_rows(gathered))
        for first in range(0, len(spans), _SPANS_A_WRITE):
            await self._give_way(_GIVE_WAY_SECONDS)
            await self.fold_spans(gathered, dict(spans[first : first + _SPANS_A_WRITE]))

    async def fold_spans(self, gathered: Gathered, spans: SpanRows) -> None:
        """Folds some of the spans; raises as `fold` does."""
        kind = gathered.columns.kind
        repeats = gathered.repeats()
        one_by_one = [key for key, rows in spans.items() if key in self._existing or repeats[rows].any()]
        known = set(one_by_one)
        fresh = [rows for key, rows in spans.items() if key not in known]
        if fresh:
            documents = dict(fresh_documents(gathered, np.concatenate(fresh)))
            one_by_one += await self._history.insert_fresh(kind, documents)
        for first in range(0, len(one_by_one), _CHANGES_A_WRITE):
            if first or fresh:
                await self._give_way(_GIVE_WAY_SECONDS)
            pending = {key: gathered.observations(spans[key]) for key in one_by_one[first : first + _CHANGES_A_WRITE]}
            while pending:
                pending = {key: pending[key] for key in await self._history.fold(kind, pending)}
                self._metrics.races.inc(len(pending))
        self._remember(spans)
        self._metrics.spans.inc(len(spans))
        self._metrics.readings.inc(sum(rows.size for rows in spans.values()))

    def _remember(self, spans: SpanRows) -> None:
        for key in spans:
            self._existing.pop(key, None)
            self._existing[key] = None
        while len(self._existing) > _REMEMBERED_SPANS:
            del self._existing[next(iter(self._existing))]


def span_rows(gathered: Gathered) -> Iterator[tuple[SpanKey, Integers]]:
    """The spans of some readings, each with its rows."""
    device, span_start_ms = gathered.columns.device_index, gathered.span_start_ms
    is_first = np.ones(device.size, np.bool_)
    is_first[1:] = (device[1:] != device[:-1]) | (span_start_ms[1:] != span_start_ms[:-1])
    first = np.flatnonzero(is_first)
    names, kind = gathered.columns.device_ids, gathered.columns.kind.name
    for place, start_ms, rows in zip(
        device[first].tolist(), span_start_ms[first].tolist(), np.split(np.arange(device.size), first[1:]), strict=True
    ):
        yield SpanKey(kind, names[place], start_ms), rows
