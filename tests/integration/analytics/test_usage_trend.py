"""The trend of days over a real billing: each day by the clock of its own site, and days with gaps left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1 import usage_trend_pb2
from energy.analytics.v1.device_scope_pb2 import DeviceScope
from energy.registry.v1 import device_pb2
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading
from google.type.date_pb2 import Date

from common.instants import duration_from_ms, from_ms, to_ms
from common.localstack.mesh import Mesh
from tests.integration.analytics.measured_world import MeasuredWorld, measured_world
from tests.wire.analytics.peers import Registry

HOUR_MS = 3_600_000
ZONES = {"east": "Asia/Tokyo", "west": "America/New_York"}
FIRST, DAYS = date(2026, 3, 2), 12
# Of this day of the west half is missing.
GAP = FIRST + timedelta(days=4)


def energy_of(day: date, device_id: str) -> float:
    """An hour of a day, kWh: a tenth more each day in the east, always the same in the west."""
    return 1 + (day - FIRST).days / 10 if device_id == "east" else 2.0


def hours() -> list[Reading]:
    """The hours of twelve local days in each zone; one of the western ones has 23."""
    found = []
    for device_id, name in ZONES.items():
        zone = ZoneInfo(name)
        instant = datetime.combine(FIRST, datetime.min.time(), zone).astimezone(UTC)
        while (local := instant.astimezone(zone)).date() < FIRST + timedelta(days=DAYS):
            if device_id == "east" or local.date() != GAP or local.hour >= 12:
                found.append(
                    Reading(
                        device_id=device_id,
                        start_time=from_ms(int(instant.timestamp()) * 1000),
                        interval=duration_from_ms(HOUR_MS),
                        meter=MeterMeasurement(import_kwh=energy_of(local.date(), device_id)),
                    )
                )
            instant += timedelta(hours=1)
    return found


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def world(servers: Mesh) -> AsyncIterator[MeasuredWorld]:
    """The readings on record."""
    devices = Registry()  # type: ignore[abstract]
    for device_id, zone in ZONES.items():
        devices.add(device_id, device_pb2.DEVICE_KIND_METER, time_zone=zone, interval_ms=HOUR_MS, group_ids=["both"])
    async with measured_world(servers, devices) as opened:
        await opened.send(hours())
        yield opened


async def trend_of(world: MeasuredWorld, scope: DeviceScope) -> usage_trend_pb2.UsageTrend:
    """The trend of the twelve days."""
    start, end = FIRST, FIRST + timedelta(days=DAYS)
    request = pb.GetUsageTrendRequest(
        scope=scope,
        start_date=Date(year=start.year, month=start.month, day=start.day),
        end_date=Date(year=end.year, month=end.month, day=end.day),
    )
    answer = await world.analytics.GetUsageTrend(request, timeout=20)
    return usage_trend_pb2.UsageTrend.FromString(answer.trend.SerializeToString())


async def test_what_rises_is_seen_to_rise(world: MeasuredWorld) -> None:
    """2.4 kWh more each day, from 24 to 50.4."""
    trend = await trend_of(world, DeviceScope(device_id="east"))

    assert trend.direction == usage_trend_pb2.TREND_DIRECTION_RISING
    assert trend.change_per_day_kwh == pytest.approx(2.4)
    assert trend.mean_day_kwh == pytest.approx(37.2)
    assert trend.change_per_day_percent == pytest.approx(100 * 2.4 / 37.2)
    assert (trend.counted_day_count, trend.left_out_day_count) == (12, 0)
    assert (trend.lowest_day.date.day, trend.lowest_day.totals.energy_in_kwh) == (2, 24.0)
    assert (trend.peak_day.date.day, trend.peak_day.totals.energy_in_kwh) == (13, 50.4)
    zone = ZoneInfo(ZONES["east"])
    assert to_ms(trend.peak_day.totals.start_time) == int(datetime(2026, 3, 13, tzinfo=zone).timestamp()) * 1000


async def test_a_day_with_gaps_is_no_fall_and_a_day_of_23_hours_is_one(world: MeasuredWorld) -> None:
    """The day without half of its readings is left out; the shorter one is whole, and took less."""
    trend = await trend_of(world, DeviceScope(device_id="west"))

    assert trend.direction == usage_trend_pb2.TREND_DIRECTION_STEADY
    assert (trend.counted_day_count, trend.left_out_day_count) == (11, 1)
    assert (trend.lowest_day.date.day, trend.lowest_day.totals.energy_in_kwh) == (8, 46.0)
    assert trend.peak_day.totals.energy_in_kwh == 48.0


async def test_days_of_two_zones_are_added_up_by_date(world: MeasuredWorld) -> None:
    """Though the one begins thirteen or fourteen hours before the other."""
    trend = await trend_of(world, DeviceScope(group_id="both"))

    assert trend.counted_day_count == 11
    expected = 24 * energy_of(FIRST + timedelta(days=11), "east") + 48
    assert trend.peak_day.date.day == 13
    assert trend.peak_day.totals.energy_in_kwh == pytest.approx(expected)
    assert trend.peak_day.totals.device_count == trend.peak_day.totals.reporting_device_count == 2


async def test_days_without_readings_say_nothing(world: MeasuredWorld) -> None:
    """Absent, not 0."""
    request: dict[str, Any] = {"scope": DeviceScope(device_id="east")}
    answer = await world.analytics.GetUsageTrend(
        pb.GetUsageTrendRequest(
            start_date=Date(year=2025, month=1, day=1), end_date=Date(year=2025, month=2, day=1), **request
        ),
        timeout=20,
    )

    trend = answer.trend
    assert trend.direction == usage_trend_pb2.TREND_DIRECTION_UNKNOWN
    assert (trend.counted_day_count, trend.left_out_day_count) == (0, 31)
    for absent in ("change_per_day_kwh", "change_per_day_percent", "mean_day_kwh", "peak_day", "lowest_day"):
        assert not trend.HasField(absent), absent
