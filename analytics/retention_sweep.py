"""Lets go of what is old, by the settings: alerts that are over, and quarter-hours, of which the hours stay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter
from pymongo.errors import PyMongoError

from analytics.alerts.alert_store import AlertStore
from analytics.windows.region_hour_store import RegionHourStore
from analytics.windows.region_window import HOUR_MS, RegionWindow, hours_of
from analytics.windows.region_window_store import RegionWindowStore
from common.logs import get_logger

_ROUND_SECONDS = 3600.0
_RETRY_SECONDS = 30.0
_GIVE_WAY_SECONDS = 0.2
_AT_A_TIME = 2_000

_log = get_logger(__name__)


class RetentionSweep:
    """Looks every hour, by `run()`; several at once, killed at any moment, do no harm.

    What is None days old at most is kept for ever. An hour is kept before its quarters go, and once only, so that it is
    always of all of them: nothing that comes so late changes one any more.
    """

    def __init__(
        self,
        alerts: AlertStore,
        windows: RegionWindowStore,
        hours: RegionHourStore,
        registry: CollectorRegistry,
        *,
        alerts_kept_ms: int | None,
        windows_kept_ms: int | None,
        now_ms: Callable[[], int],
    ) -> None:
        self._alerts = alerts
        self._windows = windows
        self._hours = hours
        self._alerts_kept_ms = alerts_kept_ms
        self._windows_kept_ms = windows_kept_ms
        self._now_ms = now_ms
        self._alerts_removed = Counter("alerts_expired", "Alerts let go of for their age.", registry=registry)
        self._windows_removed = Counter(
            "region_windows_expired", "Quarter-hours of regions let go of for their age.", registry=registry
        )

    async def run(self) -> None:
        """Looks until cancelled; a store that is away is waited for."""
        while True:
            try:
                await self.sweep()
                await asyncio.sleep(_ROUND_SECONDS)
            except PyMongoError as away:
                _log.warning("retention_postponed", cause=type(away).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def sweep(self) -> None:
        """Lets go of all that is old now.

        Raises:
            PyMongoError: the store is away.
        """
        if self._alerts_kept_ms is not None:
            before_ms = self._now_ms() - self._alerts_kept_ms
            while count := await self._alerts.remove_over(before_ms, _AT_A_TIME):
                self._alerts_removed.inc(count)
                await asyncio.sleep(_GIVE_WAY_SECONDS)
        if self._windows_kept_ms is not None:
            before_ms = (self._now_ms() - self._windows_kept_ms) // HOUR_MS * HOUR_MS
            while count := await self._fold(before_ms):
                self._windows_removed.inc(count)
                await asyncio.sleep(_GIVE_WAY_SECONDS)

    async def _fold(self, before_ms: int) -> int:
        """Lets go of some windows; returns how many."""
        windows = whole_hours(await self._windows.older(before_ms, _AT_A_TIME), _AT_A_TIME)
        regions: dict[str, list[RegionWindow]] = {}
        for window in windows:
            regions.setdefault(window.region, []).append(window)
        await self._hours.keep([hour for some in regions.values() for hour in hours_of(some)])
        return await self._windows.remove(windows) if windows else 0


def whole_hours(windows: list[RegionWindow], limit: int) -> list[RegionWindow]:
    """Windows by start, without the last hour where there are so many that more of it may be left."""
    if len(windows) < limit:
        return windows
    last_hour = windows[-1].start_ms // HOUR_MS
    return [window for window in windows if window.start_ms // HOUR_MS != last_hour]
