"""Finds the logged readings of some devices that are not folded yet, so that no answer is older than the log."""

from collections.abc import Collection, Iterable, Mapping

from billing.log.log_store import LogStore
from billing.log.observation import Observation, SpanKey
from billing.log.period import ALWAYS, Period
from billing.log.segment import Segment, of_devices
from billing.log.tail import Tail

_SEGMENTS_PER_LOAD = 50


class TailReader:
    """Reads this process's own tail from memory and what other replicas hold from the log.

    Segments never change, so those of others are kept once they were read, `kept_readings` at most.
    """

    def __init__(self, tail: Tail, log: LogStore, kept_readings: int = 100_000) -> None:
        self._tail = tail
        self._log = log
        self._kept_readings = kept_readings
        self._kept: dict[str, Segment] = {}
        self._kept_count = 0

    async def pending(self, device_ids: Collection[str], period: Period = ALWAYS) -> dict[SpanKey, list[Observation]]:
        """The unfolded readings of some devices that start in a period, by span.

        Must be read before the cold documents: what is folded in between is then seen twice, which changes nothing, and
        never missed.
        """
        # Of every partition: while their number changes each sender spreads by its own, and a reading logged before
        # the change waits where the old number put it.
        pending = await self._log.pending_ids(period)
        held = self._tail.batch_ids
        elsewhere = [batch_id for batch_id in pending if batch_id not in held]
        found = self._tail.of_devices(device_ids, period)
        missing, asked = [], frozenset(elsewhere)
        for batch_id in elsewhere:
            segment = self._kept.pop(batch_id, None)
            if segment is None:
                missing.append(batch_id)
            else:
                # As the one that was asked for last.
                self._kept[batch_id] = segment
                _extend(found, of_devices([segment], device_ids, period))
        for first in range(0, len(missing), _SEGMENTS_PER_LOAD):
            loaded = await self._log.load(missing[first : first + _SEGMENTS_PER_LOAD])
            _extend(found, of_devices(loaded, device_ids, period))
            for segment in loaded:
                self._keep(segment, asked)
        return found

    def _keep(self, segment: Segment, asked: Collection[str]) -> None:
        """Keeps a segment, in the place of those that were not asked for longest; of those asked for now none goes.

        Else a question about more than there is room for would find nothing kept when it is asked again.
        """
        if segment.batch_id in self._kept:
            return
        while not self._has_room(segment) and self._kept and (oldest := next(iter(self._kept))) not in asked:
            self._kept_count -= self._kept.pop(oldest).reading_count
        if self._has_room(segment):
            self._kept[segment.batch_id] = segment
            self._kept_count += segment.reading_count

    def _has_room(self, segment: Segment) -> bool:
        return self._kept_count + segment.reading_count <= self._kept_readings


def _extend(found: dict[SpanKey, list[Observation]], more: Mapping[SpanKey, list[Observation]]) -> None:
    for key, observations in more.items():
        found.setdefault(key, []).extend(observations)


def in_window(pending: Iterable[SpanKey], kind: str, span_ms: int, start_ms: int, end_ms: int) -> Iterable[SpanKey]:
    """The pending spans of one kind in which a reading of [start_ms, end_ms) may start."""
    return [key for key in pending if key.kind == kind and start_ms - span_ms < key.span_start_ms < end_ms]
