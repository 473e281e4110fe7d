"""Closes the windows of every region from what is stored, and once more where something came late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import grpc
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER
from prometheus_client import CollectorRegistry, Counter, Gauge
from pymongo.errors import PyMongoError

from analytics.region_usage import RegionUsageClient
from analytics.region_window import WINDOW_MS, Capacity, RegionWindow, capacity_at, ended_windows, sum_up
from analytics.region_window_store import RegionCapacityStore, RegionWindowStore
from common.logs import get_logger
from common.registry_cache import RegistryCache

_LOOK_SECONDS = 5.0
_STALE_AT_ONCE = 20
_AGAIN_MS = 3_600_000

_log = get_logger(__name__)


class WindowMetrics:
    """What can be seen of the closing."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.closed = Counter("region_windows_closed", "Windows of regions closed here.", registry=registry)
        self.corrected = Counter(
            "region_windows_corrected", "Closed windows that later data changed.", registry=registry
        )
        self.load_kw = Gauge("region_load_kw", "Mean load of the newest closed window.", ["region"], registry=registry)
        self.load_percent = Gauge(
            "region_load_percent", "The same in percent of the capacity.", ["region"], registry=registry
        )
        self.end = Gauge(
            "region_window_end_timestamp_seconds", "End of the newest closed window.", ["region"], registry=registry
        )

    def show(self, window: RegionWindow) -> None:
        """Takes a window that may be the newest of its region."""
        self.load_kw.labels(window.region).set(window.mean_load_kw)
        self.end.labels(window.region).set(window.end_ms / 1000)
        if window.load_percent is not None:
            self.load_percent.labels(window.region).set(window.load_percent)


class WindowCloser:
    """Any number of replicas may close the same windows: of a first version one is kept, and they are all the same.

    A window is closed once every reading acked until `lateness_ms` after its end is known to be stored. `told` is
    called after each. It goes back to the first closed window of a region, for at most `reach_ms`; of a region that has
    none it closes what has ended last.
    """

    def __init__(
        self,
        *,
        registry: RegistryCache,
        usage: RegionUsageClient,
        windows: RegionWindowStore,
        capacities: RegionCapacityStore,
        lateness_ms: int,
        reach_ms: int,
        clock_ms: Callable[[], int],
        told: Callable[[], None],
        metrics: WindowMetrics,
    ) -> None:
        self._registry = registry
        self._usage = usage
        self._windows = windows
        self._capacities = capacities
        self._lateness_ms = lateness_ms
        self._reach_ms = reach_ms
        self._clock_ms = clock_ms
        self._told = told
        self._metrics = metrics
        self._closed: dict[str, set[int]] = {}

    async def run(self) -> None:
        """Closes until cancelled; whoever is away is asked again."""
        await self._registry.wait_complete()
        is_started = False
        while True:
            try:
                if not is_started:
                    await self.start()
                    is_started = True
                await self.close_ended()
                await self.sum_up_stale()
            except (PyMongoError, grpc.aio.AioRpcError) as away:
                _log.warning("windows_not_closed", cause=type(away).__name__)
            await asyncio.sleep(_LOOK_SECONDS)

    async def start(self) -> None:
        """Reads which windows are closed; those of the last hour are to be summed up again, for a mark may be lost."""
        now_ms = self._clock_ms()
        self._closed = await self._windows.closed_since(now_ms - self._reach_ms - WINDOW_MS)
        lately = [(region, at) for region, some in self._closed.items() for at in some if at > now_ms - _AGAIN_MS]
        await self._windows.mark_stale(dict.fromkeys(lately, now_ms))

    async def close_ended(self) -> None:
        """Closes what has ended and is complete, the newest first."""
        now_ms = self._clock_ms()
        meters = self._meters()
        capacities = await self._capacities.by_region()
        for start_ms in ended_windows(now_ms - self._lateness_ms, self._reach_ms):
            for region, meter_ids in meters.items():
                closed = self._closed.setdefault(region, set())
                first_ms = min(closed, default=now_ms - self._lateness_ms - 2 * WINDOW_MS)
                if start_ms not in closed and start_ms > first_ms:
                    await self._close(region, start_ms, meter_ids, capacities.get(region, ()))
        oldest_ms = now_ms - self._reach_ms - WINDOW_MS
        for some in self._closed.values():
            some.difference_update([start_ms for start_ms in some if start_ms < oldest_ms])

    async def sum_up_stale(self) -> None:
        """Closes windows again into which something came late, where that has changed them."""
        meters = self._meters()
        capacities = await self._capacities.by_region()
        for before, stale_ms in await self._windows.stale(_STALE_AT_ONCE):
            again = await self._summed(
                before.region, before.start_ms, meters.get(before.region, []), capacities.get(before.region, ())
            )
            if again.complete_through_ms <= stale_ms:
                continue
            if again.has_sums_of(before):
                await self._windows.settled(before, stale_ms)
                continue
            corrected = replace(again, version=before.version + 1)
            if await self._windows.correct(corrected, before, stale_ms):
                self._metrics.corrected.inc()
                self._told()

    async def _close(
        self, region: str, start_ms: int, meter_ids: Sequence[str], capacities: Sequence[Capacity]
    ) -> None:
        window = await self._summed(region, start_ms, meter_ids, capacities)
        if window.complete_through_ms < window.end_ms + self._lateness_ms:
            return
        if await self._windows.close(window):
            self._metrics.closed.inc()
            self._told()
        self._closed[region].add(start_ms)
        if start_ms == max(self._closed[region]):
            self._metrics.show(window)

    async def _summed(
        self, region: str, start_ms: int, meter_ids: Sequence[str], capacities: Sequence[Capacity]
    ) -> RegionWindow:
        found = await self._usage.of_window(meter_ids, start_ms)
        return sum_up(
            region,
            start_ms,
            found.usages,
            meter_count=len(meter_ids),
            capacity_kw=capacity_at(capacities, start_ms + WINDOW_MS),
            complete_through_ms=found.complete_through_ms,
            close_ms=self._clock_ms(),
        )

    def _meters(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for device in self._registry.devices():
            if device.kind == DEVICE_KIND_METER:
                found.setdefault(device.region, []).append(device.device_id)
        return found
