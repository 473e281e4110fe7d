"""Lets go of quarter-hours of days long past that no bill can need any more; their local days stay."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from pymongo.errors import PyMongoError

from billing.cold.day import day_of
from billing.cold.day_notice_store import Day
from billing.live.live_store import LiveStore
from billing.log.schema import DAY_MS, KINDS, Kind
from billing.retention.cold_retention import RetentionMetrics
from billing.retention.settled_days import SettledDays
from billing.tariffs.device_registry import RegisteredDevice
from billing.usage.downsampled_day_store import DownsampledDayStore
from common.clock import now_ms
from common.errors import DeviceNotFound, MeshError
from common.logs import get_logger

_log = get_logger(__name__)

# A day more is let go each day, and looking for it goes through all that was let go before.
_ROUND_SECONDS = 6 * 3600.0
_RETRY_SECONDS = 30.0
_GIVE_WAY_SECONDS = 5.0


class Registry(Protocol):
    """Finds devices."""

    async def find(self, device_id: str) -> RegisteredDevice:
        """The device of an id; raises DeviceNotFound, and others when it is away."""


@dataclass(frozen=True, slots=True)
class QuarterHourRetention:
    """Lets go of quarter-hours older than `quarter_hour_days`; several at once, killed at any moment, do no harm.

    Only of days that are sealed, their readings having been let go, and that no bill still to be made stands on. A day
    is left its sums by local day, once they were seen to be those of its quarter-hours.
    """

    days: DownsampledDayStore
    live: LiveStore
    registry: Registry
    settled: SettledDays
    quarter_hour_days: int
    metrics: RetentionMetrics
    give_way: Callable[[float], Awaitable[None]]
    clock_ms: Callable[[], int] = now_ms

    async def run(self) -> None:
        """Works until cancelled; a store or a registry that is away is waited for."""
        while True:
            try:
                await self.let_go()
                await asyncio.sleep(_ROUND_SECONDS)
            except (PyMongoError, MeshError) as failure:
                _log.warning("quarter_hour_retention_postponed", cause=type(failure).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def let_go(self) -> None:
        """One round over all devices."""
        before_ms = day_of(self.clock_ms() - self.quarter_hour_days * DAY_MS)
        for kind in KINDS.values():
            for device_id in await self.live.device_ids(kind):
                await self.give_way(_GIVE_WAY_SECONDS)
                found = await self.days.sealed_days(kind, device_id, before_ms)
                if found:
                    await self._let_go(kind, device_id, found)

    async def _let_go(self, kind: Kind, device_id: str, days_ms: list[int]) -> None:
        try:
            device = await self.registry.find(device_id)
        except DeviceNotFound:
            # Nobody knows the clock of its site.
            return
        settled = await self.settled.among(device, days_ms)
        if len(settled) < len(days_ms):
            _log.info("quarter_hours_kept_for_bills", device_id=device_id, days_count=len(days_ms) - len(settled))
        for at_ms in settled:
            outcome = await self.days.downsample(kind, Day(device_id, at_ms), device.time_zone)
            if outcome == "downsampled":
                self.metrics.downsampled.inc()
            elif outcome == "differs":
                _log.error("day_differs_from_its_quarters", kind=kind.name, device_id=device_id, day_ms=at_ms)
                self.metrics.differing.inc()
