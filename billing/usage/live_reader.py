"""Answers what devices do now: from Redis when it knows, else from the store and the log."""

from collections.abc import Mapping, Sequence

from redis.exceptions import RedisError

from billing.cold.history_store import HistoryStore
from billing.cold.span import Span
from billing.live.hot_reading import Latest
from billing.live.live_cache import CacheEntry, LiveCache
from billing.live.live_publisher import LivePublisher
from billing.live.live_state import WINDOW_MS, LiveState, Timed, advanced
from billing.live.live_store import LiveStore
from billing.log.observation import Observation, SpanKey
from billing.log.schema import KINDS
from billing.log.tail_reader import TailReader


class LiveReader:
    """Reads the states of devices; what the cache did not know is brought into it."""

    def __init__(
        self, *, cache: LiveCache, store: LiveStore, history: HistoryStore, tail: TailReader, publisher: LivePublisher
    ) -> None:
        self._cache = cache
        self._store = store
        self._history = history
        self._tail = tail
        self._publisher = publisher

    async def find(self, device_ids: Sequence[str]) -> dict[str, LiveState]:
        """The states of some devices, of those that have a reading.

        Raises:
            pymongo.errors.PyMongoError: the store is away, and the cache does not know all of them.
        """
        # The cache is written a little later, and under load later still.
        waiting = self._publisher.waiting(device_ids)
        entries = await self._entries(device_ids)
        states = {device_id: entry.state for device_id, entry in entries.items() if entry.is_whole}
        missing = [device_id for device_id in device_ids if device_id not in states]
        if missing:
            stored = await self._from_store(missing)
            await self._fill({device_id: entries[device_id] for device_id in missing if device_id in entries}, stored)
            states |= stored
        for device_id, (kind, readings) in waiting.items():
            states[device_id] = advanced(states.get(device_id), kind, device_id, readings)
        return {device_id: state for device_id, state in states.items() if state is not None}

    async def _entries(self, device_ids: Sequence[str]) -> dict[str, CacheEntry]:
        if self._publisher.is_behind:
            return {}
        try:
            return await self._cache.open(device_ids)
        except RedisError:
            return {}

    async def _from_store(self, device_ids: Sequence[str]) -> dict[str, LiveState]:
        # In this order: what is folded meanwhile is then seen twice, and never missed.
        pending = _measured(await self._tail.pending(device_ids))
        hot = await self._store.find(device_ids)
        spans = await self._newest_spans(pending, hot)
        readings: dict[str, list[Timed]] = {
            device_id: [(one.start_ms, one.observation)] for device_id, one in hot.items()
        }
        kinds = {device_id: one.kind for device_id, one in hot.items()}
        received = {device_id: one.last_receive_ms for device_id, one in hot.items()}
        for key, observations in pending.items():
            received[key.device_id] = max(
                received.get(key.device_id, 0), *(observation.receive_ms for observation in observations)
            )
        for key, span in spans.items():
            kinds.setdefault(key.device_id, key.kind)
            readings.setdefault(key.device_id, []).extend(
                (key.span_start_ms + observation.offset_ms, observation) for observation in span.measured_in_order()
            )
        states = {}
        for device_id, some in readings.items():
            state = advanced(None, kinds[device_id], device_id, some, received.get(device_id, 0))
            if state is not None:
                states[device_id] = state
        return states

    async def _newest_spans(
        self, pending: Mapping[SpanKey, Sequence[Observation]], hot: Mapping[str, Latest]
    ) -> dict[SpanKey, Span]:
        """The spans in which the five minutes up to the newest reading of each device lie, with what is pending."""
        newest_ms = {(one.kind, device_id): one.start_ms for device_id, one in hot.items()}
        for key, observations in pending.items():
            start_ms = key.span_start_ms + max(observation.offset_ms for observation in observations)
            of_device = (key.kind, key.device_id)
            newest_ms[of_device] = max(newest_ms.get(of_device, start_ms), start_ms)
        spans: dict[SpanKey, Span] = {}
        for kind in KINDS.values():
            keys = {
                SpanKey(kind.name, device_id, at_ms - at_ms % kind.span_ms)
                for (name, device_id), start_ms in newest_ms.items()
                if name == kind.name
                for at_ms in (start_ms - WINDOW_MS + 1, start_ms)
            }
            if keys:
                known = await self._history.find(kind, sorted(keys))
                for key in keys:
                    spans[key] = known.get(key, Span())
                    spans[key].fold(pending.get(key, ()))
        return spans

    async def _fill(self, entries: Mapping[str, CacheEntry], stored: Mapping[str, LiveState]) -> None:
        current = dict(entries)
        try:
            while current:
                lost = await self._cache.replace(
                    {device_id: (entry, _joined(entry, stored.get(device_id))) for device_id, entry in current.items()},
                    whole=True,
                )
                # Written to by a publisher meanwhile: joined with that. One that has ended is left alone, and so is
                # one that was opened since, for what was read here may be older than it.
                found = await self._cache.find(lost)
                current = {
                    device_id: entry for device_id, entry in found.items() if entry.opened == current[device_id].opened
                }
        except RedisError:
            return


def _measured(pending: Mapping[SpanKey, Sequence[Observation]]) -> dict[SpanKey, list[Observation]]:
    found = {key: [one for one in observations if not one.quality] for key, observations in pending.items()}
    return {key: observations for key, observations in found.items() if observations}


def _joined(entry: CacheEntry, stored: LiveState | None) -> LiveState | None:
    if stored is None:
        return entry.state
    return advanced(entry.state, stored.kind, stored.device_id, stored.readings, stored.last_receive_ms)
