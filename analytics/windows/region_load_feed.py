"""Tells whoever watches in this process what the load of regions is, and of each window as it is closed by any replica.

All watchers share the newest look and the last windows; none has a queue of its own. Who reads slowly gets the newest
load when it comes to it, and is told how many windows it has missed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from itertools import dropwhile
from typing import NamedTuple

from pymongo.errors import PyMongoError

from analytics.windows.live_load import LiveLoad
from analytics.windows.region_window import HOUR_MS, RegionWindow
from analytics.windows.region_window_store import RegionWindowStore
from analytics.windows.window_metrics import RegionLoadMetrics
from common.logs import get_logger
from common.looks import Looks

_KEPT_WINDOWS = 5_000
# By which the clocks of replicas may differ, and a write may take.
_CLOCKS_DIFFER_MS = 30_000

_log = get_logger(__name__)


class News(NamedTuple):
    """What a watcher is told: loads now, windows closed since it was told last, and how many it has missed."""

    loads: Sequence[LiveLoad]
    windows: Sequence[RegionWindow]
    missed_window_count: int


class RegionLoadFeed:
    """Looks every `look_seconds`, as a background task; `loads` gives the live load of every region, by region."""

    def __init__(
        self,
        *,
        loads: Callable[[], Awaitable[Sequence[LiveLoad]]],
        windows: RegionWindowStore,
        metrics: RegionLoadMetrics,
        look_seconds: float,
        now_ms: Callable[[], int],
    ) -> None:
        self._current = loads
        self._windows = windows
        self._metrics = metrics
        self._look_seconds = look_seconds
        self._now_ms = now_ms
        self._loads: Sequence[LiveLoad] = ()
        self._newest: dict[str, RegionWindow] = {}
        self._closed: deque[tuple[int, RegionWindow]] = deque(maxlen=_KEPT_WINDOWS)
        self._closed_count = 0
        self._seen: set[tuple[str, int, int]] = set()
        self._look_from_ms: int | None = None
        self._looks = Looks()

    async def run(self) -> None:
        """Looks until cancelled; a store that is away is asked again."""
        while True:
            try:
                await self.look()
            except PyMongoError as away:
                _log.warning("region_load_not_read", cause=type(away).__name__)
            await asyncio.sleep(self._look_seconds)

    async def look(self) -> None:
        """Looks once, and tells."""
        self._loads = await self._current()
        await self._look_at_windows()
        self._metrics.show(self._loads, {region: window.end_ms for region, window in self._newest.items()})
        await self._looks.add()

    async def close(self) -> None:
        """Ends every watch with `ShuttingDown`."""
        await self._looks.close()

    async def watch(self, regions: Collection[str]) -> AsyncGenerator[News, None]:
        """The load of some regions, or of all where none is named, at once and whenever a look has found news.

        Raises:
            ShuttingDown: the process stops.
        """
        told, windows = self._closed_count, _among(self._newest.values(), regions)
        missed_count, seen = 0, self._looks.count
        surveyed_ms: int | None = None
        if not self._looks.count:
            seen = await self._looks.next(seen)
            told, windows = self._closed_count, _among(self._newest.values(), regions)
        while True:
            loads = [load for load in self._loads if not regions or load.region in regions]
            # The fleet may not have been surveyed since.
            news = News([load for load in loads if load.now_ms != surveyed_ms], windows, missed_count)
            # The first answer says what is known, though it be nothing.
            if any(news) or surveyed_ms is None:
                yield news
            surveyed_ms = loads[0].now_ms if loads else surveyed_ms or 0
            seen = await self._looks.next(seen)
            missed_count = max(0, self._closed_count - told - len(self._closed))
            untold = dropwhile(lambda numbered: numbered[0] <= told, tuple(self._closed))  # noqa: B023 - used at once
            windows = _among((window for _, window in untold), regions)
            told = self._closed_count

    async def _look_at_windows(self) -> None:
        is_first = self._look_from_ms is None
        from_ms = self._now_ms() - HOUR_MS if self._look_from_ms is None else self._look_from_ms
        found = await self._windows.closed_since(from_ms)
        for window in found:
            if (window.region, window.start_ms, window.version) in self._seen:
                continue
            newest = self._newest.get(window.region)
            if newest is None or window.start_ms >= newest.start_ms:
                self._newest[window.region] = window
            if not is_first:
                self._closed_count += 1
                self._closed.append((self._closed_count, window))
        self._seen = {(window.region, window.start_ms, window.version) for window in found}
        self._look_from_ms = max(from_ms, (found[-1].close_ms if found else self._now_ms()) - _CLOCKS_DIFFER_MS)


def _among(windows: Iterable[RegionWindow], regions: Collection[str]) -> list[RegionWindow]:
    return [window for window in windows if not regions or window.region in regions]
