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
from energy.registry.v1 import device_pb2
from pymongo.errors import PyMongoError

from analytics.due_window import DueWindow
from analytics.due_window_store import DueWindowStore
from analytics.open_windows import OpenWindows
from analytics.region_capacity import RegionCapacity, capacity_at
from analytics.region_capacity_store import RegionCapacityStore
from analytics.region_window import WINDOW_MS, RegionWindow, closable_end_ms, next_version
from analytics.region_window_store import RegionWindowStore
from analytics.window_metrics import WindowMetrics
from analytics.window_usage import WindowUsage
from common.logs import get_logger
from common.registry_cache import RegistryCache

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
    """How long windows wait for the late, how far back is caught up, how many at a time, and how long others rest."""

    lateness_ms: int
    catch_up_ms: int
    concurrency: int
    rest_per_work: float = REST_PER_WORK


@dataclass(frozen=True, slots=True)
class WindowStores:
    """Where windows, what is due and what regions can carry rest."""

    windows: RegionWindowStore
    due: DueWindowStore
    capacities: RegionCapacityStore

    async def prepare(self) -> None:
        """Makes every index; harmless when they are there."""
        await self.windows.prepare()
        await self.due.prepare()
        await self.capacities.prepare()


class WindowCloser:
    """`run()` must run as a background task; `told` is called after something was stored that has an event to tell."""

    def __init__(
        self,
        *,
        me: str,
        registry: RegistryCache,
        usage: WindowUsage,
        stores: WindowStores,
        settings: ClosingSettings,
        metrics: WindowMetrics,
        told: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._me = me
        self._registry = registry
        self._usage = usage
        self._stores = stores
        self._settings = settings
        self._metrics = metrics
        self._told = told
        self._now_ms = now_ms
        self._open = OpenWindows(settings.catch_up_ms)
        self._due: list[DueWindow] = []
        self._through_ms: int | None = None

    async def run(self) -> None:
        """Closes until cancelled; billing or a store that is away is asked again."""
        await self._registry.wait_complete()
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
        device_id = self._registry.any_device_id()
        self._through_ms = None if device_id is None else await self._usage.complete_through_ms(device_id)
        if self._through_ms is None:
            return False
        self._open.know(closable_end_ms(self._through_ms, self._settings.lateness_ms))
        start_ms = self._open.last_known
        if start_ms is not None and await self._close(start_ms, in_haste=True):
            self._open.tried(start_ms, is_closed=True)
        self._metrics.open.set(len(self._open))
        return False

    async def catch_up(self) -> bool:
        """Closes the newest that was missed, as `close_newest` knows, and some that are due; whether more waits."""
        through_ms = self._through_ms
        if through_ms is None:
            return False
        start_ms = self._open.newest()
        if start_ms is not None:
            is_ours = not self._open.is_last_known(start_ms)
            self._open.tried(start_ms, is_closed=is_ours and await self._close(start_ms, in_haste=False))
        self._metrics.open.set(len(self._open))
        has_more_due = await self._close_due(through_ms)
        return has_more_due or self._open.has_untried

    async def _close(self, start_ms: int, *, in_haste: bool) -> bool:
        """Whether the window is closed in every region then."""
        closed = await self._stores.windows.closed_regions(start_ms)
        missing = [region for region in self._registry.regions(device_pb2.DEVICE_KIND_METER) if region not in closed]
        capacities = await self._stores.capacities.history(()) if missing else {}
        missing.sort(key=lambda region: zlib.crc32(f"{self._me}/{region}".encode()))
        return await self._each(
            (self._close_first(region, start_ms, capacities) for region in missing), in_haste=in_haste
        )

    async def _close_first(
        self, region: str, start_ms: int, capacities: Mapping[str, Sequence[RegionCapacity]]
    ) -> bool:
        if await self._stores.windows.find(region, start_ms) is not None:
            return True
        window = await self._summed(region, start_ms, start_ms + WINDOW_MS + self._settings.lateness_ms, capacities)
        if window is None:
            return False
        if await self._stores.windows.close_first(window):
            self._metrics.closed.labels(region).inc()
            self._told()
        return True

    async def _close_due(self, through_ms: int) -> bool:
        """Sums up again what came late for; whether more of it waits."""
        if not self._due:
            self._due = await self._stores.due.ripe(through_ms, _DUE_A_LOOK)
        due, self._due = self._due[:_DUE_A_ROUND], self._due[_DUE_A_ROUND:]
        if not due:
            return False
        capacities = await self._stores.capacities.history(())
        is_done = await self._each((self._close_again(one, capacities) for one in due), in_haste=False)
        return is_done and bool(self._due)

    async def _close_again(self, due: DueWindow, capacities: Mapping[str, Sequence[RegionCapacity]]) -> bool:
        before = await self._stores.windows.find(due.region, due.start_ms)
        if before is not None and due.is_done_by(before.complete_through_ms):
            await self._stores.due.done(due, before.complete_through_ms)
            return True
        meter_ids = self._meter_ids(due.region)
        if not meter_ids:
            # They were moved to other regions, so there is nothing to be summed up.
            await self._stores.due.done(due, due.latest_ms + 1)
            return True
        least_ms = due.first_ms + 1
        if before is not None:
            least_ms = max(least_ms, before.complete_through_ms + 1)
        now = await self._summed(due.region, due.start_ms, least_ms, capacities)
        if now is None:
            return False
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

    async def _summed(
        self, region: str, start_ms: int, least_through_ms: int, capacities: Mapping[str, Sequence[RegionCapacity]]
    ) -> RegionWindow | None:
        """The window as its first version; None while billing's answer is not complete through so much."""
        meter_ids = self._meter_ids(region)
        sums, through_ms = await self._usage.sums(meter_ids, start_ms)
        if through_ms is None or through_ms < least_through_ms:
            return None
        load_range, range_through_ms = await self._usage.load_range(meter_ids, start_ms, sums)
        if range_through_ms is None or range_through_ms < least_through_ms:
            return None
        capacity = capacity_at(capacities.get(region, ()), start_ms + WINDOW_MS)
        return RegionWindow(
            region=region,
            start_ms=start_ms,
            version=1,
            sums=sums,
            meter_count=len(meter_ids),
            capacity_milliwatts=None if capacity is None else capacity.capacity_milliwatts,
            complete_through_ms=min(through_ms, range_through_ms),
            close_ms=self._now_ms(),
            load_range=load_range,
        )

    def _meter_ids(self, region: str) -> list[str]:
        devices = self._registry.by_region(region)
        return [device.device_id for device in devices if device.kind == device_pb2.DEVICE_KIND_METER]

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
