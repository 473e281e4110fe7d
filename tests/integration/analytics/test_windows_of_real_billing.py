"""From the queue to the event: a real billing and a real analytics make windows of what was sent, late or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import pytest_asyncio
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from energy.analytics.v1.region_window_pb2 import RegionWindow
from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading

from analytics.windows.region_window import WINDOW_MS, window_start_ms
from common.instants import from_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from tests.integration.analytics.closing import METER, MINUTE_MS, NOON_MS, WINDOW_START_MS
from tests.integration.analytics.real_billing import real_billing
from tests.integration.analytics.running_analytics import (
    PARTITIONS,
    Queues,
    RunningAnalytics,
    eventually,
    reading_of,
    running_analytics,
)
from tests.wire.analytics.peers import Registry

CLOSABLE_MS = NOON_MS + 2 * MINUTE_MS
REGION = "Windy-Hill"


class Writer:
    """Stands for ingestion: batches numbered without a gap, made when the test says."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._sequences = [0] * PARTITIONS

    async def write(self, create_ms: int, *readings: Reading) -> None:
        """A batch to each partition, so that every one is complete before it; the readings in the first."""
        for partition in range(PARTITIONS):
            self._sequences[partition] += 1
            sequence = self._sequences[partition]
            parts = [Part(receive_time=from_ms(create_ms), readings=readings)] if readings and not partition else []
            batch = ReadingBatch(
                batch_id=f"windows-{partition}-{sequence}",
                writer="windows-writer",
                sequence=sequence,
                partition=partition,
                create_time=from_ms(create_ms),
                partition_count=PARTITIONS,
                parts=parts,
            )
            await self._queues.publish(batch.SerializeToString(), message_id=batch.batch_id, partition=partition)


@dataclass
class World:
    """Billing, what goes into the queues, and what analytics needs to run."""

    servers: Mesh
    writer: Writer
    database: Database
    gateway_address: str
    billing_address: str

    def analytics(self) -> AbstractAsyncContextManager[RunningAnalytics]:
        """A replica of analytics."""
        return running_analytics(
            self.servers.amqp_url,
            self.servers.mongo_url,
            gateway_address=self.gateway_address,
            billing_address=self.billing_address,
        )

    async def heard_by_billing(self, version: int) -> dict[str, Any]:
        """What billing makes prices from, once it was told of a version of the window."""
        async with asyncio.timeout(20):
            while True:
                found = await self.database["load_windows"].find_one({"_id": f"{REGION}@{WINDOW_START_MS}"})
                if found is not None and found["version"] >= version:
                    return found
                await asyncio.sleep(0.02)


def quarter(device_id: str, minutes: range) -> list[Reading]:
    """A tenth of a kWh in each of some minutes of the window."""
    measured = MeterMeasurement(import_kwh=0.1, power_kw=6.0)
    return [reading_of(device_id, WINDOW_START_MS + minute * MINUTE_MS, meter=measured) for minute in minutes]


@pytest_asyncio.fixture(loop_scope="session")
async def world(servers: Mesh, queues: Queues) -> AsyncIterator[World]:
    """Two meters in one region, an empty store, and the real billing."""
    devices = Registry()  # type: ignore[abstract]
    devices.add("windy-1", METER, region=REGION)
    devices.add("windy-2", METER, region=REGION)
    async with real_billing(servers, devices) as billing:
        yield World(servers, Writer(queues), billing.database, billing.gateway_address, billing.address)


async def newest(stub: Any) -> RegionWindow:
    """The newest closed window of the region."""
    answer = await stub.GetRegionLoad(pb.GetRegionLoadRequest(region=REGION), timeout=10)
    return RegionWindow.FromString(answer.newest_window.SerializeToString())


async def test_what_was_sent_is_what_prices_are_made_from_and_so_is_what_came_late(world: World) -> None:
    """Closed, told to billing, corrected by what came while analytics was away, and not by what is there already."""
    async with world.analytics() as analytics:
        stub: Any = AnalyticsServiceStub(analytics.channel)
        await stub.SetRegionCapacity(
            pb.SetRegionCapacityRequest(
                region=REGION, capacity_kw=25.0, actor="jo", start_time=from_ms(WINDOW_START_MS)
            ),
            timeout=10,
        )
        await world.writer.write(NOON_MS + 1_000, *quarter("windy-1", range(15)), *quarter("windy-2", range(10)))
        await world.writer.write(CLOSABLE_MS)

        assert (await world.heard_by_billing(version=1))["load_percent"] == "40.0"
        window = await newest(stub)
        assert (window.version, window.import_kwh, window.mean_load_kw, window.load_percent) == (1, 2.5, 10.0, 40.0)
        assert (window.meter_count, window.reporting_meter_count) == (2, 2)
        assert (window.minimum_load_kw, window.maximum_load_kw) == (6.0, 12.0)
        assert window.covered_share == 25 / 30

    await world.writer.write(CLOSABLE_MS + 1_000, *quarter("windy-2", range(10, 15)))

    async with world.analytics() as analytics:
        stub = AnalyticsServiceStub(analytics.channel)
        await eventually(lambda: analytics.value("late_readings_total", outcome="marked") == 5)
        await world.writer.write(CLOSABLE_MS + MINUTE_MS)
        assert (await world.heard_by_billing(version=2))["load_percent"] == "48.0"
        window = await newest(stub)
        assert (window.version, window.import_kwh, window.covered_share) == (2, 3.0, 1.0)
        assert (window.minimum_load_kw, window.maximum_load_kw) == (12.0, 12.0)

        await world.writer.write(CLOSABLE_MS + 2 * MINUTE_MS, *quarter("windy-2", range(10, 15)))
        await eventually(lambda: analytics.value("late_readings_total", outcome="marked") == 10)
        await world.writer.write(CLOSABLE_MS + 3 * MINUTE_MS)
        await eventually(lambda: analytics.value("region_window_checks_unchanged_total") == 1)

        assert (await newest(stub)).version == 2


