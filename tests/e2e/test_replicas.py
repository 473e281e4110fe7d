"""Two replicas of billing and two of analytics share the partitions, as real processes, under load, through a kill."""

import asyncio
import os
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest_asyncio
from energy.analytics.v1.analytics_service_pb2 import GetFleetSummaryRequest
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from energy.billing.v1.usage_service_pb2 import SummarizeUsageRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub

from common.energy import milliwatt_hours
from common.instants import from_ms
from common.localstack.mesh import Mesh, running_mesh
from common.localstack.services import Service, mesh_services, replica
from common.localstack.settings import LocalSettings, Ports, free_ports
from loadgen.fleet import Fleet
from loadgen.fleet_spec import FleetSpec
from loadgen.latency import LatencyHistogram
from loadgen.pacing import Pacing
from loadgen.run import drive
from loadgen.streams import Streams
from loadgen.tally import Tally
from tests.e2e.mesh_client import CALL_SECONDS, MeshClient, eventually

PARTITIONS = 8
METERS = 60
TAKE_OVER_SECONDS = 10
INTERVAL_MS = 300_000
DAY_MS = 86_400_000


def second(name: str) -> Service:
    """The second replica of a service, on free ports."""
    port, metrics_port = free_ports(2)
    return Service(f"{name}-2", replica(name, 2, 0, 0).argv, port, metrics_port)


class Replicas:
    """The mesh, and where its replicas listen."""

    def __init__(self, mesh: Mesh, services: list[Service]) -> None:
        self.mesh = mesh
        self._services = {service.name: service for service in services}

    def address(self, name: str) -> str:
        """Where a replica answers."""
        return f"127.0.0.1:{self._services[name].port}"

    async def leased(self, name: str) -> int:
        """How many partitions a replica leases, as its metrics say."""
        url = f"http://127.0.0.1:{self._services[name].metrics_port}/metrics"
        text = await asyncio.to_thread(_get, url)
        (line,) = (line for line in text.splitlines() if line.startswith("partitions_leased "))
        return int(float(line.split()[1]))

    async def wait_leased(self, **counts: int) -> float:
        """Waits until replicas lease so many partitions; how long that took, in seconds."""
        begin = time.monotonic()

        async def is_so() -> bool:
            return all([await self.leased(name.replace("_", "-")) == count for name, count in counts.items()])

        await eventually(is_so)
        return time.monotonic() - begin


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own server
        return str(answer.read().decode())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def replicas(tmp_path_factory: Any) -> AsyncIterator[Replicas]:
    """A mesh with two billing and two analytics processes."""
    run_dir = tmp_path_factory.mktemp("replicas")
    settings = LocalSettings.for_run(os.environ, root=run_dir, run_dir=run_dir, ports=Ports.free())
    services = [*mesh_services(settings.ports), second("billing"), second("analytics")]
    async with running_mesh(settings, os.environ, services_to_run=services) as running:
        yield Replicas(running, services)


@pytest_asyncio.fixture(loop_scope="session")
async def client(replicas: Replicas) -> AsyncIterator[MeshClient]:
    """A caller who knows the first of each."""
    async with MeshClient.connected(replicas.mesh.environment) as connected:
        yield connected


def fleet_of(prefix: str) -> Fleet:
    """Sixty meters in a region of their own."""
    return Fleet(
        FleetSpec(
            meters=METERS,
            vehicles=0,
            packs=0,
            interval_ms=INTERVAL_MS,
            seed=11,
            id_prefix=prefix,
            time_zone="Asia/Kolkata",
            regions=(f"{prefix}region",),
        )
    )


async def send(client: MeshClient, fleet: Fleet, start_ms: int, end_ms: int, readings_per_second: float) -> Tally:
    """Sends a fleet's readings at a steady rate until all are acked."""
    tally = Tally()
    async with Streams(client.gateway, tally=tally, ack_latency=LatencyHistogram(), frame_size=60) as streams:
        await drive(fleet.readings(start_ms, end_ms), streams, pacing=Pacing(readings_per_second=readings_per_second))
    return tally


def sent_milliwatt_hours(fleet: Fleet, start_ms: int, end_ms: int) -> int:
    """All that a fleet's meters imported, each reading rounded once."""
    return sum(
        milliwatt_hours(reading.meter.import_kwh) for step in fleet.readings(start_ms, end_ms) for reading in step
    )


