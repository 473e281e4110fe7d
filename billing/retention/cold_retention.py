"""Removes cold readings of days long past, once the roll-up of their day was made again from them and agreed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter
from pymongo.errors import PyMongoError

from billing.cold.day import day_of
from billing.cold.day_notice_store import Day
from billing.cold.day_store import DayStore, Sealing
from billing.cold.history_store import HistoryStore
from billing.live.live_store import LiveStore
from billing.log.schema import DAY_MS, KINDS, Kind
from common.clock import now_ms
from common.logs import get_logger

_log = get_logger(__name__)

_ROUND_SECONDS = 3600.0
_RETRY_SECONDS = 30.0
_GIVE_WAY_SECONDS = 5.0


class RetentionMetrics:
    """Counters of what is let go, and of what is not what it should be."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.removed = Counter("billing_days_expired", "Days whose cold readings were let go.", registry=registry)
        self.differing = Counter(
            "billing_days_differing",
            "Days kept, for their roll-up is not what their readings are.",
            registry=registry,
        )
        self.downsampled = Counter(
            "billing_days_downsampled",
            "Days whose quarter-hours were let go, their local days being kept.",
            registry=registry,
        )


@dataclass(frozen=True, slots=True)
class Retention:
    """Lets go of cold readings older than `raw_days`; several at once, killed at any moment, do no harm.

    A day is first sealed, atomically and only as it was checked; from then on it takes no reading, and late ones are
    set aside with their reason. Only then do its spans get their `expire_at`, which alone the server acts on.
    """

    history: HistoryStore
    days: DayStore
    live: LiveStore
    raw_days: int
    metrics: RetentionMetrics
    give_way: Callable[[float], Awaitable[None]]
    clock_ms: Callable[[], int] = now_ms

    async def run(self) -> None:
        """Works until cancelled; a store that is away is waited for."""
        while True:
            try:
                await self.history.prepare_expiry()
                await self.let_go()
                await asyncio.sleep(_ROUND_SECONDS)
            except PyMongoError as failure:
                _log.warning("retention_postponed", cause=type(failure).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def let_go(self) -> None:
        """One round over all devices."""
        end_ms = day_of(self.clock_ms() - self.raw_days * DAY_MS)
        for kind in KINDS.values():
            for device_id in await self.live.device_ids(kind):
                await self.give_way(_GIVE_WAY_SECONDS)
                at_ms = 0
                while (start_ms := await self.history.oldest_start_ms(kind, device_id, at_ms, end_ms)) is not None:
                    day = Day(device_id, day_of(start_ms))
                    await self._let_go(kind, day)
                    at_ms = day.start_ms + DAY_MS

    async def _let_go(self, kind: Kind, day: Day) -> None:
        await self.days.make_first(kind, await self.days.missing(kind, [day.device_id], day.start_ms))
        outcome: Sealing = await self.days.seal(kind, day)
        if outcome == "sealed":
            await self.history.expire(kind, day.device_id, day.start_ms, day.start_ms + DAY_MS, self.clock_ms())
            self.metrics.removed.inc()
        elif outcome == "differs":
            _log.error("day_differs_from_its_readings", kind=kind.name, device_id=day.device_id, day_ms=day.start_ms)
            self.metrics.differing.inc()
