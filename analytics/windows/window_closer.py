"""Closes the windows of regions when everything that belongs in them is on record, and again when something came late.

Any number of replicas may do it at once: the first version of a window is put in and the next ones replace the one that
was looked at, so that of two who do the same one writes. Each begins with other regions, so they seldom do.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import grpc
from pymongo.errors import PyMongoError

from analytics.windows.due_window import DueWindow, by_hour
from analytics.windows.open_windows import OpenWindows
from analytics.windows.region_capacity import RegionCapacity
from analytics.windows.region_window import WINDOW_MS, RegionWindow, closable_end_ms, next_version
from analytics.windows.window_metrics import WindowMetrics
from analytics.windows.window_stores import WindowStores
from analytics.windows.window_summing import WindowSumming
from common.logs import get_logger

_LOOK_SECONDS = 1.0
_AWAY_SECONDS = 5.0
_DUE_A_LOOK = 256
_DUE_A_ROUND = 16
# What is not urgent has a third of the time: the rest is for the log, the merger and whoever asks.
REST_PER_WORK = 2.0
_REST_SECONDS_MAXIMUM = 60.0
_AWAY = (PyMongoError, grpc.aio.AioRpcError)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClosingSettings:
    """How long windows wait for the late, how far back is caught up, how many at a time, and how long others rest.

    `kept_ms` is how far back at most where it is known through when all were closed.
    """

    lateness_ms: int
    catch_up_ms: int
    concurrency: int
    rest_per_work: float = REST_PER_WORK
    kept_ms: int = 0


class WindowCloser:
    """`run()` must run as a background task; `told` is called after something was stored that has an event to tell."""

    def __init__(
        self,
        *,
        me: str,
        summing: WindowSumming,
        stores: WindowStores,
        settings: ClosingSettings,
        metrics: WindowMetrics,
        told: Callable[[], None],
    ) -> None:
        self._me = me
        self._summing = summing
        self._stores = stores
        self._settings = settings
        self._metrics = metrics
        self._told = told
        self._open: OpenWindows | None = None
        self._closed_through_ms: int | None = None
        self._due: list[list[DueWindow]] = []
        self._through_ms: int | None = None

    async def run(self) -> None:
        """Closes until cancelled; billing or a store that is away is asked again."""
        await self._summing.wait_ready()
        # Apart, so that the newest window, from which prices follow, waits for nothing that has time.
        async with asyncio.TaskGroup() as paces:
            paces.create_task(self._repeat(self.close_newest), name="newest_windows")
            paces.create_task(self._repeat(self.catch_up), name="missed_windows")

    async def _repeat(self, work: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        while True:
            wait_seconds = _LOOK_SECONDS
            try:
                if await work():
                    wait_seconds = 0.0
            except _AWAY as away:
                _log.warning("windows_not_closed", cause=_cause(away))
                wait_seconds = _AWAY_SECONDS
            await asyncio.sleep(wait_seconds)

    async def close_newest(self) -> bool:
        """Closes the newest window that may be closed in every region; False, for there is no other like it."""
        self._through_ms = await self._summing.complete_through_ms()
        if self._through_ms is None:
            return False
        closable_ms = closable_end_ms(self._through_ms, self._settings.lateness_ms)
        if self._open is None:
            self._open = await self._opened(closable_ms)
        self._open.know(closable_ms)
        start_ms = self._open.last_known
        if start_ms is not None and await self._close([start_ms], in_haste=True):
            self._open.tried([start_ms], are_closed=True)
        self._metrics.open.set(len(self._open))
        return False

    async def _opened(self, closable_ms: int) -> OpenWindows:
        """What is open at the start: what nobody was there to close, however long."""
        settings, closed_ms = self._settings, await self._stores.progress.closed_through_ms()
        missed_ms = 0 if closed_ms is None else min(closable_ms - closed_ms, settings.kept_ms)
        return OpenWindows(max(settings.catch_up_ms, missed_ms), settings.kept_ms)

    async def catch_up(self) -> bool:
        """Closes the newest that were missed, an hour of them, and some that are due; whether more waits."""
        through_ms = self._through_ms
        if through_ms is None or self._open is None:
            return False
        starts_ms = self._open.newest_missed()
        if starts_ms:
            self._open.tried(starts_ms, are_closed=await self._close(starts_ms, in_haste=False))
        self._metrics.open.set(len(self._open))
        closed_ms = self._open.closed_through_ms
        if closed_ms is not None and closed_ms != self._closed_through_ms:
            await self._stores.progress.closed(closed_ms)
            self._closed_through_ms = closed_ms
        has_more_due = await self._close_due(through_ms)
        return has_more_due or self._open.has_untried

    async def _close(self, starts_ms: Sequence[int], *, in_haste: bool) -> bool:
        """Whether the windows, which are of one hour, are closed in every region then."""
        missing: dict[str, list[int]] = {}
        regions = self._summing.regions()
        for start_ms in starts_ms:
            closed = await self._stores.windows.closed_regions(start_ms)
            for region in regions:
                if region not in closed:
                    missing.setdefault(region, []).append(start_ms)
        capacities = await self._stores.capacities.history(()) if missing else {}
        ordered = sorted(missing, key=lambda region: zlib.crc32(f"{self._me}/{region}".encode()))
        return await self._each(
            (self._close_first(region, missing[region], capacities) for region in ordered), in_haste=in_haste
        )

    async def _close_first(
        self, region: str, starts_ms: Sequence[int], capacities: Mapping[str, Sequence[RegionCapacity]]
    ) -> bool:
        least_through_ms = {
            start_ms: start_ms + WINDOW_MS + self._settings.lateness_ms
            for start_ms in starts_ms
            # Another replica may have been here meanwhile.
            if await self._stores.windows.find(region, start_ms) is None
        }
        if not least_through_ms:
            return True
        windows = await self._summing.summed(region, least_through_ms, capacities)
        for window in windows.values():
            if await self._stores.windows.close_first(window):
                self._metrics.closed.labels(region).inc()
                self._told()
        return windows.keys() == least_through_ms.keys()

    async def _close_due(self, through_ms: int) -> bool:
        """Sums up again what came late for; whether more of it waits."""
        if not self._summing.has_time_for_late():
            return False
        if not self._due:
            self._due = by_hour(await self._stores.due.ripe(through_ms, _DUE_A_LOOK))
        due, self._due = self._due[:_DUE_A_ROUND], self._due[_DUE_A_ROUND:]
        if not due:
            return False
        capacities = await self._stores.capacities.history(())
        is_done = await self._each((self._close_again(some, capacities) for some in due), in_haste=False)
        return is_done and bool(self._due)

    async def _close_again(self, due: Sequence[DueWindow], capacities: Mapping[str, Sequence[RegionCapacity]]) -> bool:
        """Sums up windows of one region and hour; whether all of them are done."""
        region = due[0].region
        left: dict[int, tuple[DueWindow, RegionWindow | None]] = {}
        has_meters = bool(self._summing.meter_ids(region))
        for one in due:
            before = await self._stores.windows.find(region, one.start_ms)
            if before is not None and one.is_done_by(before.complete_through_ms):
                await self._stores.due.done(one, before.complete_through_ms)
            elif has_meters:
                left[one.start_ms] = (one, before)
            else:
                # They were moved to other regions, so there is nothing to be summed up.
                await self._stores.due.done(one, one.latest_ms + 1)
        if not left:
            return True
        least_through_ms = {
            start_ms: max(one.first_ms, before.complete_through_ms if before else 0) + 1
            for start_ms, (one, before) in left.items()
        }
        try:
            windows = await self._summing.summed(region, least_through_ms, capacities)
        except grpc.aio.AioRpcError as refusal:
            if refusal.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            # Their quarter-hours were removed, however often it is asked: what was closed then stays as it is.
            _log.warning("late_windows_left", region=region, start_ms=min(left), windows=len(left))
            for one, _ in left.values():
                await self._stores.due.done(one, one.latest_ms + 1)
            return True
        is_stored = [await self._store(*left[start_ms], window) for start_ms, window in windows.items()]
        return len(is_stored) == len(left) and all(is_stored)

    async def _store(self, due: DueWindow, before: RegionWindow | None, now: RegionWindow) -> bool:
        """Stores a window that was summed up again; False when another replica was first, or it was closed again."""
        if before is None:
            if not await self._stores.windows.close_first(now):
                return False
            self._metrics.closed.labels(due.region).inc()
            self._told()
        elif (after := next_version(before, now)) is None:
            self._metrics.unchanged.inc()
        else:
            if not await self._stores.windows.replace(after):
                return False
            self._metrics.corrected.labels(due.region).inc()
            self._told()
        await self._stores.due.done(due, now.complete_through_ms)
        return True

    async def _each(self, works: Iterable[Coroutine[Any, Any, bool]], *, in_haste: bool) -> bool:
        """Does some works, a few at a time, and those that can be even if others cannot; whether all were done.

        Without haste it rests after each few, so that billing has time for others.
        """
        loop = asyncio.get_running_loop()
        waiting = iter(works)
        is_done = True
        while some := list(islice(waiting, self._settings.concurrency)):
            started = loop.time()
            for outcome in await asyncio.gather(*some, return_exceptions=True):
                if isinstance(outcome, _AWAY):
                    self._metrics.failed.inc()
                    _log.warning("window_not_closed", cause=_cause(outcome))
                elif isinstance(outcome, BaseException):
                    raise outcome
                is_done = is_done and outcome is True
            if not in_haste:
                await asyncio.sleep(min(self._settings.rest_per_work * (loop.time() - started), _REST_SECONDS_MAXIMUM))
        return is_done


def _cause(away: BaseException) -> str:
    return away.code().name if isinstance(away, grpc.aio.AioRpcError) else type(away).__name__
