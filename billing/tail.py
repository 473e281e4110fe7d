"""What is logged but not folded yet, at hand: the merger folds from here, reads lay it over the cold documents."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from billing.observation import Observation, SpanKey
from billing.schema import KINDS
from billing.segment import Segment


@dataclass(slots=True)
class PendingSpan:
    """Readings of one span that wait to be folded, by the batch they came in; the first has waited since `since`."""

    since: float
    batches: list[tuple[str, list[Observation]]] = field(default_factory=list)
    reading_count: int = 0

    def observations(self, batches: int | None = None) -> list[Observation]:
        """The readings of the first `batches` batches, by default of all."""
        return [observation for _, some in self.batches[:batches] for observation in some]


class Tail:
    """Pending readings by span, and for each batch in how many spans it still waits.

    Everything here is in the log too; losing it loses nothing. It holds at most about `reading_limit` readings: what
    does not fit stays in the log until there is room.
    """

    def __init__(self, reading_limit: int) -> None:
        self._reading_limit = reading_limit
        self._pending: dict[SpanKey, PendingSpan] = {}
        self._by_device: dict[str, set[SpanKey]] = {}
        self._full: dict[SpanKey, None] = {}
        self._open_spans: dict[str, int] = {}
        self.reading_count = 0

    @property
    def batch_ids(self) -> Collection[str]:
        """The batches held, folded ones not yet marked so among them."""
        return self._open_spans.keys()

    @property
    def has_room(self) -> bool:
        """False when the limit is reached and further segments stay in the log only."""
        return self.reading_count < self._reading_limit

    def oldest_since(self) -> float | None:
        """When the reading that has waited longest began to wait."""
        return next((pending.since for pending in self._pending.values()), None)

    def hold(self, segment: Segment, now: float) -> bool:
        """Takes a logged segment in; False when there is no room for it. One already held is not taken twice."""
        if segment.batch_id in self._open_spans or not segment.spans:
            return True
        if not self.has_room:
            return False
        self._open_spans[segment.batch_id] = len(segment.spans)
        for key, observations in segment.spans.items():
            pending = self._pending.get(key)
            if pending is None:
                pending = self._pending[key] = PendingSpan(now)
                self._by_device.setdefault(key.device_id, set()).add(key)
            pending.batches.append((segment.batch_id, observations))
            pending.reading_count += len(observations)
            if pending.reading_count * observations[-1].interval_ms >= KINDS[key.kind].span_ms:
                self._full[key] = None
        self.reading_count += len(segment.readings)
        return True

    def due(self, now: float, wait_seconds: float, limit: int) -> list[SpanKey]:
        """At most `limit` spans to fold now: full ones, those that waited long, and under pressure the oldest."""
        keys = list(self._full)[:limit]
        for key, pending in self._pending.items():
            if len(keys) >= limit or (
                now - pending.since < wait_seconds and self.reading_count * 2 < self._reading_limit
            ):
                break
            if key not in self._full:
                keys.append(key)
        return keys

    def snapshot(self, keys: Iterable[SpanKey]) -> dict[SpanKey, int]:
        """How many batches each span holds now: what `folded` may later let go of."""
        return {key: len(self._pending[key].batches) for key in keys}

    def observations(self, key: SpanKey, batches: int | None = None) -> list[Observation]:
        """The pending readings of a span, of its first `batches` batches."""
        return self._pending[key].observations(batches)

    def batches_of(self, key: SpanKey, batches: int) -> list[str]:
        """The first `batches` batches that wait in a span."""
        return [batch_id for batch_id, _ in self._pending[key].batches[:batches]]

    def folded(self, snapshot: Mapping[SpanKey, int], now: float) -> list[str]:
        """Lets go of what was folded; returns the batches of which nothing waits any more, to be marked in the log."""
        done = []
        for key, batches in snapshot.items():
            pending = self._pending.pop(key)
            self._full.pop(key, None)
            gone, kept = pending.batches[:batches], pending.batches[batches:]
            for batch_id, observations in gone:
                self.reading_count -= len(observations)
                self._open_spans[batch_id] -= 1
                if not self._open_spans[batch_id]:
                    done.append(batch_id)
            if kept:
                remaining = sum(len(observations) for _, observations in kept)
                self._pending[key] = PendingSpan(now, kept, remaining)
            else:
                self._forget_device_span(key)
        return done

    def marked(self, batch_ids: Iterable[str]) -> None:
        """Forgets batches that the log now says are folded."""
        for batch_id in batch_ids:
            self._open_spans.pop(batch_id, None)

    def of_devices(self, device_ids: Iterable[str]) -> dict[SpanKey, list[Observation]]:
        """The pending readings of some devices."""
        return {
            key: self._pending[key].observations()
            for device_id in device_ids
            for key in self._by_device.get(device_id, ())
        }

    def _forget_device_span(self, key: SpanKey) -> None:
        keys = self._by_device[key.device_id]
        keys.discard(key)
        if not keys:
            del self._by_device[key.device_id]
