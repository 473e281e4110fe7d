"""Rolls days up in the background: those that ended a while ago, and again those of which an hour has changed since."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import islice

from prometheus_client import CollectorRegistry, Counter, Gauge
from pymongo.errors import PyMongoError

from billing.cold.background_share import BackgroundShare
from billing.cold.day import newest_ready_day
from billing.cold.day_notice_store import Day
from billing.cold.day_store import DayStore
from billing.live.live_store import LiveStore
from billing.log.schema import DAY_MS, KINDS, Kind
from common.clock import now_ms
from common.logs import get_logger

_log = get_logger(__name__)

_IDLE_SECONDS = 5.0
_RETRY_SECONDS = 2.0
# The merger and the log go first: after its own work this task rests so many times as long.
_REST_PER_WORK = 3.0
_DAYS_A_STEP = 20
# How many days back a device is looked after that was away when its day was swept.
_DAYS_SWEPT = 3


class RollerMetrics:
    """Counters of one roller."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.made = Counter("billing_days_rolled_up", "Days rolled up for the first time.", registry=registry)
        self.again = Counter("billing_days_rolled_up_again", "Days rolled up again after a change.", registry=registry)
        self.postponed = Counter(
            "billing_days_postponed", "Days put off because a fold of theirs was on its way.", registry=registry
        )
        self.failures = Counter("billing_roll_up_failures", "Rounds put off for the store failed.", registry=registry)
        self.swept = Gauge("billing_days_swept_to_seconds", "End of the newest day swept, epoch.", registry=registry)


class Roller:
    """Makes the documents of days. Several at once, killed at any moment, do no harm; they only do some work twice."""

    def __init__(
        self,
        *,
        days: DayStore,
        live: LiveStore,
        metrics: RollerMetrics,
        give_way: Callable[[float], Awaitable[None]],
        on_change: Callable[[Kind, Day], Awaitable[None]] | None = None,
        rest_per_work: float = _REST_PER_WORK,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._days = days
        self._live = live
        self._metrics = metrics
        self._share = BackgroundShare(give_way, rest_per_work)
        self._on_change = on_change
        self._clock_ms = clock_ms
        self._swept_day_ms: int | None = None

    async def run(self) -> None:
        """Rolls up until cancelled; a store that is away is waited for."""
        while True:
            try:
                await self.sweep()
                if not await self.make_due():
                    await asyncio.sleep(_IDLE_SECONDS)
            except PyMongoError as failure:
                _log.warning("roll_up_postponed", cause=type(failure).__name__)
                self._metrics.failures.inc()
                await asyncio.sleep(_RETRY_SECONDS)

    async def sweep(self) -> None:
        """Once a day and at the start: the days lately ended of every device that has ever sent."""
        newest_ms = newest_ready_day(self._clock_ms())
        if self._swept_day_ms == newest_ms:
            return
        for kind in KINDS.values():
            device_ids = await self._live.device_ids(kind)
            # Several replicas meet each other's work in the middle.
            random.SystemRandom().shuffle(device_ids)
            waiting = iter(device_ids)
            while some := list(islice(waiting, _DAYS_A_STEP)):
                for day_start_ms in range(newest_ms - (_DAYS_SWEPT - 1) * DAY_MS, newest_ms + 1, DAY_MS):
                    async with self._share.step():
                        await self._make_missing(kind, some, day_start_ms)
        self._swept_day_ms = newest_ms
        self._metrics.swept.set((newest_ms + DAY_MS) / 1000)

    async def make_due(self) -> bool:
        """Makes some of the days again that are due; False when none was."""
        found = False
        for kind in KINDS.values():
            for due in await self._days.due(kind, _DAYS_A_STEP):
                found = True
                async with self._share.step():
                    made = await self._days.make_again(kind, due, self._on_change)
                (self._metrics.again if made else self._metrics.postponed).inc()
        return found

    async def _make_missing(self, kind: Kind, device_ids: list[str], day_start_ms: int) -> None:
        missing = await self._days.missing(kind, device_ids, day_start_ms)
        self._metrics.made.inc(await self._days.make_first(kind, missing))
