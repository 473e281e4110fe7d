"""Who knows what devices did over periods: the registry which they are, billing what they measured."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from zoneinfo import ZoneInfo

from energy.billing.v1 import usage_service_pb2
from energy.registry.v1 import device_pb2

from analytics.fleet.device_scope import Scope, devices_of
from analytics.performance.scope_request import (
    DAY_MS,
    ComparisonQuestion,
    StatsQuestion,
    TopQuestion,
    device_days,
    require_affordable,
)
from analytics.usage import period_usage
from analytics.usage.local_periods import Calendar, day_count
from analytics.usage.measured_energy import Window
from analytics.usage.peak_load import Peak, TakenEnergy, peak_of
from analytics.usage.period_rows import Row, rows_of
from analytics.usage.period_totals import DeviceTotals, PeriodTotals, top_consumers, totals_of
from analytics.usage.period_usage import PeriodUsage, TimeRemaining
from analytics.windows.region_window_store import RegionWindowStore
from common.registry_cache import CachedDevice, RegistryCache

PEAK_DEVICE_DAYS_MAXIMUM = 400
_WINDOWS_AT_A_TIME = 2000
_QUARTER_MS, _HOUR_MS = 900_000, 3_600_000

_METER = device_pb2.DEVICE_KIND_METER


@dataclass(frozen=True, slots=True)
class Stats:
    """What devices did in a window and in the one before, and when most flowed in; None where that is not known."""

    totals: PeriodTotals
    previous: PeriodTotals
    peak: Peak | None
    days: Sequence[Row]
    months: Sequence[Row]
    complete_through_ms: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What devices did in two windows, and how many local days these have; None where it is not known whose."""

    first: PeriodTotals
    second: PeriodTotals
    first_day_count: float | None
    second_day_count: float | None
    zone: str
    complete_through_ms: int | None


@dataclass(frozen=True, slots=True)
class TopConsumers:
    """The devices that took the most, the registered ones with what they did, and what all did."""

    consumers: Sequence[tuple[CachedDevice, DeviceTotals]]
    totals: PeriodTotals
    complete_through_ms: int | None


