"""Brings the newest readings into Redis soon after the log has them, one write per device and quarter of a second."""

import asyncio
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter
from redis.exceptions import RedisError

from billing.live import Latest
from billing.live_cache import LiveCache

_COALESCE_SECONDS = 0.25
_RETRY_SECONDS = 1.0


class LivePublisher:
    """Remembers at most one newest reading a device until the cache has taken it."""

    def __init__(self, cache: LiveCache, registry: CollectorRegistry) -> None:
        self._cache = cache
        self._waiting: dict[str, Latest] = {}
        self._failures = Counter(
            "billing_live_cache_failures", "Writes the live cache did not take.", registry=registry
        )

    def offer(self, latest: Mapping[str, Latest]) -> None:
        """Takes the newest readings of a segment; sent with the next write."""
        for device_id, candidate in latest.items():
            known = self._waiting.get(device_id)
            if known is None or candidate.order > known.order:
                self._waiting[device_id] = candidate

    async def run(self) -> None:
        """Writes what is waiting until cancelled; a cache that is away is tried again, for the store has all of it."""
        while True:
            await asyncio.sleep(_COALESCE_SECONDS)
            if self._waiting and not await self.flush():
                await asyncio.sleep(_RETRY_SECONDS)

    async def flush(self) -> bool:
        """Writes what is waiting now; False when the cache is away."""
        sending, self._waiting = self._waiting, {}
        try:
            await self._cache.advance(sending.values())
        except RedisError:
            self._failures.inc()
            newer = self._waiting
            self._waiting = sending
            self.offer(newer)
            return False
        return True
