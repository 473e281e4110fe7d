"""When a region is overloaded: a pure rule over its closed windows, and who looks at these as they are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from pymongo.errors import PyMongoError

from analytics.alerts.alert import Alert, AlertType, Cause, Severity, Sighting
from analytics.alerts.alert_desk import AlertDesk
from analytics.alerts.alert_rule import AlertRules
from analytics.alerts.clock_causes import ClockCauses
from analytics.windows.region_load_feed import RegionLoadFeed
from analytics.windows.region_window import WINDOW_MS, RegionWindow, window_start_ms
from common.errors import ShuttingDown
from common.logs import get_logger

# The next window is closed a quarter of an hour later, and the time for the late; what is older says nothing about now.
_TIMELY_MS = 2 * WINDOW_MS

_log = get_logger(__name__)


def is_overloaded(
    windows: Sequence[RegionWindow], *, raise_percent: float, clear_percent: float, consecutive_windows: int
) -> bool | None:
    """Whether the newest windows of a region, by start, say that it is overloaded.

    It is when so many in a row, without a gap, are over the limit, and it is not when the newest is under the lower
    one. None: neither, so that it is what it was before.
    """
    percents = [window.load_percent for window in windows]
    if percents and percents[-1] is not None and percents[-1] < clear_percent:
        return False
    row = windows[-consecutive_windows:]
    if len(row) < consecutive_windows or row[-1].start_ms - row[0].start_ms != (consecutive_windows - 1) * WINDOW_MS:
        return None
    over = [window.load_percent is not None and window.load_percent > raise_percent for window in row]
    return True if all(over) else None


class ClosedWindows(Protocol):
    """Where closed windows rest."""

    async def between(self, region: str, start_ms: int, end_ms: int, limit: int) -> list[RegionWindow]:
        """The closed windows of a region that start in [start_ms, end_ms), by start, at most so many."""


class OverloadWatch:
    """Looks at a region when a window of it is closed, in whatever version, as a background task.

    Always at its newest windows: that one of this morning is corrected, or closed at last, says nothing about now. Nor
    do windows in which no meter was heard, or without a capacity.
    """

    def __init__(
        self,
        feed: RegionLoadFeed,
        windows: ClosedWindows,
        desk: AlertDesk,
        *,
        rules: Callable[[], AlertRules],
        known_alerts: Callable[[], Mapping[str, Alert] | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._feed = feed
        self._windows = windows
        self._causes = ClockCauses(desk)
        self._rules = rules
        self._known_alerts = known_alerts
        self._now_ms = now_ms

    async def run(self) -> None:
        """Looks until cancelled; a window that cannot be looked at now is, with those before it, at the next one."""
        with suppress(ShuttingDown):
            async for news in self._feed.watch(()):
                for region in dict.fromkeys(window.region for window in news.windows):
                    try:
                        await self.look_at(region)
                    except PyMongoError as away:
                        _log.warning("overload_not_looked_at", region=region, cause=type(away).__name__)
        await asyncio.Event().wait()

    async def look_at(self, region: str) -> None:
        """Looks at the newest windows of a region, unless these are of long ago.

        Raises:
            pymongo.errors.PyMongoError: the store is away.
        """
        cause = Cause(AlertType.REGION_OVERLOAD, region)
        profile = self._rules().profile_of_region(region)
        if not profile.raises(cause.type):
            self._causes.forget(cause)
            return
        now_ms = self._now_ms()
        count = int(profile.value(cause.type, "consecutive_windows"))
        raise_percent = profile.value(cause.type, "raise_percent")
        first_ms = window_start_ms(now_ms - _TIMELY_MS) - count * WINDOW_MS
        found = await self._windows.between(region, first_ms, now_ms, limit=(now_ms - first_ms) // WINDOW_MS + 1)
        last = max((place for place, one in enumerate(found) if one.load_percent is not None), default=-1)
        windows = found[: last + 1][-count:]
        if not windows or now_ms - windows[-1].end_ms > _TIMELY_MS:
            return
        says = is_overloaded(
            windows,
            raise_percent=raise_percent,
            # What rules of several scopes come to may contradict itself.
            clear_percent=min(profile.value(cause.type, "clear_percent"), raise_percent),
            consecutive_windows=count,
        )
        if says is None:
            return
        known = self._known_alerts() or {}
        newest = windows[-1]
        if says:
            sighting = Sighting(cause, Severity.HIGH, newest.start_ms, newest.load_percent, raise_percent)
            self._causes.seen(sighting, known)
        else:
            self._causes.gone(cause, known)