class StatsReport:
    """Answers questions about periods.

    Each raises what `devices_of` does, `RequestTooExpensive`, and what `UsageClient` does, that in an exception group.
    """

    def __init__(self, registry: RegistryCache, usage: PeriodUsage, windows: RegionWindowStore) -> None:
        self._registry = registry
        self._usage = usage
        self._windows = windows

    async def top(self, question: TopQuestion, time_remaining: TimeRemaining) -> TopConsumers:
        """The devices of a scope that took the most."""
        devices = await devices_of(question.scope, self._registry)
        require_affordable(len(devices), [question.window])
        sums = await self._usage.sums(_ids(devices), question.window, time_remaining)
        by_id = {device.device_id: device for device in devices}
        return TopConsumers(
            [(by_id[one.device_id], one) for one in top_consumers(sums.devices, question.limit)],
            totals_of(question.window, len(devices), sums.devices),
            sums.complete_through_ms,
        )

    async def stats(self, question: StatsQuestion, time_remaining: TimeRemaining) -> Stats:
        """What the devices of a scope did."""
        devices = await devices_of(question.scope, self._registry)
        require_affordable(len(devices), [question.window, question.previous])
        async with asyncio.TaskGroup() as group:
            totals, previous = (
                group.create_task(self._usage.sums(_ids(devices), window, time_remaining))
                for window in (question.window, question.previous)
            )
            peak = group.create_task(self._peak(question.scope, devices, question.window, time_remaining))
            days, months = (
                group.create_task(self._rows(devices, question.window, calendar, time_remaining)) if wanted else None
                for calendar, wanted in _calendars(question)
            )
        tables = [table.result() if table else ([], None) for table in (days, months)]
        through_ms = [totals.result().complete_through_ms, previous.result().complete_through_ms]
        through_ms += [table.result()[1] for table in (days, months) if table]
        return Stats(
            totals=totals_of(question.window, len(devices), totals.result().devices),
            previous=totals_of(question.previous, len(devices), previous.result().devices),
            peak=peak.result(),
            days=tables[0][0],
            months=tables[1][0],
            complete_through_ms=period_usage.earliest(through_ms),
        )

    async def compared(self, question: ComparisonQuestion, time_remaining: TimeRemaining) -> Comparison:
        """Two windows of a scope."""
        devices = await devices_of(question.scope, self._registry)
        windows = [question.first, question.second]
        require_affordable(len(devices), windows)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._usage.sums(_ids(devices), window, time_remaining)) for window in windows]
        sums = [task.result() for task in asked]
        first, second = (
            totals_of(window, len(devices), one.devices) for window, one in zip(windows, sums, strict=True)
        )
        zones = {device.time_zone for device in devices}
        zone = question.zone or (zones.pop() if len(zones) == 1 else "")
        first_day_count, second_day_count = (day_count(window, ZoneInfo(zone)) if zone else None for window in windows)
        through_ms = period_usage.earliest(one.complete_through_ms for one in sums)
        return Comparison(first, second, first_day_count, second_day_count, zone, through_ms)

    async def _rows(
        self, devices: Sequence[CachedDevice], window: Window, calendar: Calendar, time_remaining: TimeRemaining
    ) -> tuple[list[Row], int | None]:
        sums = await self._usage.by_calendar(devices, window, calendar, time_remaining)
        return rows_of(sums.totals, len(devices)), sums.complete_through_ms

    async def _peak(
        self, scope: Scope, devices: Sequence[CachedDevice], window: Window, time_remaining: TimeRemaining
    ) -> Peak | None:
        if device_days(len(devices), [window]) > PEAK_DEVICE_DAYS_MAXIMUM:
            is_region = scope.field == "region" and scope.kind in {0, _METER}
            is_short = window.end_ms - window.start_ms <= PEAK_DEVICE_DAYS_MAXIMUM * DAY_MS
            return peak_of(await self._taken_by_region(scope.name, window)) if is_region and is_short else None
        longest_ms = max(device.expected_interval_ms for device in devices)
        if longest_ms > _QUARTER_MS and len({device.time_zone for device in devices}) > 1:
            # Their hours and days are not the same.
            return None
        resolution = usage_service_pb2.USAGE_RESOLUTION_QUARTER_HOUR
        if longest_ms > _QUARTER_MS:
            is_hourly = longest_ms <= _HOUR_MS
            hour, day = usage_service_pb2.USAGE_RESOLUTION_HOUR, usage_service_pb2.USAGE_RESOLUTION_LOCAL_DAY
            resolution = hour if is_hourly else day
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._usage.taken(device.device_id, window, resolution, time_remaining))
                for device in devices
            ]
        return peak_of(chain.from_iterable(task.result() for task in asked))

    async def _taken_by_region(self, region: str, window: Window) -> list[TakenEnergy]:
        """What flowed in in each of the closed windows of a region."""
        found: list[TakenEnergy] = []
        start_ms = window.start_ms
        while True:
            closed = await self._windows.between(region, start_ms, window.end_ms, _WINDOWS_AT_A_TIME)
            found += [
                TakenEnergy(Window(one.start_ms, one.end_ms), one.sums.import_milliwatt_hours, 0)
                for one in closed
                if one.sums.reporting_meter_count
            ]
            if len(closed) < _WINDOWS_AT_A_TIME:
                return found
            start_ms = closed[-1].end_ms


def _ids(devices: Sequence[CachedDevice]) -> list[str]:
    return [device.device_id for device in devices]


def _calendars(question: StatsQuestion) -> Sequence[tuple[Calendar, bool]]:
    return ("day", question.has_days), ("month", question.has_months)
