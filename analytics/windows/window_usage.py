"""How a window is summed up: billing is asked about the meters of a region, some at a time, and each is added up.

Meters only. What a vehicle or a battery takes has gone through a meter before; a charger is a meter of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from energy.billing.v1 import usage_service_pb2, usage_service_pb2_grpc

from analytics.windows.region_window import WINDOW_MS, LoadRange, WindowSums, range_of
from common.call_deadline import patience
from common.energy import milliwatt_hours
from common.grpc_client import SLOW_TIMEOUT_SECONDS, UNARY_TIMEOUT_SECONDS
from common.instants import duration_to_ms, from_ms, to_ms

METERS_A_CALL = 1000
MINUTE_MS = 60_000


class MeasuredWindows(NamedTuple):
    """What meters measured by the start of the window and of the minute, and what it is complete through."""

    windows: Mapping[int, WindowSums]
    minutes: Mapping[int, WindowSums]
    complete_through_ms: int

    def sums(self, start_ms: int) -> WindowSums:
        """What they measured in the window from `start_ms` on."""
        return self.windows.get(start_ms, WindowSums())

    def load_range(self, start_ms: int) -> LoadRange | None:
        """The range of the minutes of a window.

        There is none where they do not cover what the whole window does: some readings are longer than a minute.
        """
        minutes = [one for at_ms, one in self.minutes.items() if start_ms <= at_ms < start_ms + WINDOW_MS]
        is_whole = sum(one.covered_ms for one in minutes) >= self.sums(start_ms).covered_ms
        return range_of(minutes) if is_whole else None


class WindowUsage:
    """Asks billing's `UsageService`, one call after the other; what it raises is what gRPC does."""

    def __init__(self, usage: usage_service_pb2_grpc.UsageServiceAsyncStub) -> None:
        self._usage = usage
        self.is_catching_up = False
        """Whether billing has more to fold than it has at hand, as it said last; what can wait should."""

    async def complete_through_ms(self) -> int | None:
        """Every reading that was acked before this instant, UTC milliseconds, is in billing's answers.

        None: billing does not know.
        """
        request = usage_service_pb2.GetCompleteThroughRequest()
        response = await self._usage.GetCompleteThrough(request, timeout=patience(UNARY_TIMEOUT_SECONDS))
        self.is_catching_up = response.is_catching_up
        return to_ms(response.complete_through) if response.HasField("complete_through") else None

    async def measured(self, meter_ids: Sequence[str], start_ms: int, end_ms: int) -> MeasuredWindows | None:
        """What some meters measured in the windows of [start_ms, end_ms), at most an hour; None: billing does not know.

        Windows of one hour are asked about together, for billing reads the same documents for each of them.
        """
        windows: dict[int, WindowSums] = {}
        minutes: dict[int, WindowSums] = {}
        through_ms = []
        for first in range(0, len(meter_ids), METERS_A_CALL):
            request = usage_service_pb2.ListMinuteTotalsRequest(
                device_ids=meter_ids[first : first + METERS_A_CALL],
                start_time=from_ms(start_ms),
                end_time=from_ms(end_ms),
                include_quarter_hours=True,
            )
            response = await self._usage.ListMinuteTotals(request, timeout=patience(SLOW_TIMEOUT_SECONDS))
            if not response.HasField("complete_through"):
                return None
            through_ms.append(to_ms(response.complete_through))
            for quarter in response.quarter_hours:
                at_ms = to_ms(quarter.start_time)
                windows[at_ms] = windows.get(at_ms, WindowSums()).plus(_sums_of_quarter(quarter))
            for minute in response.minutes:
                at_ms = to_ms(minute.start_time)
                minutes[at_ms] = minutes.get(at_ms, WindowSums()).plus(sums_of_minute(minute))
        return MeasuredWindows(windows, minutes, min(through_ms)) if through_ms else None


def sums_of_minute(minute: usage_service_pb2.MinuteTotal) -> WindowSums:
    """What some meters used in a minute; of meters that tell only a power that is their energy, for a load."""
    imported, exported = milliwatt_hours(minute.import_kwh), milliwatt_hours(minute.export_kwh)
    by_power = milliwatt_hours(minute.power_only_kwh)
    return WindowSums(
        imported + max(by_power, 0),
        exported + max(-by_power, 0),
        minute.meter_count,
        min(duration_to_ms(minute.covered), minute.meter_count * MINUTE_MS),
    )


def _sums_of_quarter(quarter: usage_service_pb2.QuarterHourTotal) -> WindowSums:
    """The same of a quarter-hour. For a load the energy that a power tells counts, though not for a bill."""
    return WindowSums(
        milliwatt_hours(quarter.import_kwh) + milliwatt_hours(quarter.by_power_import_kwh),
        milliwatt_hours(quarter.export_kwh) + milliwatt_hours(quarter.by_power_export_kwh),
        quarter.meter_count,
        duration_to_ms(quarter.covered),
    )
