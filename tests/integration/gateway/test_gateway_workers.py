"""Two gateway processes behind one port: they share devices, know each other's registrations, and both drain."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from typing import Any

import grpc
from energy.registry.v1.registry_service_pb2 import BatchCreateDevicesRequest
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub

from common.grpc_client import open_channel
from common.localstack.mesh import Mesh
from common.mongo import Database
from loadgen.bench.metrics_page import scrape
from tests.integration.gateway.conftest import message
from tests.integration.gateway.test_gateway_life import free_port, read_to_end
from tests.integration.ingestion.running_ingestion import eventually
from tests.integration.worker_processes import Workers
from tests.unit.gateway.readings import meter_reading
from tests.wire.gateway.scripted_ingestion import ScriptedIngestion

# The system deals connections out by a hash: that one worker gets none of so many does not happen.
DEVICES = [f"meter-{number}" for number in range(24)]


async def streams_by_worker(metrics_port: int) -> list[float]:
    """The open streams of each worker, as the parent tells them."""
    page = await scrape(metrics_port)
    return [float(line.split()[-1]) for line in page.splitlines() if line.startswith("gateway_streams{")]


async def acked(call: Any, sequence: int) -> list[Any]:
    """What was refused until a frame is acked."""
    refused: list[Any] = []
    async with asyncio.timeout(20):
        while (response := await call.read()).acked_sequence < sequence:
            refused += response.refused
    return [*refused, *response.refused]


async def test_two_workers_share_devices_and_registrations_and_both_drain(
    servers: Mesh, database: Database, ingestion: ScriptedIngestion
) -> None:
    """What one registers the other takes readings of; at the end every device is told what is durable, and to leave."""
    metrics_port = free_port()
    settings = {
        "MONGO_URL": servers.mongo_url,
        "MONGO_DATABASE": database.name,
        "INGESTION_ADDRESS": ingestion.address,
        "METRICS_PORT": str(metrics_port),
    }
    async with Workers.started("gateway", settings) as workers, AsyncExitStack() as stack:
        await eventually(lambda: workers.green_count == 2)
        channels = [
            await stack.enter_async_context(open_channel(workers.address, own_connection=True)) for _ in DEVICES
        ]
        registered = await RegistryServiceStub(channels[0]).BatchCreateDevices(
            BatchCreateDevicesRequest(devices=[message(name) for name in DEVICES]), timeout=20
        )
        calls = [TelemetryServiceStub(channel).StreamReadings() for channel in channels]
        for name, call in zip(DEVICES, calls, strict=True):
            await call.write(StreamReadingsRequest(sequence=1, readings=[meter_reading(name)]))
        refused = [await acked(call, 1) for call in calls]
        shares = await streams_by_worker(metrics_port)

        workers.process.send_signal(signal.SIGTERM)
        last: list[Any] = [await asyncio.wait_for(call.read(), 20) for call in calls]
        for call in calls:
            await read_to_end(call)
        async with asyncio.timeout(20):
            code = await workers.process.wait()

    assert registered.created_count == len(DEVICES)
    assert refused == [[]] * len(DEVICES)
    assert sum(shares) == len(DEVICES)
    assert len([share for share in shares if share > 0]) == 2
    assert [(response.acked_sequence, response.drain) for response in last] == [(1, True)] * len(DEVICES)
    assert [await call.code() for call in calls] == [grpc.StatusCode.OK] * len(DEVICES)
    assert sorted(reading.device_id for reading in ingestion.durable) == sorted(DEVICES)
    assert code == 0
