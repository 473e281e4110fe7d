"""The load of a region by the minute or five minutes: summed up by billing when somebody asks, from what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from energy.billing.v1 import usage_service_pb2
from energy.registry.v1 import device_pb2

from analytics.usage.usage_client import DEVICES_MAXIMUM, UsageClient
from analytics.windows.region_capacity import RegionCapacity, capacity_at
from analytics.windows.region_capacity_store import RegionCapacityStore
from analytics.windows.region_load_request import LoadQuestion
from analytics.windows.region_window import HOUR_MS, RegionWindow, WindowSums, range_of
from analytics.windows.window_usage import MINUTE_MS, sums_of_minute
from common.errors import DependencyUnavailable
from common.instants import from_ms, to_ms
from common.registry_cache import RegistryCache


class MinuteLoads:
    """Asks billing about the meters of a region, some at a time; `lateness_ms` as for windows that are closed."""

    def __init__(
        self, registry: RegistryCache, usage: UsageClient, capacities: RegionCapacityStore, *, lateness_ms: int
    ) -> None:
        self._registry = registry
        self._usage = usage
        self._capacities = capacities
        self._lateness_ms = lateness_ms

    async def windows(
        self, question: LoadQuestion, start_ms: int, limit: int, time_remaining_seconds: float | None
    ) -> tuple[list[RegionWindow], int | None]:
        """Windows from `start_ms` on, UTC milliseconds, of its hour and at most so many, and where to go on.

        None: that is all. Windows without a reading, and such as are not old enough yet, are absent.

        Raises:
            DependencyUnavailable: billing is away, or does not know yet what is complete.
            DeadlineExceeded: the caller's remaining time is over.
        """
        region, length_ms = question.region, question.length_ms
        page_end_ms = min(question.end_ms, start_ms - start_ms % HOUR_MS + HOUR_MS, start_ms + limit * length_ms)
        meter_ids = [
            device.device_id
            for device in self._registry.by_region(region)
            if device.kind == device_pb2.DEVICE_KIND_METER
        ]
        sums: dict[int, WindowSums] = {}
        told_ms: list[int] = []
        for first in range(0, len(meter_ids), DEVICES_MAXIMUM):
            request = usage_service_pb2.ListMinuteTotalsRequest(
                device_ids=meter_ids[first : first + DEVICES_MAXIMUM],
                start_time=from_ms(start_ms),
                end_time=from_ms(page_end_ms),
            )
            answer = await self._usage.minutes(request, time_remaining_seconds)
            if not answer.HasField("complete_through"):
                raise DependencyUnavailable("billing")
            told_ms.append(to_ms(answer.complete_through))
            for minute in answer.minutes:
                at_ms = to_ms(minute.start_time)
                sums[at_ms] = sums.get(at_ms, WindowSums()).plus(sums_of_minute(minute))
        through_ms = min(told_ms, default=0)
        capacities = (await self._capacities.history((region,))).get(region, ())
        windows = [
            _window(region, at_ms, sums[at_ms], capacities, meter_count=len(meter_ids), through_ms=through_ms)
            for at_ms in sorted(sums)
        ]
        last_ms = through_ms - self._lateness_ms
        joined = [window for window in joined_by(windows, length_ms) if window.end_ms <= last_ms]
        return joined, None if page_end_ms >= question.end_ms else page_end_ms


def joined_by(minutes: Sequence[RegionWindow], length_ms: int) -> list[RegionWindow]:
    """Minutes of one region, by start, joined into windows of a length, aligned to UTC.

    A window has the greatest meter count of its minutes, the capacity of the last, and minutes without a reading lower
    its covered share and its mean.
    """
    parts: dict[int, list[RegionWindow]] = {}
    for minute in minutes:
        parts.setdefault(minute.start_ms - minute.start_ms % length_ms, []).append(minute)
    windows = []
    for start_ms, some in parts.items():
        sums = WindowSums()
        for part in some:
            sums = sums.plus(part.sums)
        heard = max(part.sums.reporting_meter_count for part in some)
        windows.append(
            replace(
                some[-1],
                start_ms=start_ms,
                sums=replace(sums, reporting_meter_count=heard),
                length_ms=length_ms,
                closed_ms=length_ms,
                load_range=range_of(part.sums for part in some) if length_ms > MINUTE_MS else None,
            )
        )
    return windows


def _window(
    region: str,
    start_ms: int,
    sums: WindowSums,
    capacities: Sequence[RegionCapacity],
    *,
    meter_count: int,
    through_ms: int,
) -> RegionWindow:
    capacity = capacity_at(capacities, start_ms + MINUTE_MS)
    return RegionWindow(
        region=region,
        start_ms=start_ms,
        version=0,
        sums=sums,
        meter_count=meter_count,
        capacity_milliwatts=None if capacity is None else capacity.capacity_milliwatts,
        complete_through_ms=through_ms,
        close_ms=through_ms,
        length_ms=MINUTE_MS,
        closed_ms=MINUTE_MS,
    )
