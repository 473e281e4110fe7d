"""Brings what was logged a moment ago into the caches, one write per device and quarter of a second."""

import asyncio
from collections.abc import Collection, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter
from redis.exceptions import RedisError

from billing.live.answer_cache import AnswerCache
from billing.live.live_cache import CacheEntry, LiveCache
from billing.live.live_state import LiveState, Timed, advanced
from billing.log.segment import Segment, of_devices

_COALESCE_SECONDS = 0.25
_RETRY_SECONDS = 1.0
# A write of very many devices is followed by a longer pause, so that the cache never takes more than a share of us.
_PAUSE_PER_WRITE = 2.0
# What waits for a cache that is away is bounded; beyond that the cache is emptied when it is back.
_READINGS_MAXIMUM = 400_000

# The kind of a device and some of its readings.
_Readings = tuple[str, list[Timed]]


class LivePublisher:
    """Remembers segments until the entries of their devices have them; devices that nobody asks about have no entry."""

    def __init__(
        self,
        cache: LiveCache,
        answers: AnswerCache,
        registry: CollectorRegistry,
        readings_maximum: int = _READINGS_MAXIMUM,
    ) -> None:
        self._cache = cache
        self._answers = answers
        self._readings_maximum = readings_maximum
        self._segments: list[Segment] = []
        self._sending: list[Segment] = []
        self._reading_count = 0
        # How often something was forgotten, and up to which of these the cache has been emptied since.
        self._forgotten = 0
        self._emptied = 0
        self._failures = Counter(
            "billing_live_cache_failures", "Writes the live cache did not take.", registry=registry
        )

    @property
    def is_behind(self) -> bool:
        """True while the cache lacks what was forgotten here, and must not be believed."""
        return self._forgotten > self._emptied

    def offer_segment(self, segment: Segment) -> None:
        """Takes the readings of a segment that is in the log."""
        self._keep([segment])

    def waiting(self, device_ids: Collection[str]) -> dict[str, _Readings]:
        """What the cache may not have yet of some devices.

        Must be asked before the cache is: what is written in between is then seen twice, which changes nothing.
        """
        return _by_device([*self._sending, *self._segments], device_ids)

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
        sending, self._segments, self._reading_count = self._segments, [], 0
        self._sending = sending
        try:
            if self.is_behind:
                forgotten = self._forgotten
                await self._answers.clear()
                await self._cache.clear()
                self._emptied = forgotten
            await self._send(sending)
        except RedisError:
            self._failures.inc()
            self._keep(sending)
            return False
        finally:
            self._sending = []
        return True

    async def _send(self, segments: Sequence[Segment]) -> None:
        device_ids = list(
            dict.fromkeys(
                device_id for segment in segments for columns in segment.kinds for device_id in columns.device_ids
            )
        )
        await self._answers.end(device_ids)
        while device_ids:
            entries = await self._cache.find(device_ids)
            readings = _by_device(segments, entries)
            # Changed meanwhile by another process, or by whoever filled it: done again with what is there now.
            device_ids = await self._cache.replace(
                {
                    device_id: (entries[device_id], _advanced(device_id, entries[device_id], *some))
                    for device_id, some in readings.items()
                },
                whole=False,
            )

    def _keep(self, segments: Sequence[Segment]) -> None:
        self._segments += segments
        self._reading_count += sum(segment.reading_count for segment in segments)
        if self._reading_count > self._readings_maximum:
            self._segments, self._reading_count = [], 0
            self._forgotten += 1


def _advanced(device_id: str, entry: CacheEntry, kind: str, readings: Iterable[Timed]) -> LiveState | None:
    return advanced(entry.state, kind, device_id, readings)


def _by_device(segments: Sequence[Segment], device_ids: Collection[str]) -> dict[str, _Readings]:
    found: dict[str, _Readings] = {}
    for key, observations in of_devices(segments, device_ids).items():
        _, readings = found.setdefault(key.device_id, (key.kind, []))
        readings += [(key.span_start_ms + observation.offset_ms, observation) for observation in observations]
    return found
