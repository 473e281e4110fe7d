"""The service as a whole: when it is green, what it shows, how it stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
import urllib.request

import grpc
from energy.analytics.v1.analytics_service_pb2 import GetFleetSummaryRequest
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from energy.registry.v1 import device_pb2
from energy.registry.v1.registry_service_pb2_grpc import add_RegistryServiceServicer_to_server
from energy.telemetry.v1 import reading_pb2
from pymongo.uri_parser import parse_uri

from analytics.app import ALERT_SERVICE_NAME, SERVICE_NAME
from common.localstack.mesh import Mesh
from tests.integration.analytics.running_analytics import (
    NOBODY,
    PARTITIONS,
    Queues,
    batch_of,
    eventually,
    reading_of,
    running_analytics,
)
from tests.integration.ingestion.severable_wire import SeverableWire
from tests.wire.analytics.peers import Registry


async def test_peers_that_are_away_do_not_turn_it_red(servers: Mesh, queues: Queues) -> None:
    """Neither gateway nor billing is needed to consume."""
    assert await queues.left_for_analytics() == 0

    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await analytics.wait_serving()

        assert await analytics.is_serving(SERVICE_NAME)
        assert await analytics.is_serving("liveness")


async def test_a_broker_that_is_away_turns_it_red_but_not_dead(servers: Mesh) -> None:
    """It cannot do its own work, but its process is fine."""
    async with running_analytics(f"amqp://guest:guest@{NOBODY}/", servers.mongo_url) as analytics:
        assert not await analytics.is_serving("")
        assert not await analytics.is_serving(SERVICE_NAME)
        assert await analytics.is_serving("liveness")


async def test_a_store_that_is_away_turns_alerts_red_soon_and_the_live_picture_not(
    servers: Mesh, queues: Queues
) -> None:
    """Alerts are nowhere else; both are green again when the store is back."""
    assert await queues.left_for_analytics() == 0
    ((host, port),) = parse_uri(servers.mongo_url)["nodelist"]
    wire = SeverableWire(host, port)
    await wire.open()
    url = f"mongodb://127.0.0.1:{wire.port}/?directConnection=true"
    async with running_analytics(servers.amqp_url, url) as analytics:
        await analytics.wait_serving()
        async with asyncio.timeout(10):
            while not await analytics.is_serving(ALERT_SERVICE_NAME):  # noqa: ASYNC110 - a test looks from outside
                await asyncio.sleep(0.05)

        wire.close()
        async with asyncio.timeout(10):
            while await analytics.is_serving(ALERT_SERVICE_NAME):  # noqa: ASYNC110 - a test looks from outside
                await asyncio.sleep(0.05)
        others = await analytics.is_serving(SERVICE_NAME), await analytics.is_serving("")
        await wire.open()
        async with asyncio.timeout(20):
            while not await analytics.is_serving(ALERT_SERVICE_NAME):  # noqa: ASYNC110 - a test looks from outside
                await asyncio.sleep(0.05)
    wire.close()

    assert others == (True, True)


async def test_the_fleet_is_told_by_call_and_by_metric(servers: Mesh, queues: Queues) -> None:
    """A reading that goes in at the queue comes out in the summary, with its rate, and in the gauges of its region."""
    registry = Registry()  # type: ignore[abstract]
    registry.add("vehicle-1", device_pb2.DEVICE_KIND_VEHICLE)
    registry.add("vehicle-2", device_pb2.DEVICE_KIND_VEHICLE)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_RegistryServiceServicer_to_server(registry, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    now_ms = time.time_ns() // 1_000_000
    charging = reading_pb2.VehicleMeasurement(power_kw=11.0, charging_state=reading_pb2.CHARGING_STATE_CHARGING)
    batch = batch_of("batch-1", now_ms, reading_of("vehicle-1", now_ms - 60_000, vehicle=charging))
    labels = {"region": "North", "kind": "vehicle"}

    async with running_analytics(servers.amqp_url, servers.mongo_url, gateway_address=f"127.0.0.1:{port}") as analytics:
        await eventually(lambda: analytics.app.registry_cache.is_complete)
        await queues.publish(batch.SerializeToString(), message_id="batch-1")
        await eventually(lambda: analytics.value("power_kw", **labels) == 11.0)
        response = await AnalyticsServiceStub(analytics.channel).GetFleetSummary(GetFleetSummaryRequest(), timeout=10)

        summary = response.summary
        assert (summary.device_count, summary.stale_device_count) == (2, 1)
        assert {(count.state, count.device_count) for count in summary.counts} == {("CHARGING", 1), ("UNKNOWN", 1)}
        assert 0 < summary.readings_per_second <= 0.1
        assert analytics.value("devices", **labels) == 2
        assert analytics.value("devices_stale", **labels) == 1
        assert analytics.value("readings_total", **labels) == 1
        assert analytics.value("reading_delay_seconds_count", **labels) == 1
    await server.stop(None)


async def test_a_partition_that_a_writer_tells_of_is_consumed_too(servers: Mesh, queues: Queues) -> None:
    """The number may grow while analytics runs; its queues are declared and consumed as soon as a batch names it."""
    told = batch_of("batch-1", 60_000)
    told.partition_count = PARTITIONS + 1
    beyond = batch_of("batch-2", 60_000, reading_of("meter-1", 0, meter=reading_pb2.MeterMeasurement(import_kwh=1.0)))

    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await analytics.wait_serving()
        await queues.publish(told.SerializeToString(), message_id="batch-1")
        await eventually(lambda: PARTITIONS in {int(one.queue[-1]) for one in analytics.app.consumers.running})
        await eventually(lambda: not analytics.app.consumers.unsubscribed())
        await queues.publish(beyond.SerializeToString(), message_id="batch-2", partition=PARTITIONS)
        await eventually(lambda: analytics.value("readings_total", region="unknown", kind="meter") == 1)

        assert analytics.value("partitions_leased") == PARTITIONS + 1
        assert await analytics.is_serving(SERVICE_NAME)


async def test_metrics_are_served_over_http(servers: Mesh, queues: Queues) -> None:
    """Prometheus finds the counters, and no device among the labels."""
    meter = reading_pb2.MeterMeasurement(import_kwh=1.0)
    batch = batch_of("batch-1", 60_000, reading_of("meter-1", 0, meter=meter))

    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await queues.publish(batch.SerializeToString(), message_id="batch-1")
        await eventually(lambda: analytics.value("batches_total") == 1)
        exposition = await asyncio.to_thread(_get, f"http://127.0.0.1:{analytics.app.metrics.port}/metrics")

    assert 'readings_total{kind="meter",region="unknown"} 1.0' in exposition
    assert "meter-1" not in exposition


async def test_the_process_becomes_green_and_ends_on_sigterm(servers: Mesh, queues: Queues) -> None:
    """`python -m analytics` serves what its environment says, and leaves with 0."""
    assert await queues.left_for_analytics() == 0
    port, metrics_port = _free_port(), _free_port()
    environment = {
        **os.environ,
        "GRPC_PORT": str(port),
        "METRICS_PORT": str(metrics_port),
        "AMQP_URL": servers.amqp_url,
        "MONGO_URL": servers.mongo_url,
        "PARTITIONS": str(PARTITIONS),
        "GATEWAY_ADDRESS": NOBODY,
        "BILLING_ADDRESS": NOBODY,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "analytics", env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(60):
            async for line in process.stderr:
                if b'"serving": true' in line:
                    break
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await process.stderr.read()
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert code == 0


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        return str(answer.read().decode())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
