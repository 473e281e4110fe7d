"""The life of a gateway among others: it waits for its store, knows what others register, and leaves in order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from energy.common.v1 import error_reason_pb2 as reasons
from energy.registry.v1.registry_service_pb2 import GetDeviceRequest, WatchDevicesRequest
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingRequest, StreamReadingsRequest
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from google.rpc.error_details_pb2 import ErrorInfo
from pymongo.uri_parser import parse_uri

from common.grpc_client import open_channel
from common.localstack.mesh import Mesh
from common.mongo import Database
from tests.integration.gateway.conftest import RunningGateway, message, register, running_gateway
from tests.integration.ingestion.severable_wire import SeverableWire
from tests.unit.gateway.readings import meter_reading
from tests.wire.gateway.frames import acks_until, verdicts
from tests.wire.gateway.scripted_ingestion import ScriptedIngestion
from tests.wire.gateway.test_send_readings import detail_of


@asynccontextmanager
async def forwarding(port: int, mongo_url: str) -> AsyncIterator[None]:
    """The real server, reachable by another port while the context is open."""
    ((host, real_port),) = parse_uri(mongo_url)["nodelist"]

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes on what comes from one side until it ends."""
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Joins a connection with one to the server."""
        there, back = await asyncio.open_connection(host, real_port)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    async with await asyncio.start_server(accept, "127.0.0.1", port):
        yield


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def read_to_end(call: Any) -> None:
    """Reads what is left of a stream.

    Raises:
        grpc.aio.AioRpcError: the stream did not end well.
    """
    async with asyncio.timeout(10):
        while await call.read() is not grpc.aio.EOF:
            pass


@pytest.fixture
async def outliving() -> AsyncIterator[list[grpc.aio.Channel]]:
    """Channels that a test opens and that must outlive its gateway."""
    channels: list[grpc.aio.Channel] = []
    yield channels
    for channel in channels:
        await channel.close()


def open_outliving(outliving: list[grpc.aio.Channel], running: RunningGateway) -> grpc.aio.Channel:
    """A channel to the gateway that is closed after the test."""
    channel = open_channel(running.app.server.address)
    outliving.append(channel)
    return channel


async def test_a_device_is_known_to_every_gateway_at_once(
    servers: Mesh, database: Database, gateway: RunningGateway, ingestion: ScriptedIngestion
) -> None:
    """One gateway registers it, and its first reading is taken by another right after."""
    async with running_gateway(servers.mongo_url, database.name, ingestion.address) as other:
        await other.turned_green()
        await register(gateway, message("meter-1"))

        await other.telemetry.SendReading(SendReadingRequest(reading=meter_reading("meter-1")), timeout=10)

    assert [reading.device_id for reading in ingestion.durable] == ["meter-1"]


async def test_the_gateway_waits_for_its_store(servers: Mesh, database: Database, ingestion: ScriptedIngestion) -> None:
    """It comes up red while the store is away, alive all the same, and turns green when the store is there."""
    port = free_port()
    url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    async with running_gateway(url, database.name, ingestion.address) as running:
        before = await running.is_serving(""), await running.is_serving("liveness")
        with pytest.raises(grpc.aio.AioRpcError) as away:
            await running.registry.GetDevice(GetDeviceRequest(device_id="m-1"), timeout=10)

        async with forwarding(port, servers.mongo_url):
            await running.turned_green()
            await register(running, message("m-1"))

    assert before == (False, True)
    assert away.value.code() is grpc.StatusCode.UNAVAILABLE
    assert detail_of(away.value, ErrorInfo).metadata == {"dependency": "mongodb"}


@pytest.mark.parametrize("is_silent", [False, True], ids=["gone", "silent"])
async def test_known_devices_are_acked_while_the_store_is_away(
    is_silent: bool, servers: Mesh, database: Database, ingestion: ScriptedIngestion
) -> None:
    """An id that nobody can look up refuses itself alone, for the moment, whether the store is gone or says nothing."""
    ((host, port),) = parse_uri(servers.mongo_url)["nodelist"]
    wire = SeverableWire(host, port)
    await wire.open()
    url = f"mongodb://127.0.0.1:{wire.port}/?directConnection=true"
    async with running_gateway(url, database.name, ingestion.address) as running:
        await running.turned_green()
        await register(running, message("meter-1"))
        if is_silent:
            wire.silence(on=True)
        else:
            wire.close()
        call = running.telemetry.StreamReadings()
        for sequence in (1, 2, 3):
            readings = [meter_reading("meter-1"), meter_reading(f"nobody-{sequence}")]
            await call.write(StreamReadingsRequest(sequence=sequence, readings=readings))

        acked, refused = await acks_until(call, 3)
        call.cancel()
        wire.close()

    unavailable = reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE
    assert acked[-1] == 3
    assert verdicts(refused) == [(sequence, 1, unavailable, "device_id") for sequence in (1, 2, 3)]
    assert [reading.device_id for reading in ingestion.durable] == ["meter-1"] * 3


async def test_a_watch_is_told_to_connect_again_at_a_shutdown(
    servers: Mesh, database: Database, ingestion: ScriptedIngestion, outliving: list[grpc.aio.Channel]
) -> None:
    """One that its caller had left before does not keep the gateway."""
    async with running_gateway(servers.mongo_url, database.name, ingestion.address) as running:
        left = running.registry.WatchDevices(WatchDevicesRequest())
        await asyncio.wait_for(left.read(), 10)
        left.cancel()
        watch = RegistryServiceStub(open_outliving(outliving, running)).WatchDevices(WatchDevicesRequest())
        await asyncio.wait_for(watch.read(), 10)

    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await read_to_end(watch)

    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert detail_of(ended.value, ErrorInfo).reason == "SHUTTING_DOWN"


async def test_a_shutdown_finishes_what_was_taken(
    servers: Mesh, database: Database, ingestion: ScriptedIngestion, outliving: list[grpc.aio.Channel]
) -> None:
    """An open stream gets the ack of its frame in flight and the request to leave."""
    ingestion.is_holding = True
    async with running_gateway(servers.mongo_url, database.name, ingestion.address) as running:
        await running.turned_green()
        await register(running, message("meter-1"))
        call = TelemetryServiceStub(open_outliving(outliving, running)).StreamReadings()
        await call.write(StreamReadingsRequest(sequence=1, readings=[meter_reading("meter-1")]))
        await ingestion.received(1)
        releasing = asyncio.ensure_future(ingestion.release())
    await releasing

    responses = [response async for response in call]

    assert (responses[-1].acked_sequence, responses[-1].drain) == (1, True)
    assert len(ingestion.durable) == 1


async def test_a_shutdown_does_not_wait_for_an_ingestion_that_shuts_down_too(
    servers: Mesh, database: Database, ingestion: ScriptedIngestion, outliving: list[grpc.aio.Channel]
) -> None:
    """The device is told what is durable and to leave, in time for the whole shutdown to keep to its grace."""
    clock = asyncio.get_running_loop().time
    async with running_gateway(servers.mongo_url, database.name, ingestion.address) as running:
        await running.turned_green()
        await register(running, message("meter-1"))
        call = TelemetryServiceStub(open_outliving(outliving, running)).StreamReadings()
        await call.write(StreamReadingsRequest(sequence=1, readings=[meter_reading("meter-1")]))
        first: Any = await asyncio.wait_for(call.read(), 10)
        ingestion.refusals.extend([reasons.ERROR_REASON_SHUTTING_DOWN] * 1_000)
        await call.write(StreamReadingsRequest(sequence=2, readings=[meter_reading("meter-1", 0.5)]))
        await ingestion.received(2)
        asked_at = clock()
    took_seconds = clock() - asked_at

    last: Any = await asyncio.wait_for(call.read(), 10)
    await read_to_end(call)

    assert (first.acked_sequence, first.drain) == (1, False)
    assert (last.acked_sequence, last.drain) == (1, True)
    assert took_seconds < 5
