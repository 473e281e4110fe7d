"""Removes segments of the log that are old, once every reading in them was found again at rest."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter
from pymongo.errors import PyMongoError

from billing.cold.history_store import HistoryStore
from billing.cold.sealed_day_store import SealedDayStore
from billing.log.log_store import LogStore
from billing.log.schema import DAY_MS, KINDS
from billing.log.segment import Segment, of_devices
from common.clock import now_ms
from common.logs import get_logger

_log = get_logger(__name__)

_ROUND_SECONDS = 3600.0
_RETRY_SECONDS = 30.0
_GIVE_WAY_SECONDS = 5.0
_SEGMENTS_AT_ONCE = 20


class LogRetentionMetrics:
    """Counters of one task."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.removed = Counter("billing_segments_expired", "Segments of the log that were let go.", registry=registry)
        self.differing = Counter(
            "billing_segments_differing",
            "Times that an old segment was kept, for not all of its readings are at rest.",
            registry=registry,
        )


@dataclass(frozen=True, slots=True)
class LogRetention:
    """Lets go of segments recorded more than `log_days` ago; several at once, killed at any moment, do no harm.

    A segment goes only when it is folded whole and folding it again would change nothing: then the cold documents,
    which keep what was superseded as well, hold each of its readings. Of a sealed day they did. Segments with readings
    that were set aside stay for ever. Only then does one get its `expire_at`, which alone the server acts on.
    """

    log: LogStore
    history: HistoryStore
    sealed_days: SealedDayStore
    log_days: int
    metrics: LogRetentionMetrics
    give_way: Callable[[float], Awaitable[None]]
    clock_ms: Callable[[], int] = now_ms

    async def run(self) -> None:
        """Works until cancelled; a store that is away is waited for."""
        while True:
            try:
                await self.log.prepare_expiry()
                await self.let_go()
                await asyncio.sleep(_ROUND_SECONDS)
            except PyMongoError as failure:
                _log.warning("log_retention_postponed", cause=type(failure).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def let_go(self) -> None:
        """One round over all old segments."""
        before_ms = self.clock_ms() - self.log_days * DAY_MS
        place = None
        while True:
            await self.give_way(_GIVE_WAY_SECONDS)
            found = await self.log.old_ids(before_ms, place, _SEGMENTS_AT_ONCE)
            if not found:
                return
            place = found[-1]
            folded = await self.log.folded_whole([batch_id for _, batch_id in found])
            verified = [one.batch_id for one in await self.log.load(folded) if await self._is_at_rest(one)]
            if verified:
                await self.log.expire(verified, self.clock_ms())
                self.metrics.removed.inc(len(verified))

    async def _is_at_rest(self, segment: Segment) -> bool:
        device_ids = {device_id for columns in segment.kinds for device_id in columns.device_ids}
        readings = of_devices([segment], device_ids)
        for kind in KINDS.values():
            keys = [key for key in readings if key.kind == kind.name]
            spans = await self.history.find(kind, keys)
            for key in keys:
                if key in spans and not spans[key].fold(readings[key]):
                    continue
                start_ms = key.span_start_ms
                if not await self.sealed_days.find(kind, key.device_id, start_ms, start_ms + kind.span_ms):
                    _log.error("segment_differs_from_rest", batch_id=segment.batch_id, device_id=key.device_id)
                    self.metrics.differing.inc()
                    return False
        return True
