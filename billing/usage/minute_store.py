"""Asks the database for what meters used by the minute and the quarter-hour, with what is not folded yet laid over it.

Only the columns that are needed leave the database, and they are added up here: to turn the columns of a thousand hours
into readings inside it took the local server over 25 seconds, where reading them takes well under one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Any

from billing.cold.day import day_of
from billing.cold.day_store import DayStore
from billing.cold.history_store import HistoryStore
from billing.cold.overlay import overlay_of
from billing.cold.past_spans import SpanWindow
from billing.cold.sealed_day_store import SealedDayStore
from billing.cold.span_document import document_id, to_document
from billing.cold.usage_pipeline import UsageQuery
from billing.log.observation import SpanKey
from billing.log.period import Period
from billing.log.schema import METER
from billing.log.tail_reader import TailReader
from billing.usage.cell_usage import quarters_inside
from billing.usage.minute_total import MinuteSums, MinuteTotal
from billing.usage.quarter_total import QuarterTotal, QuarterTotals
from billing.usage.usage_store import UsageStore
from common.instants import datetime_to_ms
from common.mongo import Database, find_by_ids

_QUESTIONS_AT_ONCE = 8
_TIMEOUT_MS = 10_000
_COLUMNS = ("device_id", "span_start", *MinuteSums.COLUMNS)


class MinuteStore:
    """What meters used together, up to the newest reading in the log."""

    def __init__(
        self, database: Database, history: HistoryStore, tail: TailReader, days: DayStore, usage: UsageStore
    ) -> None:
        self._database = database
        self._history = history
        self._tail = tail
        self._days = days
        self._sealed = SealedDayStore(database)
        self._usage = usage

    async def totals(
        self, meter_ids: Sequence[str], start_ms: int, end_ms: int, *, with_quarters: bool
    ) -> tuple[list[MinuteTotal], list[QuarterTotal]]:
        """The minutes of [start_ms, end_ms), epoch milliseconds, in which a reading of a minute at most starts.

        With the quarter-hours, if wanted, that lie whole in the window and have a reading of whatever length.
        """
        minutes = MinuteSums(start_ms, end_ms)
        if not with_quarters:
            async for document in self._documents(meter_ids, start_ms, end_ms, _COLUMNS):
                minutes.add(document)
            return minutes.totals(), []
        quarters = QuarterTotals(start_ms, end_ms)
        window = SpanWindow(METER, meter_ids, quarters.starts_ms.start, quarters.starts_ms.stop)
        sealed: frozenset[SpanKey] = frozenset()
        if self._days.may_be_sealed(day_of(start_ms)):
            sealed = await self._sealed.among(METER, window.all_keys())
        async for document in self._documents(meter_ids, start_ms, end_ms, (*_COLUMNS, "quarters")):
            minutes.add(document)
            key = SpanKey(METER.name, document["device_id"], datetime_to_ms(document["span_start"]))
            if key not in sealed:
                for at_ms, usage in quarters_inside(METER, document, start_ms, end_ms):
                    quarters.add(at_ms, usage)
        await self._add_from_days(sealed, window, quarters)
        return minutes.totals(), list(quarters.totals())

    async def _add_from_days(self, sealed: Iterable[SpanKey], window: SpanWindow, quarters: QuarterTotals) -> None:
        """Adds what only the roll-ups of days know, for the cold readings of these spans were let go."""
        questions = [
            UsageQuery(
                METER,
                key.device_id,
                max(window.start_ms, key.span_start_ms),
                min(window.end_ms, key.span_start_ms + METER.span_ms),
                "quarter_hour",
            )
            for key in sealed
        ]
        for first in range(0, len(questions), _QUESTIONS_AT_ONCE):
            some = questions[first : first + _QUESTIONS_AT_ONCE]
            for found in await asyncio.gather(*map(self._usage.intervals, some)):
                for at_ms, usage in found:
                    quarters.add(at_ms, usage)

    async def _documents(
        self, meter_ids: Sequence[str], start_ms: int, end_ms: int, columns: Collection[str]
    ) -> AsyncIterator[Mapping[str, Any]]:
        window = SpanWindow(METER, meter_ids, start_ms, end_ms)
        pending = await self._tail.pending(meter_ids, Period.of_spans(start_ms, end_ms))
        overlay = await overlay_of(self._history, window, pending)
        for key, span in overlay.items():
            if span.counting:
                yield to_document(key, span, 0)
        ids = [document_id(key) for key in window.all_keys() if key not in overlay]
        wanted = dict.fromkeys(columns, 1)
        async for document in find_by_ids(self._database[METER.history], ids, wanted, timeout_ms=_TIMEOUT_MS):
            yield document
