"""Finds the logged readings of some devices that are not folded yet, so that no answer is older than the log."""

from collections.abc import Collection, Iterable

from billing.log_store import LogStore
from billing.observation import Observation, SpanKey
from billing.segment import of_devices
from billing.tail import Tail

_SEGMENTS_PER_LOAD = 50


class TailReader:
    """Reads this process's own tail from memory and what other replicas hold from the log."""

    def __init__(self, tail: Tail, log: LogStore) -> None:
        self._tail = tail
        self._log = log

    async def pending(self, device_ids: Collection[str]) -> dict[SpanKey, list[Observation]]:
        """The unfolded readings of some devices by span.

        Must be read before the cold documents: what is folded in between is then seen twice, which changes nothing, and
        never missed.
        """
        # Of every partition: while their number changes each sender spreads by its own, and a reading logged before
        # the change waits where the old number put it.
        unmerged = await self._log.unmerged_ids()
        held = self._tail.batch_ids
        elsewhere = [batch_id for batch_id in unmerged if batch_id not in held]
        found = self._tail.of_devices(device_ids)
        for first in range(0, len(elsewhere), _SEGMENTS_PER_LOAD):
            loaded = await self._log.load(elsewhere[first : first + _SEGMENTS_PER_LOAD])
            for key, observations in of_devices(loaded, device_ids).items():
                found.setdefault(key, []).extend(observations)
        return found


def in_window(
    pending: dict[SpanKey, list[Observation]], kind: str, span_ms: int, start_ms: int, end_ms: int
) -> Iterable[SpanKey]:
    """The pending spans of one kind in which a reading of [start_ms, end_ms) may start."""
    return [key for key in pending if key.kind == kind and start_ms - span_ms < key.span_start_ms < end_ms]
