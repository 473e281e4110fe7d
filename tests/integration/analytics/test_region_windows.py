"""Windows of regions on a real store: closed when complete, once, told, and corrected by what comes late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import grpc
import pytest
from energy.analytics.v1 import analytics_service_pb2 as messages
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from energy.analytics.v1.region_window_pb2 import RegionWindowClosed
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub, add_UsageServiceServicer_to_server
from energy.registry.v1 import device_pb2
from energy.registry.v1.registry_service_pb2_grpc import add_RegistryServiceServicer_to_server
from prometheus_client import CollectorRegistry

from analytics.region_usage import RegionUsageClient
from analytics.region_window import WINDOW_MS, Capacity
from analytics.region_window_store import COLLECTION, RegionCapacityStore, RegionWindowStore
from analytics.window_closer import WindowCloser, WindowMetrics
from common.broker import BrokerConnection
from common.event_consumer import EventConsumer
from common.event_outbox import PENDING
from common.grpc_client import open_channel
from common.instants import from_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from common.registry_cache import RegistryCache
from common.topology import event_queue_name
from tests.integration.analytics.running_analytics import Queues, eventually, on_channel, running_analytics
from tests.integration.common.broker_route import running
from tests.wire.analytics.peers import Billing, Measured, Registry

NOON_MS = 1_767_268_800_000
LATENESS_MS = 60_000
KWH = 1_000_000


@dataclass
class Region:
    """Two meters in the north and a vehicle that is charged there, a closer, and a clock that stands still."""

    billing: Billing
    windows: RegionWindowStore
    capacities: RegionCapacityStore
    closer: WindowCloser
    database: Database
    now_ms: int = NOON_MS

    def stored_until(self, instant_ms: int) -> None:
        """It is now this instant, and all that was acked before is stored."""
        self.now_ms = self.billing.complete_through_ms = instant_ms

    async def loads(self) -> list[tuple[int, int, float]]:
        """Quarters after noon, version and load of each closed window of the north."""
        found = await self.windows.between("North", NOON_MS - 10 * WINDOW_MS, NOON_MS + 100 * WINDOW_MS, 100)
        return [((one.start_ms - NOON_MS) // WINDOW_MS, one.version, one.mean_load_kw) for one in found]

    async def pending(self) -> int:
        """How many windows are to be told of."""
        return await self.database[COLLECTION].count_documents({PENDING: 1})


async def serve(stack: AsyncExitStack, add: object, servicer: object) -> str:
    """The address of a server with one servicer."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add(servicer, server)  # type: ignore[operator]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stack.push_async_callback(server.stop, None)
    return f"127.0.0.1:{port}"


def registry_of_the_north() -> Registry:
    """Two meters and a vehicle."""
    registry = Registry()  # type: ignore[abstract]
    registry.add("meter-1", device_pb2.DEVICE_KIND_METER)
    registry.add("meter-2", device_pb2.DEVICE_KIND_METER)
    registry.add("vehicle-1", device_pb2.DEVICE_KIND_VEHICLE)
    return registry


@pytest.fixture
async def region(database: Database) -> AsyncIterator[Region]:
    """The region before an empty store."""
    billing = Billing()  # type: ignore[abstract]
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        registry = RegistryCache(
            open_channel(await serve(stack, add_RegistryServiceServicer_to_server, registry_of_the_north()))
        )
        stack.push_async_callback(registry.close)
        watching = tasks.create_task(registry.run())
        channel = open_channel(await serve(stack, add_UsageServiceServicer_to_server, billing))
        stack.push_async_callback(channel.close)
        async with asyncio.timeout(10):
            await registry.wait_complete()
        windows, capacities = RegionWindowStore(database), RegionCapacityStore(database)
        await windows.prepare()
        made = Region(billing, windows, capacities, None, database)  # type: ignore[arg-type]
        made.closer = WindowCloser(
            registry=registry,
            usage=RegionUsageClient(UsageServiceStub(channel)),
            windows=windows,
            capacities=capacities,
            lateness_ms=LATENESS_MS,
            reach_ms=86_400_000,
            clock_ms=lambda: made.now_ms,
            told=lambda: None,
            metrics=WindowMetrics(CollectorRegistry()),
        )
        yield made
        watching.cancel()


