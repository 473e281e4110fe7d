"""Brings the newest readings into Redis soon after the log has them, one write per device and quarter of a second."""

import asyncio
from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry, Counter
from redis.exceptions import RedisError

from billing.live import Latest, newest
from billing.live_cache import LiveCache
from billing.newest import Newest, newest_of_all
from billing.segment import Segment, of_devices

_COALESCE_SECONDS = 0.25
_RETRY_SECONDS = 1.0
# A write of very many devices is followed by a longer pause, so that the cache never takes more than a share of us.
_PAUSE_PER_WRITE = 2.0
# Segments beyond this are reduced to the newest reading of each device before more are taken.
_READINGS_MAXIMUM = 100_000


class LivePublisher:
    """Remembers segments, and of those that had to wait one newest reading a device, until the cache has taken them."""

    def __init__(self, cache: LiveCache, registry: CollectorRegistry) -> None:
        self._cache = cache
        self._segments: list[Segment] = []
        self._reading_count = 0
        self._offered: list[Latest] = []
        self._waiting: Mapping[str, Newest] = {}
        self._failures = Counter(
            "billing_live_cache_failures", "Writes the live cache did not take.", registry=registry
        )

    def offer_segment(self, segment: Segment) -> None:
        """Takes the readings of a segment; the newest of each device goes with the next write."""
        self._segments.append(segment)
        self._reading_count += segment.reading_count
        if self._reading_count > _READINGS_MAXIMUM:
            self._reduce()

    def offer(self, latest: Mapping[str, Latest]) -> None:
        """Takes newest readings; sent with the next write."""
        self._offered += latest.values()

    def waiting(self, device_ids: Collection[str]) -> dict[str, Latest]:
        """What the cache may not have yet: of some devices the newest reading that waits or is being written."""
        found = newest(of_devices(self._segments, device_ids).items())
        for known in self._waiting.values():
            for device_id in device_ids:
                candidate, best = known.find(device_id), found.get(device_id)
                if candidate is not None and (best is None or candidate.order > best.order):
                    found[device_id] = candidate
        return found

    async def run(self) -> None:
        """Writes what is waiting until cancelled; a cache that is away is tried again, for the store has all of it."""
        loop = asyncio.get_running_loop()
        pause_seconds = _COALESCE_SECONDS
        while True:
            await asyncio.sleep(pause_seconds)
            started = loop.time()
            is_taken = await self.flush()
            pause_seconds = max(_COALESCE_SECONDS, _PAUSE_PER_WRITE * (loop.time() - started))
            if not is_taken:
                pause_seconds = max(pause_seconds, _RETRY_SECONDS)

    async def flush(self) -> bool:
        """Writes what is waiting now; False when the cache is away."""
        self._reduce()
        sending = self._waiting
        try:
            for some in sending.values():
                await self._cache.advance(some)
        except RedisError:
            self._failures.inc()
            return False
        if self._waiting is sending:
            self._waiting = {}
        return True

    def _reduce(self) -> None:
        segments, self._segments, self._reading_count = self._segments, [], 0
        offered, self._offered = self._offered, []
        if segments or offered:
            self._waiting = newest_of_all(segments, self._waiting, offered)
