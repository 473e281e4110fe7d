"""How long analytics takes, killed under load, until it tells again exactly what the regions do."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import grpc
import numpy as np
from energy.analytics.v1.analytics_service_pb2 import (
    REGION_LOAD_RESOLUTION_QUARTER_HOUR,
    GetRegionLoadRequest,
    ListRegionLoadRequest,
)
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub

from common.energy import milliwatt_hours
from common.grpc_client import UNARY_TIMEOUT_SECONDS
from common.instants import from_ms, to_ms
from loadgen.bench.ack_book import AckBook
from loadgen.bench.fleet import REGIONS, import_milliwatt_hours, measurements
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.latency_rows import FRAME_SIZE, READINGS_PER_SECOND
from loadgen.bench.raw_streams import LoadFailed, send_frames
from loadgen.bench.rig import Rig, lasting, under_load
from loadgen.bench.row import AIMS, SECONDS, Row, void_row
from loadgen.bench.schedule import Schedule
from loadgen.bench.stored import fault_in_store, let_fold

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceAsyncStub

NAME = "restart_exact_windows"

_KILLED = "analytics"
_WINDOW_SECONDS = 900
_BEFORE_SECONDS = 3.0
_AFTER_SECONDS = 2.0
_GIVE_UP_SECONDS = 40.0
# Windows that something came late for are closed again when that has been quiet for 4 s, and then a third of the time.
_CLOSED_GIVE_UP_SECONDS = 15.0
_LOOK_SECONDS = 0.1


class RegionNow(NamedTuple):
    """Meters that are heard in a region, and their power together, kW."""

    meters: int
    power_kw: float

    def is_as(self, other: RegionNow) -> bool:
        """Whether both are the same, but for the order in which powers are added up."""
        return self.meters == other.meters and math.isclose(self.power_kw, other.power_kw, rel_tol=1e-9)


class ClosedWindow(NamedTuple):
    """Meters heard in a closed window, and their import, milliwatt-hours."""

    meters: int
    import_milliwatt_hours: int


async def restart_row(rig: Rig) -> Row:
    """From the kill until the live load of every region is that of the newest readings, to the watt.

    The load goes on for some seconds after the kill, then the newest readings stand still and can be compared. In the
    details: how long it took until each closed window of the row's readings was right, too.
    """
    source, book = rig.source(FRAME_SIZE), AckBook()
    try:
        killed_at = await _killed_under_load(rig, source, book)
    except LoadFailed as failure:
        return void_row(NAME, SECONDS, str(failure))
    analytics = AnalyticsServiceStub(rig.analytics)
    live_due, windows_due = live_of(source), windows_of(source)

    async def live_is_exact() -> bool:
        for region, due in live_due.items():
            if not (await _live(analytics, region)).is_as(due):
                return False
        return True

    async def windows_are_exact() -> bool:
        for region in REGIONS:
            due = {start: window for (name, start), window in windows_due.items() if name == region}
            if await _closed(analytics, region, source) != due:
                return False
        return True

    live_seconds = await _seconds_until(live_is_exact, killed_at)
    closed_seconds = await _seconds_until(windows_are_exact, killed_at, _CLOSED_GIVE_UP_SECONDS)
    await _count_anew(rig)
    fault = await fault_in_store(rig, source, book)
    await let_fold(rig)
    if fault is None and live_seconds is None:
        fault = f"the live load was not exact {_GIVE_UP_SECONDS:.0f} s after the kill"
    return Row(
        NAME,
        None if fault else live_seconds,
        SECONDS,
        void=fault,
        aim=AIMS[NAME],
        details={
            "readings_per_second": READINGS_PER_SECOND,
            "devices": source.fleet.size,
            "load_went_on_seconds": _AFTER_SECONDS,
            "closed_windows": len(windows_due),
            "closed_windows_exact_seconds": closed_seconds,
        },
    )


async def _killed_under_load(rig: Rig, source: FrameSource, book: AckBook) -> float:
    """When analytics was killed, by `time.monotonic`; returns when the load has ended and is acked.

    Raises:
        LoadFailed: the mesh ended a stream, or the last acks did not come.
    """
    schedule = Schedule(FRAME_SIZE, READINGS_PER_SECOND)
    async with under_load(rig, send_frames, source, schedule, book) as sending:
        await lasting(sending, rig.durations.warm_up_seconds + _BEFORE_SECONDS)
        killed_at = time.monotonic()
        rig.processes().kill(_KILLED)
        await lasting(sending, _AFTER_SECONDS)
    return killed_at


def live_of(source: FrameSource) -> dict[str, RegionNow]:
    """What every region does by the newest reading of each meter that was handed out."""
    rounds, rest = divmod(source.taken, source.fleet.size)
    powers: list[tuple[int, float]] = []
    for first, last, newest in ((0, rest, rounds), (rest, source.fleet.size, rounds - 1)):
        if newest >= 0:
            _, power_kw, _ = measurements(first, last, newest, source.interval_seconds)
            powers += enumerate(power_kw.tolist(), first)
    return {
        region: RegionNow(len(of_region), math.fsum(of_region))
        for place, region in enumerate(REGIONS)
        if (of_region := [power for number, power in powers if number % len(REGIONS) == place])
    }


def windows_of(source: FrameSource) -> dict[tuple[str, int], ClosedWindow]:
    """What the closed windows of every region say of the readings handed out, by region and start in seconds."""
    rounds, rest = divmod(source.taken, source.fleet.size)
    imports: Counter[tuple[str, int]] = Counter()
    heard: dict[tuple[str, int], int] = {}
    for number in range(rounds + (rest > 0)):
        devices = np.arange(source.fleet.size if number < rounds else rest)
        start = source.start_seconds + number * source.interval_seconds
        energies = import_milliwatt_hours(devices, number, source.interval_seconds)
        for place, region in enumerate(REGIONS):
            key = region, start // _WINDOW_SECONDS * _WINDOW_SECONDS
            of_region = energies[place :: len(REGIONS)]
            imports[key] += int(of_region.sum())
            heard[key] = max(heard.get(key, 0), int(of_region.size))
    return {key: ClosedWindow(heard[key], energy) for key, energy in imports.items() if heard[key]}


async def _live(analytics: AnalyticsServiceAsyncStub, region: str) -> RegionNow:
    response = await analytics.GetRegionLoad(GetRegionLoadRequest(region=region), timeout=UNARY_TIMEOUT_SECONDS)
    return RegionNow(response.load.reporting_meter_count, response.load.load_kw)


async def _closed(analytics: AnalyticsServiceAsyncStub, region: str, source: FrameSource) -> dict[int, ClosedWindow]:
    request = ListRegionLoadRequest(
        region=region,
        start_time=from_ms(source.start_seconds * 1000),
        end_time=from_ms(-(-source.end_seconds // _WINDOW_SECONDS) * _WINDOW_SECONDS * 1000),
        resolution=REGION_LOAD_RESOLUTION_QUARTER_HOUR,
        page_size=100,
    )
    response = await analytics.ListRegionLoad(request, timeout=UNARY_TIMEOUT_SECONDS)
    return {
        to_ms(window.start_time) // 1000: ClosedWindow(window.reporting_meter_count, milliwatt_hours(window.import_kwh))
        for window in response.windows
    }


async def _seconds_until(
    holds: Callable[[], Awaitable[bool]], since: float, limit_seconds: float = _GIVE_UP_SECONDS
) -> float | None:
    """When it holds, in seconds since an instant; None when it does not before the limit."""
    while time.monotonic() - since < limit_seconds:
        try:
            if await holds():
                return round(time.monotonic() - since, 2)
        except grpc.aio.AioRpcError:
            # It is being started.
            pass
        await asyncio.sleep(_LOOK_SECONDS)
    return None


async def _count_anew(rig: Rig) -> None:
    """Takes in that analytics counts from 0 again: from here on it is as if it had counted all that is acked."""
    now = await rig.figures(rig.processes())
    rig.base = replace(rig.base, analysed=rig.base.analysed + now.analysed - (rig.acked - rig.dropped))
