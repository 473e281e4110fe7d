"""Spans as they were known at a moment, laid over the cold documents of which nothing has changed since."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from billing.cold.history_store import HistoryStore
from billing.cold.span import Span
from billing.log.observation import Observation, SpanKey
from billing.log.schema import Kind
from billing.log.tail_reader import in_window
from common.errors import Overloaded, RequestTooExpensive

_QUERIES_AT_ONCE = 8
# Each is read and gone through reading by reading, which takes this process a millisecond and more.
SPANS_MAXIMUM = 5_000
_ATTEMPTS = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SpanWindow:
    """The spans of some devices of one kind in which a reading of [start_ms, end_ms), epoch milliseconds, may start."""

    kind: Kind
    device_ids: Sequence[str]
    start_ms: int
    end_ms: int

    def all_keys(self) -> list[SpanKey]:
        """All of them, whether there is a reading in them or not."""
        starts_ms = range(self.start_ms - self.start_ms % self.kind.span_ms, self.end_ms, self.kind.span_ms)
        return [SpanKey(self.kind.name, device_id, start_ms) for device_id in self.device_ids for start_ms in starts_ms]

    def keys(self, pending: Mapping[SpanKey, Sequence[Observation]]) -> list[SpanKey]:
        """Those of its spans for which readings wait to be folded."""
        wanted = frozenset(self.device_ids)
        found = in_window(pending, self.kind.name, self.kind.span_ms, self.start_ms, self.end_ms)
        return [key for key in found if key.device_id in wanted]


@dataclass(slots=True)
class Moment:
    """As of when one question is asked, epoch milliseconds, and how many changed spans it may still read."""

    as_of_ms: int
    spans_left: int = SPANS_MAXIMUM

    def spend(self, spans: int) -> None:
        """Counts spans that were read.

        Raises:
            RequestTooExpensive: they are too many for one question.
        """
        self.spans_left -= spans
        if self.spans_left < 0:
            raise RequestTooExpensive(f"more than {SPANS_MAXIMUM} hours of devices have changed since as_of")


class PastSpans:
    """Takes sums back to a moment.

    A span in which no reading that counts was recorded after the moment is what it was then, and so is every roll-up of
    it and of its day. The others are read whole, with what they superseded, and laid over the sum as they were.
    """

    def __init__(self, history: HistoryStore) -> None:
        self._history = history

    async def summed(
        self,
        window: SpanWindow,
        pending: Mapping[SpanKey, Sequence[Observation]],
        moment: Moment,
        sum_up: Callable[[Mapping[SpanKey, Span]], Awaitable[T]],
    ) -> T:
        """What `sum_up` makes of the overlay of a moment; `pending` must have been read before.

        A span may change between the look for those that did and the sum, so it is looked again after the sum.

        Raises:
            RequestTooExpensive: more spans have changed since the moment than one question may read.
            Overloaded: the spans changed again and again while they were being summed.
        """
        for _ in range(_ATTEMPTS):
            overlay = await self._overlay(window, pending, moment)
            result = await sum_up(overlay)
            if await self._changed(window, moment.as_of_ms) <= overlay.keys():
                return result
        raise Overloaded("the readings of this time are just being recorded; ask for less of it at once, or later")

    async def _overlay(
        self, window: SpanWindow, pending: Mapping[SpanKey, Sequence[Observation]], moment: Moment
    ) -> dict[SpanKey, Span]:
        waiting = window.keys(pending)
        spans = await self._history.find(window.kind, waiting) if waiting else {}
        for device_ids in _some(window.device_ids):
            for found in await asyncio.gather(*(self._read(window, device_id, moment) for device_id in device_ids)):
                spans |= found
        for key in waiting:
            spans.setdefault(key, Span()).fold(pending[key])
        await self._history.complete(window.kind, spans, moment.as_of_ms)
        return {key: span.as_of(moment.as_of_ms) for key, span in spans.items()}

    async def _read(self, window: SpanWindow, device_id: str, moment: Moment) -> dict[SpanKey, Span]:
        found: dict[SpanKey, Span] = {}
        spans = self._history.spans(
            window.kind, device_id, window.start_ms, window.end_ms, changed_after_ms=moment.as_of_ms
        )
        async for key, span in spans:
            moment.spend(1)
            found[key] = span
        return found

    async def _changed(self, window: SpanWindow, as_of_ms: int) -> set[SpanKey]:
        found: set[SpanKey] = set()
        for device_ids in _some(window.device_ids):
            keys = await asyncio.gather(
                *(
                    self._history.changed(window.kind, device_id, window.start_ms, window.end_ms, as_of_ms)
                    for device_id in device_ids
                )
            )
            found = found.union(*keys)
        return found


def _some(device_ids: Sequence[str]) -> list[Sequence[str]]:
    return [device_ids[first : first + _QUERIES_AT_ONCE] for first in range(0, len(device_ids), _QUERIES_AT_ONCE)]