async def test_a_window_is_closed_when_all_that_was_acked_by_then_is_stored(region: Region) -> None:
    """5 kWh in a quarter of an hour are 20 kW; the vehicle's energy came through a meter and is not asked for."""
    region.billing.readings = {
        "meter-1": [Measured(NOON_MS, 2 * KWH), Measured(NOON_MS + WINDOW_MS, 7 * KWH)],
        "meter-2": [Measured(NOON_MS + WINDOW_MS - 1, 3 * KWH)],
        "vehicle-1": [Measured(NOON_MS, 9 * KWH)],
    }
    region.now_ms = NOON_MS + WINDOW_MS + LATENESS_MS
    region.billing.complete_through_ms = region.now_ms - 1
    await region.closer.close_ended()
    assert await region.loads() == []

    region.stored_until(NOON_MS + WINDOW_MS + LATENESS_MS)
    await region.closer.close_ended()

    assert await region.loads() == [(0, 1, 20.0)]
    assert await region.pending() == 1


async def test_a_region_that_nobody_closed_before_begins_with_its_newest_window(region: Region) -> None:
    """From there on none is left out, also after hours in which nobody closed; another process knows what is closed."""
    region.stored_until(NOON_MS + WINDOW_MS + LATENESS_MS)
    await region.closer.close_ended()
    region.stored_until(NOON_MS + 4 * WINDOW_MS + LATENESS_MS)
    await region.closer.close_ended()
    asked = len(region.billing.summarized)
    region.closer._closed = {}
    await region.closer.start()
    await region.closer.close_ended()

    assert [quarter for quarter, _, _ in await region.loads()] == [0, 1, 2, 3]
    assert len(region.billing.summarized) == asked


async def test_what_comes_late_makes_one_new_version_and_what_changes_nothing_none(region: Region) -> None:
    """The mark of the late reading is taken off when it is summed up, not before it is stored."""
    region.billing.readings = {"meter-1": [Measured(NOON_MS, 2 * KWH)]}
    region.stored_until(NOON_MS + WINDOW_MS + LATENESS_MS)
    await region.closer.close_ended()
    received_ms = region.now_ms + 1_000
    await region.windows.mark_stale({("North", NOON_MS): received_ms, ("North", NOON_MS + WINDOW_MS): received_ms})
    region.stored_until(received_ms)
    await region.closer.sum_up_stale()
    region.billing.readings["meter-2"] = [Measured(NOON_MS, 1 * KWH)]
    assert await region.loads() == [(0, 1, 8.0)]

    region.stored_until(received_ms + 1)
    for _ in range(2):
        await region.closer.sum_up_stale()
    assert await region.loads() == [(0, 2, 12.0)]
    await region.windows.mark_stale({("North", NOON_MS): received_ms})
    await region.closer.sum_up_stale()

    assert await region.loads() == [(0, 2, 12.0)]
    assert await region.windows.stale(10) == []


async def test_what_is_received_while_a_window_is_summed_up_keeps_its_mark(region: Region) -> None:
    """It may be in the sums, or not."""
    region.stored_until(NOON_MS + WINDOW_MS + LATENESS_MS)
    await region.closer.close_ended()
    (window,) = await region.windows.between("North", NOON_MS, NOON_MS + 1, 1)
    await region.windows.mark_stale({("North", NOON_MS): NOON_MS + 2})
    await region.windows.settled(window, NOON_MS + 1)

    assert [stale_ms for _, stale_ms in await region.windows.stale(10)] == [NOON_MS + 2]


async def test_two_replicas_close_a_window_once(region: Region) -> None:
    """The second finds it there, and tells nobody."""
    region.stored_until(NOON_MS + WINDOW_MS + LATENESS_MS)
    await region.closer.close_ended()
    await region.database[COLLECTION].update_many({}, {"$unset": {PENDING: ""}})
    region.closer._closed = {}
    await region.closer.close_ended()

    assert len(await region.loads()) == 1
    assert await region.pending() == 0


