"""Questions to the running services, and how long each took."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from energy.analytics.v1.analytics_service_pb2 import (
    REGION_LOAD_RESOLUTION_QUARTER_HOUR,
    GetPerformanceRequest,
    ListRegionLoadRequest,
)
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from energy.billing.v1.usage_service_pb2 import (
    GetLiveReadingRequest,
    ListUsageRequest,
    SummarizeUsageRequest,
    UsageResolution,
)
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub

from common.grpc_client import SLOW_TIMEOUT_SECONDS
from common.instants import from_ms
from loadgen.bench.row import Aim, Row
from loadgen.latency import LatencyHistogram
from tests.bench_store.made_day import DAY_MS, MINUTE_MS

_MILLISECONDS = "ms"
_QUARTERS_A_DAY = 96
_WARM_UP = 3
_CLOSED_WITHIN_SECONDS = 60.0
_LOOK_SECONDS = 0.5


class WrongAnswer(Exception):
    """Unexpected: an answer is not what was stored, so how long it took means nothing."""


class Questions:
    """Asks the mesh about stored days; each answer is checked before its time counts."""

    def __init__(self, billing: Any, analytics: Any, seed: int = 1) -> None:
        self._usage = UsageServiceStub(billing)
        self._analytics = AnalyticsServiceStub(analytics)
        self._random = random.Random(seed)

    async def live(self, device_ids: Sequence[str], newest_ms: int, count: int) -> tuple[Row, LatencyHistogram]:
        """Newest readings: of each device once from the store, and once from the cache that filled."""

        async def ask(device_id: str) -> bool:
            request = GetLiveReadingRequest(device_id=device_id)
            live = (await self._usage.GetLiveReading(request, timeout=SLOW_TIMEOUT_SECONDS)).live_reading
            return bool(live.reading.start_time == from_ms(newest_ms) and live.five_minute_mean.reading_count == 5)

        asked = self._random.sample(device_ids, min(count, len(device_ids)))
        stored, cached = await _timed(ask, asked), await _timed(ask, asked)
        details = {"p50": stored.percentile_ms(50)} | {
            f"cached_p{percent}": cached.percentile_ms(percent) for percent in (50, 99)
        }
        return _row("live_read_p99", stored, details=details), stored

    async def performance(self, vehicle_ids: Sequence[str], day_ms: int, count: int) -> Row:
        """A vehicle's 24 hours, by analytics."""

        async def ask(device_id: str) -> bool:
            request = GetPerformanceRequest(
                device_id=device_id, start_time=from_ms(day_ms), end_time=from_ms(day_ms + DAY_MS)
            )
            answer = await self._analytics.GetPerformance(request, timeout=SLOW_TIMEOUT_SECONDS)
            return bool(answer.HasField("performance"))

        return _row(
            "performance_24h_p99", await _timed(ask, self._random.choices(vehicle_ids, k=count)), aim=Aim(most=20)
        )

    async def month(self, device_ids: Sequence[str], days_ms: Sequence[int], count: int) -> Row:
        """A month of a device by quarter-hours."""

        async def ask(device_id: str) -> bool:
            return await self.quarters(device_id, days_ms[0], len(days_ms)) == len(days_ms) * _QUARTERS_A_DAY

        return _row("month_usage_p99", await _timed(ask, self._random.choices(device_ids, k=count)), aim=Aim(most=50))

    async def day(self, device_ids: Sequence[str], day_ms: int, count: int) -> LatencyHistogram:
        """A day of a device by quarter-hours."""

        async def ask(device_id: str) -> bool:
            return await self.quarters(device_id, day_ms, 1) == _QUARTERS_A_DAY

        return await _timed(ask, self._random.choices(device_ids, k=count))

    async def region_window(self, region: str, devices: int, start_ms: int, count: int) -> Row:
        """The closed quarter-hour of a region, which analytics has closed from what is stored.

        Raises:
            WrongAnswer: it did not close it in time, or not from the readings of all devices.
        """
        request = ListRegionLoadRequest(
            region=region,
            start_time=from_ms(start_ms),
            end_time=from_ms(start_ms + 15 * MINUTE_MS),
            resolution=REGION_LOAD_RESOLUTION_QUARTER_HOUR,
        )

        async def ask(_: str) -> bool:
            windows = (await self._analytics.ListRegionLoad(request, timeout=SLOW_TIMEOUT_SECONDS)).windows
            return [(one.reporting_meter_count, one.covered_share) for one in windows] == [(devices, 1.0)]

        began = time.monotonic()
        while not await ask(region):
            if time.monotonic() - began > _CLOSED_WITHIN_SECONDS:
                raise WrongAnswer(f"about the closed window of {region}")
            await asyncio.sleep(_LOOK_SECONDS)
        closed_after = round(time.monotonic() - began, 1)
        details = {"devices": devices, "closed_after_seconds": closed_after}
        return _row("region_window_p99", await _timed(ask, [region] * count), aim=Aim(most=200), details=details)

    async def region_usage(self, region: str, devices: int, start_ms: int, count: int) -> Row:
        """A quarter-hour of a region, summed up from the readings of each of its devices for every question."""

        async def ask(name: str) -> bool:
            request = SummarizeUsageRequest(
                region=name, start_time=from_ms(start_ms), end_time=from_ms(start_ms + 15 * MINUTE_MS)
            )
            answer = await self._usage.SummarizeUsage(request, timeout=SLOW_TIMEOUT_SECONDS)
            return bool(answer.total.reading_count == 15 * devices)

        histogram = await _timed(ask, [region] * count)
        return _row("region_usage_p99", histogram, details={"devices": devices})

    async def quarters(self, device_id: str, start_ms: int, days: int) -> int:
        """How many whole quarter-hours usage tells of some days of a device."""
        request = ListUsageRequest(
            device_id=device_id,
            start_time=from_ms(start_ms),
            end_time=from_ms(start_ms + days * DAY_MS),
            resolution=UsageResolution.USAGE_RESOLUTION_QUARTER_HOUR,
            page_size=10_000,
        )
        answer = await self._usage.ListUsage(request, timeout=SLOW_TIMEOUT_SECONDS)
        return sum(interval.usage.reading_count == 15 for interval in answer.intervals)


def growth_row(name: str, before: LatencyHistogram, after: LatencyHistogram) -> Row:
    """The middle of a latency with ten days stored, beside that with one."""
    first = before.percentile_ms(50)
    return Row(name, after.percentile_ms(50), _MILLISECONDS, {} if first is None else {"one_day": first})


async def _timed(ask: Callable[[str], Awaitable[bool]], names: Sequence[str]) -> LatencyHistogram:
    for name in names[:_WARM_UP]:
        await ask(name)
    histogram = LatencyHistogram()
    for name in names[_WARM_UP:]:
        began = time.perf_counter()
        is_right = await ask(name)
        histogram.record((time.perf_counter() - began) * 1000)
        if not is_right:
            raise WrongAnswer(f"about {name}")
    return histogram


def _row(
    name: str, histogram: LatencyHistogram, *, aim: Aim | None = None, details: dict[str, Any] | None = None
) -> Row:
    told = {"p50": histogram.percentile_ms(50), "samples": histogram.count} | (details or {})
    return Row(name, histogram.percentile_ms(99), _MILLISECONDS, aim=aim, details=told)
