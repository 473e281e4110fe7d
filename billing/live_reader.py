"""Answers what a device sent last: from Redis when it knows, else from the store and the log."""

from collections.abc import Sequence

from energy.billing.v1.usage_pb2 import LiveReading
from redis.exceptions import RedisError

from billing.live import Latest, newest
from billing.live_cache import LiveCache
from billing.live_publisher import LivePublisher
from billing.live_store import LiveStore
from billing.reading_codec import to_live_reading
from billing.tail_reader import TailReader


class LiveReader:
    """Reads newest readings; what the cache did not know is brought into it."""

    def __init__(self, *, cache: LiveCache, store: LiveStore, tail: TailReader, publisher: LivePublisher) -> None:
        self._cache = cache
        self._store = store
        self._tail = tail
        self._publisher = publisher

    async def find(self, device_ids: Sequence[str]) -> dict[str, LiveReading]:
        """The newest readings of some devices, of those that have one."""
        try:
            found = await self._cache.find(device_ids)
        except RedisError:
            found = {}
        # The cache is written a little later, and under load later still.
        for device_id, latest in self._publisher.waiting(device_ids).items():
            known = found.get(device_id)
            if known is not None and latest.order > known.order:
                found[device_id] = latest
        missing = [device_id for device_id in device_ids if device_id not in found]
        if missing:
            stored = await self._from_store(missing)
            self._publisher.offer(stored)
            found |= stored
        return {device_id: to_live_reading(latest) for device_id, latest in found.items()}

    async def _from_store(self, device_ids: Sequence[str]) -> dict[str, Latest]:
        pending = newest((await self._tail.pending(device_ids)).items())
        stored = await self._store.find(device_ids)
        for device_id, latest in pending.items():
            known = stored.get(device_id)
            if known is None or latest.order > known.order:
                stored[device_id] = latest
        return stored