async def test_a_killed_replica_loses_and_doubles_nothing_and_the_other_takes_over(
    replicas: Replicas, client: MeshClient
) -> None:
    """Under load one is killed for good: the other has every partition within 10 seconds, and half after its return."""
    await replicas.wait_leased(billing=PARTITIONS // 2, billing_2=PARTITIONS // 2)
    fleet = fleet_of("shared-")
    await client.register(fleet)
    end_ms = time.time_ns() // 1_000_000 // INTERVAL_MS * INTERVAL_MS
    start_ms = end_ms - DAY_MS // 2
    count = METERS * (end_ms - start_ms) // INTERVAL_MS
    device_ids = [device.device_id for device in fleet.devices()]
    load = asyncio.ensure_future(send(client, fleet, start_ms, end_ms, count / 12))
    await client.stored(device_ids, start_ms, end_ms, 1000)

    await replicas.mesh.keepers["billing-2"].kill(stays_down=True)

    assert await replicas.wait_leased(billing=PARTITIONS) < TAKE_OVER_SECONDS
    tally = await load
    assert (tally.distinct, tally.refused) == (count, 0)
    expected = sent_milliwatt_hours(fleet, start_ms, end_ms)
    assert await energy(client.usage, device_ids, start_ms, end_ms, count) == expected

    await replicas.mesh.keepers["billing-2"].restart()
    await replicas.wait_leased(billing=PARTITIONS // 2, billing_2=PARTITIONS // 2)
    more = fleet_of("later-")
    await client.register(more)
    load = asyncio.ensure_future(send(client, more, start_ms, end_ms, 100_000))
    await load
    async with grpc.aio.insecure_channel(replicas.address("billing-2")) as channel:
        stubs = [client.usage, UsageServiceStub(channel)]
        for fleet_sent in (fleet, more):
            device_ids = [device.device_id for device in fleet_sent.devices()]
            expected = sent_milliwatt_hours(fleet_sent, start_ms, end_ms)
            assert [await energy(stub, device_ids, start_ms, end_ms, count) for stub in stubs] == [expected, expected]


async def energy(stub: Any, device_ids: list[str], start_ms: int, end_ms: int, count: int) -> int:
    """What the devices imported according to one replica, milliwatt-hours, once it has exactly so many readings."""
    request = SummarizeUsageRequest(device_ids=device_ids, start_time=from_ms(start_ms), end_time=from_ms(end_ms))
    found: list[Any] = []

    async def is_there() -> bool:
        found[:] = (await stub.SummarizeUsage(request, timeout=CALL_SECONDS)).devices
        return bool(sum(one.usage.reading_count for one in found) >= count)

    await eventually(is_there)
    assert sum(one.usage.reading_count for one in found) == count
    return sum(milliwatt_hours(one.usage.import_kwh) for one in found)


async def test_every_analytics_replica_sees_the_whole_fleet(replicas: Replicas, client: MeshClient) -> None:
    """Each hears half of the partitions and asks billing about the rest, so both tell the same."""
    await replicas.wait_leased(analytics=PARTITIONS // 2, analytics_2=PARTITIONS // 2)
    fleet = fleet_of("seen-")
    await client.register(fleet)
    end_ms = time.time_ns() // 1_000_000 // INTERVAL_MS * INTERVAL_MS
    await send(client, fleet, end_ms - 10 * INTERVAL_MS, end_ms, 100_000)

    async with grpc.aio.insecure_channel(replicas.address("analytics-2")) as channel:
        stubs = [client.analytics, AnalyticsServiceStub(channel)]

        async def see_all() -> bool:
            request = GetFleetSummaryRequest(region="seen-region")
            summaries = [(await stub.GetFleetSummary(request, timeout=CALL_SECONDS)).summary for stub in stubs]
            seen = [{count.state: count.device_count for count in summary.counts} for summary in summaries]
            stale = [summary.stale_device_count for summary in summaries]
            return bool(seen == [{"REPORTING": METERS}] * 2 and stale == [0, 0])

        await eventually(see_all)


async def test_more_partitions_are_shared_while_everything_runs(replicas: Replicas, client: MeshClient) -> None:
    """Only the gateway is told of twelve; every other process learns it, under load, and nothing is lost or doubled."""
    grown = PARTITIONS + 4
    fleet = fleet_of("grown-")
    await client.register(fleet)
    end_ms = time.time_ns() // 1_000_000 // INTERVAL_MS * INTERVAL_MS
    start_ms = end_ms - DAY_MS // 4
    count = METERS * (end_ms - start_ms) // INTERVAL_MS
    device_ids = [device.device_id for device in fleet.devices()]
    load = asyncio.ensure_future(send(client, fleet, start_ms, end_ms, count / 8))
    await client.stored(device_ids, start_ms, end_ms, 100)

    gateway = replicas.mesh.keepers["gateway"]
    gateway.program = replace(gateway.program, environ={**gateway.program.environ, "PARTITIONS": str(grown)})
    await gateway.restart()

    tally = await load
    await replicas.wait_leased(billing=grown // 2, billing_2=grown // 2, analytics=grown // 2, analytics_2=grown // 2)
    assert (tally.distinct, tally.refused) == (count, 0)
    expected = sent_milliwatt_hours(fleet, start_ms, end_ms)
    async with grpc.aio.insecure_channel(replicas.address("billing-2")) as channel:
        stubs = [client.usage, UsageServiceStub(channel)]
        assert [await energy(stub, device_ids, start_ms, end_ms, count) for stub in stubs] == [expected, expected]