async def test_what_came_late_and_was_lost_on_the_way_is_found_by_what_is_on_record(
    world: World, queues: Queues
) -> None:
    """While analytics was away its queues dropped it; billing's log did not."""
    now_ms = time.time_ns() // 1_000_000
    start_ms = window_start_ms(now_ms) - 4 * WINDOW_MS
    measured = MeterMeasurement(import_kwh=0.1)
    readings = [reading_of("windy-1", start_ms + minute * MINUTE_MS, meter=measured) for minute in range(15)]
    async with world.analytics() as analytics:
        await world.writer.write(now_ms, *readings[:10])
        await world.writer.write(now_ms + 30_000)
        assert (await stored_window(world.database, start_ms, version=1))["import_milliwatt_hours"] == 1_000_000
        # These were late as well, and came by the queue.
        await eventually(lambda: analytics.value("late_readings_total", outcome="marked") == 10)
        await world.writer.write(now_ms + 40_000)
        await until_none_is_due(world.database)

    await world.writer.write(now_ms + 41_000, *readings[10:])
    await until_logged(world.database, 15)
    assert await queues.lose_for_analytics() >= 1

    async with world.analytics() as analytics:
        await world.writer.write(now_ms + 60_000)
        window = await stored_window(world.database, start_ms, version=2)
        assert window["import_milliwatt_hours"] == 1_500_000
        assert analytics.value("region_windows_found_late_total") == 1
        assert analytics.value("late_readings_total", outcome="marked") == 0


async def stored_window(database: Database, start_ms: int, version: int) -> dict[str, Any]:
    """The window of the region, once it has a version."""
    async with asyncio.timeout(30):
        while True:
            found = await database["region_windows"].find_one({"_id": f"{REGION}@{start_ms}"})
            if found is not None and found["version"] >= version:
                return dict(found)
            await asyncio.sleep(0.02)


async def until_none_is_due(database: Database) -> None:
    """Returns when no window waits for what came late."""
    async with asyncio.timeout(20):
        while await database["region_windows_due"].count_documents({}):  # noqa: ASYNC110 - a store has no event
            await asyncio.sleep(0.02)


async def until_logged(database: Database, count: int) -> None:
    """Returns when so many readings are in the log."""
    async with asyncio.timeout(20):
        while sum([one["reading_count"] async for one in database["readings_log"].find()]) < count:  # noqa: ASYNC110 - a store has no event
            await asyncio.sleep(0.02)


async def test_minutes_and_five_minutes_are_told_from_what_is_stored(world: World) -> None:
    """They add up to the quarter-hour, and the newest are told once nothing more is expected of them."""
    async with world.analytics() as analytics:
        stub: Any = AnalyticsServiceStub(analytics.channel)
        await world.writer.write(NOON_MS + 1_000, *quarter("windy-1", range(15)), *quarter("windy-2", range(5, 10)))
        # A minute and a half after the tenth minute.
        await world.writer.write(WINDOW_START_MS + 11 * MINUTE_MS + 30_000)
        early = await eventually_minutes(stub, pb.REGION_LOAD_RESOLUTION_MINUTE, 10)
        assert [window.reporting_meter_count for window in early] == [1] * 5 + [2] * 5
        assert [round(window.mean_load_kw, 6) for window in early] == [6.0] * 5 + [12.0] * 5
        assert {(window.version, window.meter_count) for window in early} == {(0, 2)}

        await world.writer.write(CLOSABLE_MS)
        minutes = await eventually_minutes(stub, pb.REGION_LOAD_RESOLUTION_MINUTE, 15)
        small_pages = await windows_around_noon(stub, pb.REGION_LOAD_RESOLUTION_MINUTE, page_size=7)
        assert [window.start_time for window in small_pages] == [window.start_time for window in minutes]
        fives = await eventually_minutes(stub, pb.REGION_LOAD_RESOLUTION_FIVE_MINUTES, 3)

        assert [window.import_kwh for window in fives] == [0.5, 1.0, 0.5]
        assert [round(window.covered_share, 6) for window in fives] == [0.5, 1.0, 0.5]
        assert [(window.minimum_load_kw, window.maximum_load_kw) for window in fives] == [(6, 6), (12, 12), (6, 6)]
        assert sum(window.import_kwh for window in minutes) == pytest.approx(2.0)


async def eventually_minutes(stub: Any, resolution: Any, count: int) -> list[RegionWindow]:
    """The windows of a resolution in the hour before noon and the one after, as soon as there are so many."""
    async with asyncio.timeout(20):
        while True:
            # Billing may just be starting.
            with suppress(grpc.aio.AioRpcError):
                if len(found := await windows_around_noon(stub, resolution)) == count:
                    return found
            await asyncio.sleep(0.05)


async def windows_around_noon(stub: Any, resolution: Any, page_size: int = 0) -> list[RegionWindow]:
    """Page after page, none larger than it may be."""
    found: list[RegionWindow] = []
    request = pb.ListRegionLoadRequest(
        region=REGION,
        start_time=from_ms(NOON_MS - 60 * MINUTE_MS),
        end_time=from_ms(NOON_MS + 60 * MINUTE_MS),
        resolution=resolution,
        page_size=page_size,
    )
    while True:
        page = await stub.ListRegionLoad(request, timeout=10)
        assert len(page.windows) <= (page_size or 60)
        found += page.windows
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token
