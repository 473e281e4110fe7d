"""Finds the logged readings of some devices that are not folded yet, so that no answer is older than the log."""

from collections.abc import Collection, Iterable, Mapping

from billing.log_store import LogStore
from billing.observation import Observation, SpanKey
from billing.segment import Segment, of_devices
from billing.tail import Tail

_SEGMENTS_PER_LOAD = 50


class TailReader:
    """Reads this process's own tail from memory and what other replicas hold from the log.

    Segments never change, so those of others are read once and kept, `kept_readings` at most, until they are folded.
    """

    def __init__(self, tail: Tail, log: LogStore, kept_readings: int = 100_000) -> None:
        self._tail = tail
        self._log = log
        self._kept_readings = kept_readings
        self._kept: dict[str, Segment] = {}

    async def pending(self, device_ids: Collection[str]) -> dict[SpanKey, list[Observation]]:
        """The unfolded readings of some devices by span.

        Must be read before the cold documents: what is folded in between is then seen twice, which changes nothing, and
        never missed.
        """
        # Of every partition: while their number changes each sender spreads by its own, and a reading logged before
        # the change waits where the old number put it.
        pending = await self._log.pending_ids()
        held = self._tail.batch_ids
        elsewhere = [batch_id for batch_id in pending if batch_id not in held]
        found = self._tail.of_devices(device_ids)
        kept = {batch_id: self._kept[batch_id] for batch_id in elsewhere if batch_id in self._kept}
        _extend(found, of_devices(kept.values(), device_ids))
        room = self._kept_readings - sum(segment.reading_count for segment in kept.values())
        missing = [batch_id for batch_id in elsewhere if batch_id not in kept]
        for first in range(0, len(missing), _SEGMENTS_PER_LOAD):
            loaded = await self._log.load(missing[first : first + _SEGMENTS_PER_LOAD])
            _extend(found, of_devices(loaded, device_ids))
            for segment in loaded:
                if room >= segment.reading_count:
                    kept[segment.batch_id] = segment
                    room -= segment.reading_count
        # A call that ran meanwhile may have kept others: they are read again, and nothing is lost.
        self._kept = kept
        return found


def _extend(found: dict[SpanKey, list[Observation]], more: Mapping[SpanKey, list[Observation]]) -> None:
    for key, observations in more.items():
        found.setdefault(key, []).extend(observations)


def in_window(pending: Iterable[SpanKey], kind: str, span_ms: int, start_ms: int, end_ms: int) -> Iterable[SpanKey]:
    """The pending spans of one kind in which a reading of [start_ms, end_ms) may start."""
    return [key for key in pending if key.kind == kind and start_ms - span_ms < key.span_start_ms < end_ms]
