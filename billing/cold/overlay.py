"""Spans with the readings that wait to be folded laid over them, so that an answer has everything in the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from billing.cold.history_store import HistoryStore
from billing.cold.past_spans import SpanWindow
from billing.cold.span import Span
from billing.log.observation import Observation, SpanKey


async def overlay_of(
    history: HistoryStore, window: SpanWindow, pending: Mapping[SpanKey, Sequence[Observation]]
) -> dict[SpanKey, Span]:
    """The spans of a window for which readings wait, folded here."""
    keys = window.keys(pending)
    if not keys:
        return {}
    overlay = await history.find(window.kind, keys)
    for key in keys:
        overlay.setdefault(key, Span()).fold(pending[key])
    return overlay
