"""The quarter-hours of a meter as of a moment: what bills rest on, read once and taken from the documents here."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from billing.cold.day_store import DayStore
from billing.cold.history_store import HistoryStore
from billing.cold.past_spans import SPANS_MAXIMUM, SpanWindow
from billing.cold.quarter import quarters
from billing.cold.span import Span
from billing.cold.usage_sum import Usage
from billing.log.observation import SpanKey
from billing.log.period import Period
from billing.log.schema import METER
from billing.log.tail_reader import TailReader
from billing.tariffs.rated_line import Quarter
from common.errors import RequestTooExpensive


class BilledQuarters:
    """Reads a month of a meter with one question, where sums that the database makes take three and five times as long.

    Each document says itself whether it is what it was at the moment: then its quarter-hours are, and whatever is
    folded into it meanwhile does not matter. The others are read whole and taken back.
    """

    def __init__(self, history: HistoryStore, tail: TailReader, days: DayStore) -> None:
        self._history = history
        self._tail = tail
        self._days = days

    async def as_of(self, device_id: str, start_ms: int, end_ms: int, as_of_ms: int) -> list[Quarter]:
        """Those in [start_ms, end_ms), at quarter-hours, that had a reading at a moment, by time; all epoch ms.

        Raises:
            NoReadings: readings of the time were removed, and sums alone do not say what was known when.
            RequestTooExpensive: more spans have changed since the moment than one question may read.
        """
        window = SpanWindow(METER, [device_id], start_ms, end_ms)
        # Before the documents, so that what is folded in between is in one of both.
        pending = await self._tail.pending([device_id], Period.of_spans(start_ms, end_ms))
        changed = set(window.keys(pending))
        found: list[Quarter] = []
        async for key, cells, record_ms in self._history.cells(METER, device_id, start_ms, end_ms):
            if key not in changed and record_ms <= as_of_ms:
                found += _quarters(key, cells)
            else:
                changed.add(key)
        if len(changed) > SPANS_MAXIMUM:
            raise RequestTooExpensive(f"more than {SPANS_MAXIMUM} hours of the device have changed since as_of")
        spans = await self._history.find(METER, sorted(changed))
        for key in window.keys(pending):
            spans.setdefault(key, Span()).fold(pending[key])
        await self._history.complete(METER, spans, as_of_ms)
        for key, span in spans.items():
            found += _quarters(key, quarters(METER, span.as_of(as_of_ms).in_order()))
        # After the readings: none is removed before its day is closed.
        await self._days.require_unsealed(METER, [device_id], start_ms, end_ms)
        return sorted((one for one in found if start_ms <= one.start_ms < end_ms), key=attrgetter("start_ms"))


def quarter_of(at_ms: int, usage: Usage) -> Quarter:
    """The quarter-hour that starts at an instant, epoch milliseconds, and has this usage."""
    return Quarter(
        at_ms,
        usage.last_end_ms,
        usage.energies.get("import_milliwatt_hours"),
        usage.reading_count,
        usage.estimated_count,
        usage.energies.get("export_milliwatt_hours"),
        usage.edited_count,
        usage.covered_ms,
        usage.substituted_count,
    )


def _quarters(key: SpanKey, cells: Iterable[Mapping[str, Any]]) -> Iterable[Quarter]:
    return (
        Quarter(
            key.span_start_ms + cell["offset_ms"],
            key.span_start_ms + cell["last_end_ms"],
            cell["import_milliwatt_hours"],
            cell["reading_count"],
            cell.get("estimated_count", 0),
            cell["export_milliwatt_hours"],
            cell.get("edited_count", 0),
            cell["covered_ms"],
            cell.get("substituted_count", 0),
        )
        for cell in cells
    )
