"""How it is found out what devices did over periods: billing is asked about many devices at once, or many intervals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from energy.billing.v1 import usage_pb2, usage_service_pb2

from analytics.usage.local_periods import Calendar, local_periods
from analytics.usage.measured_energy import Window
from analytics.usage.peak_load import TakenEnergy
from analytics.usage.period_totals import DeviceTotals
from analytics.usage.usage_client import DEVICES_MAXIMUM, UsageClient
from common.energy import milliwatt_hours
from common.errors import RequestTooExpensive
from common.instants import duration_to_ms, from_ms, to_ms
from common.local_time import wall_clock
from common.registry_cache import CachedDevice

TimeRemaining = Callable[[], float | None]
"""What the caller still waits, in seconds; None is without end."""

CALLS_MAXIMUM = 400
_PAGE_MAXIMUM = 10_000
# Of the questions that may be asked at a time, so many are for these; the others are left to those who ask for less.
_QUESTIONS_AT_A_TIME = 4

_RESOLUTIONS = {
    "day": usage_service_pb2.USAGE_RESOLUTION_LOCAL_DAY,
    "month": usage_service_pb2.USAGE_RESOLUTION_LOCAL_MONTH,
}
# Of each kind of device one of them is there.
_IN = ("import_kwh", "energy_delivered_kwh", "charge_kwh")
_OUT = ("export_kwh", "discharge_kwh")

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Sums:
    """What each device did that has a reading, and what that is complete through, UTC milliseconds; None: not known."""

    devices: Sequence[DeviceTotals]
    complete_through_ms: int | None


class DatedTotals(NamedTuple):
    """What a device did on a local day or in a local month, and the part of it that is meant."""

    day: date
    part: Window
    device: DeviceTotals


@dataclass(frozen=True, slots=True)
class DatedSums:
    """What devices did by date, and what that is complete through, UTC milliseconds; None: not known."""

    totals: Sequence[DatedTotals]
    complete_through_ms: int | None


class PeriodUsage:
    """Asks billing; what it raises is what `UsageClient` does."""

    def __init__(self, usage: UsageClient) -> None:
        self._usage = usage
        self._slots = asyncio.Semaphore(_QUESTIONS_AT_A_TIME)

    async def sums(self, device_ids: Sequence[str], window: Window, time_remaining: TimeRemaining) -> Sums:
        """What devices did in a window, a thousand of them to a question."""

        async def asked(chunk: Sequence[str]) -> usage_service_pb2.SummarizeUsageResponse:
            request = usage_service_pb2.SummarizeUsageRequest(
                device_ids=chunk, start_time=from_ms(window.start_ms), end_time=from_ms(window.end_ms)
            )
            async with self._slots:
                return await self._usage.summarized(request, time_remaining())

        responses = await _together(asked(chunk) for chunk in _chunks(device_ids))
        found = [
            device_totals(one.device_id, one.usage, one.covered_share)
            for response in responses
            for one in response.devices
        ]
        return Sums(found, earliest(map(_through_ms, responses)))

    async def by_calendar(
        self, devices: Sequence[CachedDevice], window: Window, calendar: Calendar, time_remaining: TimeRemaining
    ) -> DatedSums:
        """What devices did on each of their local days, or in each month, that has a reading.

        Devices are asked about one by one or days one by one, whichever are fewer.

        Raises:
            RequestTooExpensive: both are too many.
        """
        by_zone: dict[str, list[str]] = {}
        for device in devices:
            by_zone.setdefault(device.time_zone, []).append(device.device_id)
        periods = {zone: list(local_periods(window, ZoneInfo(zone), calendar)) for zone in by_zone}
        calls = sum(len(periods[zone]) * len(list(_chunks(some))) for zone, some in by_zone.items())
        if min(calls, len(devices)) > CALLS_MAXIMUM:
            raise RequestTooExpensive(f"at most {CALLS_MAXIMUM} devices, or {calendar}s of a thousand devices, at once")
        if _fewer_by_device(len(devices), calls):
            listed = (self._listed_by_calendar(device, window, calendar, time_remaining) for device in devices)
            return _joined(await _together(listed))

        async def summed(device_ids: Sequence[str], day: date, part: Window) -> DatedSums:
            sums = await self.sums(device_ids, part, time_remaining)
            return DatedSums([DatedTotals(day, part, device) for device in sums.devices], sums.complete_through_ms)

        asked = (summed(by_zone[zone], one.day, one.part) for zone in by_zone for one in periods[zone])
        return _joined(await _together(asked))

    async def taken(
        self,
        device_id: str,
        window: Window,
        resolution: usage_service_pb2.UsageResolution.ValueType,
        time_remaining: TimeRemaining,
    ) -> list[TakenEnergy]:
        """What flowed into a device in each interval in which that was measured."""
        intervals, _ = await self._listed(device_id, window, resolution, time_remaining)
        return [
            TakenEnergy(
                Window(to_ms(interval.start_time), to_ms(interval.end_time)),
                taken,
                duration_to_ms(interval.usage.covered),
            )
            for interval in intervals
            if (taken := _energy(interval.usage, _IN)) is not None
        ]

    async def _listed_by_calendar(
        self, device: CachedDevice, window: Window, calendar: Calendar, time_remaining: TimeRemaining
    ) -> DatedSums:
        intervals, through_ms = await self._listed(device.device_id, window, _RESOLUTIONS[calendar], time_remaining)
        zone = ZoneInfo(device.time_zone)
        totals = [
            DatedTotals(
                wall_clock(to_ms(interval.start_time), zone).day,
                Window(max(to_ms(interval.start_time), window.start_ms), min(to_ms(interval.end_time), window.end_ms)),
                device_totals(device.device_id, interval.usage, interval.covered_share),
            )
            for interval in intervals
        ]
        return DatedSums(totals, through_ms)

    async def _listed(
        self,
        device_id: str,
        window: Window,
        resolution: usage_service_pb2.UsageResolution.ValueType,
        time_remaining: TimeRemaining,
    ) -> tuple[list[usage_pb2.UsageInterval], int | None]:
        found: list[usage_pb2.UsageInterval] = []
        through_ms: list[int | None] = []
        page_token = ""
        while True:
            request = usage_service_pb2.ListUsageRequest(
                device_id=device_id,
                start_time=from_ms(window.start_ms),
                end_time=from_ms(window.end_ms),
                resolution=resolution,
                page_size=_PAGE_MAXIMUM,
                page_token=page_token,
            )
            async with self._slots:
                response = await self._usage.listed(request, time_remaining())
            found += response.intervals
            through_ms.append(_through_ms(response))
            page_token = response.next_page_token
            if not page_token:
                return found, earliest(through_ms)


def device_totals(device_id: str, usage: usage_pb2.Usage, covered_share: float) -> DeviceTotals:
    """What billing summed up, by the device's own kind."""
    return DeviceTotals(
        device_id=device_id,
        reading_count=usage.reading_count,
        covered_share=covered_share,
        in_milliwatt_hours=_energy(usage, _IN),
        out_milliwatt_hours=_energy(usage, _OUT),
        mean_power_kw=usage.mean_power_kw if usage.HasField("mean_power_kw") else None,
        maximum_power_kw=usage.maximum_power_kw if usage.HasField("maximum_power_kw") else None,
        mean_temperature_celsius=(
            usage.mean_temperature_celsius if usage.HasField("mean_temperature_celsius") else None
        ),
    )


