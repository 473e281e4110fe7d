"""How a window is summed up: billing is asked about the meters of a region, some at a time, and each is added up.

Meters only. What a vehicle or a battery takes has gone through a meter before; a charger is a meter of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from energy.billing.v1 import usage_pb2, usage_service_pb2, usage_service_pb2_grpc

from analytics.region_window import HOUR_MS, WINDOW_MS, LoadRange, WindowSums, range_of
from common.call_deadline import patience
from common.energy import milliwatt_hours
from common.grpc_client import SLOW_TIMEOUT_SECONDS, UNARY_TIMEOUT_SECONDS
from common.instants import duration_to_ms, from_ms, to_ms

METERS_A_CALL = 1000
MINUTE_MS = 60_000


class WindowUsage:
    """Asks billing's `UsageService`, one call after the other; what it raises is what gRPC does."""

    def __init__(self, usage: usage_service_pb2_grpc.UsageServiceAsyncStub) -> None:
        self._usage = usage

    async def complete_through_ms(self, device_id: str) -> int | None:
        """Every reading that was acked before this instant, UTC milliseconds, is in billing's answers; of any device.

        None: billing does not know. A device has to be named, whichever it is.
        """
        request = usage_service_pb2.BatchGetLiveReadingsRequest(device_ids=[device_id])
        response = await self._usage.BatchGetLiveReadings(request, timeout=patience(UNARY_TIMEOUT_SECONDS))
        return to_ms(response.complete_through) if response.HasField("complete_through") else None

    async def sums(self, meter_ids: Sequence[str], start_ms: int) -> tuple[WindowSums, int | None]:
        """What some meters measured in the window from `start_ms` on, and what it is complete through, if known."""
        sums, through_ms = WindowSums(), []
        for first in range(0, len(meter_ids), METERS_A_CALL):
            request = usage_service_pb2.SummarizeUsageRequest(
                device_ids=meter_ids[first : first + METERS_A_CALL],
                start_time=from_ms(start_ms),
                end_time=from_ms(start_ms + WINDOW_MS),
            )
            response = await self._usage.SummarizeUsage(request, timeout=patience(SLOW_TIMEOUT_SECONDS))
            if not response.HasField("complete_through"):
                return sums, None
            through_ms.append(to_ms(response.complete_through))
            for device in response.devices:
                sums = sums.plus(_sums_of(device.usage))
        return sums, min(through_ms, default=None)

    async def load_range(
        self, meter_ids: Sequence[str], start_ms: int, sums: WindowSums
    ) -> tuple[LoadRange | None, int | None]:
        """The range of the minutes of a window, and what it is complete through, if known.

        There is none where the minutes do not cover what the whole window does: some readings are longer than a minute.
        """
        minutes: dict[int, WindowSums] = {}
        through_ms = []
        for first in range(0, len(meter_ids), METERS_A_CALL):
            request = usage_service_pb2.ListMinuteTotalsRequest(
                device_ids=meter_ids[first : first + METERS_A_CALL],
                start_time=from_ms(start_ms),
                end_time=from_ms(start_ms + WINDOW_MS),
            )
            response = await self._usage.ListMinuteTotals(request, timeout=patience(SLOW_TIMEOUT_SECONDS))
            if not response.HasField("complete_through"):
                return None, None
            through_ms.append(to_ms(response.complete_through))
            for minute in response.minutes:
                at_ms = to_ms(minute.start_time)
                minutes[at_ms] = minutes.get(at_ms, WindowSums()).plus(sums_of_minute(minute))
        is_whole = sum(one.covered_ms for one in minutes.values()) >= sums.covered_ms
        return range_of(minutes.values()) if is_whole else None, min(through_ms, default=None)


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


def _sums_of(usage: usage_pb2.Usage) -> WindowSums:
    covered_ms = duration_to_ms(usage.covered)
    imported, exported = (
        milliwatt_hours(usage.import_kwh) if usage.HasField("import_kwh") else None,
        milliwatt_hours(usage.export_kwh) if usage.HasField("export_kwh") else None,
    )
    if imported is None and exported is None and usage.HasField("mean_power_kw"):
        # A meter that tells its power only: for its load that is energy, though not for a bill.
        net = milliwatt_hours(usage.mean_power_kw * covered_ms / HOUR_MS)
        imported, exported = max(net, 0), max(-net, 0)
    return WindowSums(imported or 0, exported or 0, int(usage.reading_count > 0), min(covered_ms, WINDOW_MS))