async def test_a_load_is_in_percent_of_the_capacity_at_the_end_of_the_window(region: Region) -> None:
    """8 kW of 40 kW, which is said to hold from the middle of the window on."""
    await region.capacities.put(Capacity("North", 10.0, 0, "jo"), 0)
    await region.capacities.put(Capacity("North", 40.0, NOON_MS + WINDOW_MS // 2, "jo"), 0)
    region.billing.readings = {"meter-1": [Measured(NOON_MS, 2 * KWH)]}
    region.stored_until(NOON_MS + WINDOW_MS + LATENESS_MS)
    await region.closer.close_ended()

    newest = await region.windows.newest("North")
    assert newest is not None
    assert (newest.load_percent, newest.reporting_meter_count, newest.meter_count) == (20.0, 1, 2)


async def test_the_service_closes_windows_tells_billing_and_answers(
    servers: Mesh, queues: Queues, database: Database
) -> None:
    """A whole process: what it closed by itself is in its answers and in billing's queue of events."""
    assert await queues.left_for_analytics() == 0
    await database.client["gridmesh"][COLLECTION].delete_many({})
    billing = Billing(complete_through_ms=time.time_ns() // 1_000_000)  # type: ignore[abstract]
    ended_ms = (billing.complete_through_ms or 0) - 60_000
    newest_ms = ended_ms // WINDOW_MS * WINDOW_MS - WINDOW_MS
    billing.readings = {"meter-1": [Measured(newest_ms, 5 * KWH)]}
    bodies: list[bytes] = []

    async def take(body: bytes) -> None:
        bodies.append(body)

    await on_channel(servers.amqp_url, lambda channel: channel.queue_purge(event_queue_name("billing")))
    connection = BrokerConnection(servers.amqp_url, "test")
    events = EventConsumer(connection, "billing", {RegionWindowClosed.DESCRIPTOR.full_name: take}, CollectorRegistry())
    async with AsyncExitStack() as stack:
        for forever in (connection.run(), events.subscribe(), events.run()):
            await stack.enter_async_context(running(forever))
        gateway_address = await serve(stack, add_RegistryServiceServicer_to_server, registry_of_the_north())
        billing_address = await serve(stack, add_UsageServiceServicer_to_server, billing)
        analytics = await stack.enter_async_context(
            running_analytics(
                servers.amqp_url, servers.mongo_url, gateway_address=gateway_address, billing_address=billing_address
            )
        )
        stub = AnalyticsServiceStub(analytics.channel)
        await eventually(lambda: analytics.value("region_windows_events_told_total") >= 1)
        await stub.SetRegionCapacity(
            messages.SetRegionCapacityRequest(region="North", capacity_kw=80, actor="jo"), timeout=10
        )
        listed = await stub.ListRegionLoad(
            messages.ListRegionLoadRequest(
                region="North", start_time=from_ms(newest_ms - WINDOW_MS), end_time=from_ms(newest_ms + 1)
            ),
            timeout=10,
        )
        load = (await stub.GetRegionLoad(messages.GetRegionLoadRequest(region="North"), timeout=10)).load
        watch = stub.WatchRegionLoad(messages.WatchRegionLoadRequest(regions=["North"]), timeout=10)
        watched = await anext(aiter(watch))
        watch.cancel()
        await eventually(lambda: bodies)

    told = [RegionWindowClosed.FromString(body).window for body in bodies]
    assert [window.mean_load_kw for window in listed.windows] == [20.0]
    assert list(listed.windows) == [window for window in told if window.start_time == from_ms(newest_ms)]
    assert (load.capacity_kw, load.meter_count, load.silent_meter_count, load.HasField("load_kw")) == (80, 2, 2, False)
    assert load.newest_window == listed.windows[0]
    assert watched.loads[0].newest_window == load.newest_window
