"""Who knows the trend of devices: their local days, as billing sums them up, and what these say together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from zoneinfo import ZoneInfo

from analytics.fleet.device_scope import Scope, devices_of
from analytics.performance.scope_request import require_affordable
from analytics.performance.usage_trend import DayEnergy, UsageTrend, usage_trend
from analytics.usage.measured_energy import Window
from analytics.usage.period_rows import Row, rows_of
from analytics.usage.period_usage import PeriodUsage, TimeRemaining, earliest
from common.local_time import local_midnight_ms
from common.registry_cache import CachedDevice, RegistryCache

COVERED_SHARE_MINIMUM = 0.9


@dataclass(frozen=True, slots=True)
class TrendQuestion:
    """The devices of a scope on the days from `start_date` (inclusive) to `end_date` (exclusive)."""

    scope: Scope
    start_date: date
    end_date: date


@dataclass(frozen=True, slots=True)
class FoundTrend:
    """A trend, the days that it rests on, and what these are complete through, UTC milliseconds; None: not known."""

    trend: UsageTrend
    days: Mapping[date, Row]
    complete_through_ms: int | None


class TrendReport:
    """Answers one question about days."""

    def __init__(self, registry: RegistryCache, usage: PeriodUsage) -> None:
        self._registry = registry
        self._usage = usage

    async def of(self, question: TrendQuestion, time_remaining: TimeRemaining) -> FoundTrend:
        """The trend of a scope.

        Raises what `devices_of` does, and what `PeriodUsage.by_calendar` does, that in an exception group.

        Raises:
            RequestTooExpensive: devices times days are too many.
        """
        devices = await devices_of(question.scope, self._registry)
        by_zone: dict[str, list[CachedDevice]] = {}
        for device in devices:
            by_zone.setdefault(device.time_zone, []).append(device)
        windows = {zone: _window(question, ZoneInfo(zone)) for zone in by_zone}
        require_affordable(len(devices), [max(windows.values(), key=lambda window: window.end_ms - window.start_ms)])
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._usage.by_calendar(some, windows[zone], "day", time_remaining))
                for zone, some in by_zone.items()
            ]
        sums = [task.result() for task in asked]
        rows = rows_of(chain.from_iterable(one.totals for one in sums), len(devices))
        counted = {row.day: row for row in rows if _counts(row)}
        through_ms = earliest(one.complete_through_ms for one in sums)
        return FoundTrend(usage_trend(_energies(rows)), counted, through_ms)


def _window(question: TrendQuestion, zone: ZoneInfo) -> Window:
    return Window(local_midnight_ms(question.start_date, zone), local_midnight_ms(question.end_date, zone))


def _counts(row: Row) -> bool:
    return row.totals.in_milliwatt_hours is not None and row.totals.covered_share >= COVERED_SHARE_MINIMUM


def _energies(rows: Sequence[Row]) -> list[DayEnergy]:
    return [
        DayEnergy(row.day, row.totals.in_milliwatt_hours)
        for row in rows
        if row.totals.in_milliwatt_hours is not None and _counts(row)
    ]