def earliest(through_ms: Iterable[int | None]) -> int | None:
    """What an answer of several parts is complete through; None as soon as one part does not know."""
    some = list(through_ms)
    return None if None in some else min((one for one in some if one is not None), default=None)


def _energy(usage: usage_pb2.Usage, names: Sequence[str]) -> int | None:
    measured = [getattr(usage, name) for name in names if usage.HasField(name)]  # type: ignore[arg-type]
    return milliwatt_hours(measured[0]) if measured else None


def _through_ms(
    response: usage_service_pb2.SummarizeUsageResponse | usage_service_pb2.ListUsageResponse,
) -> int | None:
    return to_ms(response.complete_through) if response.HasField("complete_through") else None


def _joined(some: Sequence[DatedSums]) -> DatedSums:
    return DatedSums(
        list(chain.from_iterable(one.totals for one in some)), earliest(one.complete_through_ms for one in some)
    )


def _fewer_by_device(device_count: int, calls_by_period: int) -> bool:
    return device_count <= calls_by_period


async def _together(questions: Iterable[Coroutine[object, object, Answer]]) -> list[Answer]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(question) for question in questions]
    return [task.result() for task in tasks]


def _chunks(device_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(device_ids), DEVICES_MAXIMUM):
        yield device_ids[first : first + DEVICES_MAXIMUM]
