"""A small gateway for the stream client's tests: a real gRPC server that acks, refuses, drops and drains as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from energy.common.v1.error_reason_pb2 import (
    ERROR_REASON_DEPENDENCY_UNAVAILABLE,
    ERROR_REASON_INVALID_FORMAT,
    ERROR_REASON_MALFORMED,
    ERROR_REASON_OUT_OF_RANGE,
)
from energy.registry.v1.device_pb2 import Device, VehicleLink
from energy.registry.v1.registry_service_pb2 import (
    BatchCreateDevicesRequest,
    BatchCreateDevicesResponse,
    CreateDeviceRequest,
    CreateDeviceResponse,
    DeviceRefusal,
    GetDeviceRequest,
    GetDeviceResponse,
    LinkVehicleRequest,
    LinkVehicleResponse,
)
from energy.registry.v1.registry_service_pb2_grpc import (
    RegistryServiceServicer,
    add_RegistryServiceServicer_to_server,
)
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest, StreamReadingsResponse
from energy.telemetry.v1.telemetry_service_pb2_grpc import (
    TelemetryServiceServicer,
    add_TelemetryServiceServicer_to_server,
)
from energy.telemetry.v1.verdict_pb2 import Verdict
from grpc_status import rpc_status

from common.errors import Overloaded, to_status
from common.grpc_client import open_channel


@dataclass
class StreamScript:
    """What one stream does: how many frames it acks, and what it does after so many frames were read.

    It is refused for `refuse_for_ms`, if any; one frame it cannot read, and an older gateway does not say which.
    """

    ack_frames: int = 1_000_000
    drop_after_frames: int = 0
    drain_after_frames: int = 0
    silent: int = 0
    refuse_for_ms: int = 0
    unreadable_frame: int = 0
    is_older: int = 0


@dataclass
class ScriptedGateway(TelemetryServiceServicer):
    """Streams follow `scripts` in turn, then ack everything; readings with negative energy are refused."""

    scripts: list[StreamScript] = field(default_factory=list)
    may_ack: asyncio.Event = field(default_factory=asyncio.Event)
    streams: list[list[StreamReadingsRequest]] = field(default_factory=list)
    opened_at_seconds: list[float] = field(default_factory=list)
    away_devices: set[str] = field(default_factory=set)
    half_closed: int = 0

    def __post_init__(self) -> None:
        self.may_ack.set()

    def script(self, **what: int) -> None:
        """Says what the next stream does that has no script yet; the names are those of `StreamScript`."""
        self.scripts.append(StreamScript(**what))

    def frames_read(self) -> int:
        """Frames read on all streams."""
        return sum(len(frames) for frames in self.streams)

    async def StreamReadings(  # noqa: N802 - the contract's name
        self,
        request_iterator: AsyncIterator[StreamReadingsRequest],
        context: grpc.aio.ServicerContext[StreamReadingsRequest, StreamReadingsResponse],
    ) -> AsyncIterator[StreamReadingsResponse]:
        """One stream."""
        script = self.scripts.pop(0) if self.scripts else StreamScript()
        frames: list[StreamReadingsRequest] = []
        self.streams.append(frames)
        self.opened_at_seconds.append(asyncio.get_running_loop().time())
        if script.refuse_for_ms:
            refusal = Overloaded(retry_after_seconds=script.refuse_for_ms / 1000)
            await context.abort_with_status(rpc_status.to_status(to_status(refusal, "gateway.energy")))
        async for frame in request_iterator:
            frames.append(frame)
            await self.may_ack.wait()
            if script.silent:
                continue
            if len(frames) == script.unreadable_frame:
                number = 0 if script.is_older else len(frames)
                verdict = Verdict(index=-1, reason=ERROR_REASON_MALFORMED, frame_number=number)
                yield StreamReadingsResponse(acked_sequence=frame.sequence - 1, refused=[verdict])
            elif len(frames) <= script.ack_frames:
                refused = verdicts_of(frame) + self.verdicts_for_now(frame)
                yield StreamReadingsResponse(acked_sequence=frame.sequence, refused=refused)
            if len(frames) == script.drain_after_frames:
                yield StreamReadingsResponse(acked_sequence=frame.sequence, drain=True)
            if len(frames) == script.drop_after_frames:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "dropped as told")
        self.half_closed += 1

    def verdicts_for_now(self, frame: StreamReadingsRequest) -> list[Verdict]:
        """Of the devices that are away the first reading each is refused for the moment."""
        refused = []
        for index, reading in enumerate(frame.readings):
            if reading.device_id in self.away_devices:
                self.away_devices.discard(reading.device_id)
                reason = ERROR_REASON_DEPENDENCY_UNAVAILABLE
                refused.append(Verdict(sequence=frame.sequence, index=index, reason=reason))
        return refused


@dataclass
class SmallRegistry(RegistryServiceServicer):
    """Keeps devices and links in memory; an id with a blank in it is refused."""

    devices: dict[str, Device] = field(default_factory=dict)
    links: list[VehicleLink] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)

    async def BatchCreateDevices(  # noqa: N802 - the contract's name
        self, request: BatchCreateDevicesRequest, _context: Any
    ) -> BatchCreateDevicesResponse:
        """Adds what is new and good."""
        self.batch_sizes.append(len(request.devices))
        response = BatchCreateDevicesResponse()
        for index, device in enumerate(request.devices):
            if " " in device.device_id:
                response.refused.append(
                    DeviceRefusal(index=index, reason=ERROR_REASON_INVALID_FORMAT, field="device_id", description="bad")
                )
            elif device.device_id in self.devices:
                response.existing_count += 1
            else:
                self.devices[device.device_id] = device
                response.created_count += 1
        return response

    async def CreateDevice(self, request: CreateDeviceRequest, _context: Any) -> CreateDeviceResponse:  # noqa: N802
        """Adds one."""
        self.devices[request.device.device_id] = request.device
        return CreateDeviceResponse(device=request.device)

    async def GetDevice(self, request: GetDeviceRequest, context: Any) -> GetDeviceResponse:  # noqa: N802
        """Finds one."""
        if request.device_id not in self.devices:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such device")
        return GetDeviceResponse(device=self.devices[request.device_id])

    async def LinkVehicle(self, request: LinkVehicleRequest, _context: Any) -> LinkVehicleResponse:  # noqa: N802
        """Keeps a link."""
        link = VehicleLink(vehicle_id=request.vehicle_id, meter_id=request.meter_id, start_time=request.start_time)
        self.links.append(link)
        return LinkVehicleResponse(link=link)


def verdicts_of(frame: StreamReadingsRequest) -> list[Verdict]:
    """A refusal of each reading with negative energy."""
    return [
        Verdict(sequence=frame.sequence, index=index, reason=ERROR_REASON_OUT_OF_RANGE, field="meter.import_kwh")
        for index, reading in enumerate(frame.readings)
        if reading.meter.import_kwh < 0
    ]


@dataclass(frozen=True)
class ServedGateway:
    """The gateway, where it listens, and a channel to it."""

    servicer: ScriptedGateway
    registry: SmallRegistry
    address: str
    channel: grpc.aio.Channel
    server: grpc.aio.Server


@pytest.fixture
async def gateway() -> AsyncIterator[ServedGateway]:
    """A running small gateway on a free port of loopback."""
    # What the generator does not call is left out on purpose; the server answers UNIMPLEMENTED by itself.
    servicer = ScriptedGateway()  # type: ignore[abstract]
    registry = SmallRegistry()  # type: ignore[abstract]
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_TelemetryServiceServicer_to_server(servicer, server)
    add_RegistryServiceServicer_to_server(registry, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with open_channel(address) as channel:
        yield ServedGateway(servicer, registry, address, channel, server)
    await server.stop(None)
