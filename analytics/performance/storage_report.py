"""Who knows how a grid battery did: billing, its readings at both ends of a window and what lies between them."""

from __future__ import annotations

from collections.abc import Iterable

from energy.billing.v1 import usage_pb2, usage_service_pb2
from energy.registry.v1 import device_pb2

from analytics.fleet.device_scope import kind_name
from analytics.performance.storage_performance import ChargeReading, StoragePerformance, Turnover, storage_performance
from analytics.usage.measured_energy import Window
from analytics.usage.period_usage import PeriodUsage, TimeRemaining, earliest
from analytics.usage.usage_client import UsageClient
from common.errors import FieldViolation, InvalidArgument
from common.instants import duration_to_ms, from_ms, to_ms
from common.registry_cache import CachedDevice, RegistryCache

# How many expected intervals from an end are looked at for a state of charge, then ten times as many, and so on.
_REACH_INTERVALS = (60, 600, 6000)
_PAGE_MAXIMUM = 10_000


class StorageReport:
    """Answers one question about one battery."""

    def __init__(self, registry: RegistryCache, client: UsageClient, usage: PeriodUsage, *, low_percent: float) -> None:
        self._registry = registry
        self._client = client
        self._usage = usage
        self._low_percent = low_percent

    async def of(
        self, device_id: str, window: Window, capacity_kwh: float | None, time_remaining: TimeRemaining
    ) -> tuple[StoragePerformance, int | None]:
        """The performance of a battery, and what that is complete through, UTC milliseconds.

        Raises what `UsageClient` does, some of it in an exception group.

        Raises:
            DeviceNotFound: no device has this id.
            InvalidArgument: the device is no battery.
        """
        device = await self._registry.find(device_id)
        if device.kind != device_pb2.DEVICE_KIND_STORAGE:
            mismatch = FieldViolation("device_id", "KIND_MISMATCH", "must be storage")
            raise InvalidArgument([mismatch], metadata={"device_id": device_id, "kind": kind_name(device.kind)})
        first, first_through_ms = await self._charge_reading(device, window, time_remaining, is_last=False)
        last, last_through_ms = await self._charge_reading(device, window, time_remaining, is_last=True)
        turnover, through_ms = None, earliest([first_through_ms, last_through_ms])
        if first is not None and last is not None and first.start_ms < last.start_ms:
            # From after the first one's start on, and with the last one.
            between = Window(first.start_ms + 1, last.start_ms + 1)
            sums = await self._usage.sums([device_id], between, time_remaining)
            through_ms = earliest([through_ms, sums.complete_through_ms])
            taken, given = (
                (sums.devices[0].in_milliwatt_hours, sums.devices[0].out_milliwatt_hours)
                if sums.devices
                else (None, None)
            )
            turnover = Turnover(first, last, taken, given)
        return storage_performance(window, turnover, capacity_kwh, self._low_percent), through_ms

    async def _charge_reading(
        self, device: CachedDevice, window: Window, time_remaining: TimeRemaining, *, is_last: bool
    ) -> tuple[ChargeReading | None, int | None]:
        """The reading of a window with a state of charge that is nearest to one of its ends; None if none is near.

        And what that is complete through, UTC milliseconds.
        """
        through_ms = None
        for intervals in _REACH_INTERVALS:
            reach_ms = intervals * device.expected_interval_ms
            part = Window(window.start_ms, min(window.end_ms, window.start_ms + reach_ms))
            if is_last:
                part = Window(max(window.start_ms, window.end_ms - reach_ms), window.end_ms)
            readings, through_ms = await self._readings(device.device_id, part, time_remaining)
            found = list(_charge_readings(readings))
            if found:
                return found[-1 if is_last else 0], through_ms
            if part == window:
                break
        return None, through_ms

    async def _readings(
        self, device_id: str, part: Window, time_remaining: TimeRemaining
    ) -> tuple[Iterable[usage_pb2.RecordedReading], int | None]:
        found: list[usage_pb2.RecordedReading] = []
        through_ms: list[int | None] = []
        page_token = ""
        while True:
            request = usage_service_pb2.ListReadingsRequest(
                device_id=device_id,
                start_time=from_ms(part.start_ms),
                end_time=from_ms(part.end_ms),
                page_size=_PAGE_MAXIMUM,
                page_token=page_token,
            )
            response = await self._client.recorded(request, time_remaining())
            found += response.readings
            through_ms.append(to_ms(response.complete_through) if response.HasField("complete_through") else None)
            page_token = response.next_page_token
            if not page_token:
                return found, earliest(through_ms)


def _charge_readings(readings: Iterable[usage_pb2.RecordedReading]) -> Iterable[ChargeReading]:
    for recorded in readings:
        reading = recorded.reading
        if reading.storage.HasField("state_of_charge_percent"):
            start_ms = to_ms(reading.start_time)
            yield ChargeReading(
                start_ms, start_ms + duration_to_ms(reading.interval), reading.storage.state_of_charge_percent
            )
