"""Where readings come in: the three ways of `energy.telemetry.v1.TelemetryService`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from energy.common.v1 import error_reason_pb2 as reasons
from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.telemetry.v1.telemetry_service_pb2 import (
    SendReadingRequest,
    SendReadingResponse,
    SendReadingsRequest,
    SendReadingsResponse,
    StreamReadingsResponse,
)
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceServicer
from energy.telemetry.v1.verdict_pb2 import Verdict

from common.connection_age import DEFAULT_AGE, ConnectionAge
from common.errors import DependencyUnavailable, DeviceNotFound, FieldViolation, InvalidArgument, MeshError, Overloaded
from common.instants import from_ms
from common.rpc_guard import Context
from common.trace_context import TRACEPARENT
from gateway.frame_reader import FrameReader, ReadFrame
from gateway.frame_rules import size_fault
from gateway.intake import Caller, FrameOutcome, Intake
from gateway.intake_metrics import IntakeMetrics
from gateway.intake_room import IntakeRoom
from gateway.limits import FRAME_READINGS_MAXIMUM
from gateway.reading_stream import ReadingStream

_SERVICE = "energy.telemetry.v1.TelemetryService"

# A caller of a unary method would rather hear that it should try again than wait for a deadline of its own.
_UNARY_PATIENCE_SECONDS = 5.0

# A device that reads no acks keeps bytes that others could have.
_UNREAD_ACK_SECONDS = 30.0


class TelemetryService(TelemetryServiceServicer):
    """Translates between the calls and the intake."""

    def __init__(
        self, intake: Intake, room: IntakeRoom, metrics: IntakeMetrics, age: ConnectionAge = DEFAULT_AGE
    ) -> None:
        self._intake = intake
        self._room = room
        self._reader = FrameReader()
        self._metrics = metrics
        self._age = age
        self._draining = asyncio.Event()
        self._no_streams = asyncio.Event()
        self._no_streams.set()
        self._streams_count = 0

    async def SendReading(self, request: SendReadingRequest, context: Context) -> SendReadingResponse:  # noqa: N802
        """Takes one reading."""
        if not request.HasField("reading"):
            raise InvalidArgument([FieldViolation("reading", "FIELD_REQUIRED", "is required")])
        caller = self._caller("SendReading", context)
        outcome = await self._take(ReadFrame.of([request.reading]), request.ByteSize(), caller)
        if outcome.refused:
            raise _error_of(outcome.refused[0], request.reading.device_id)
        return SendReadingResponse(receive_time=from_ms(outcome.receive_time_ms))

    async def SendReadings(self, request: SendReadingsRequest, context: Context) -> SendReadingsResponse:  # noqa: N802
        """Takes one frame."""
        _require_size(len(request.readings))
        caller = self._caller("SendReadings", context)
        outcome = await self._take(ReadFrame.of(request.readings), request.ByteSize(), caller)
        return SendReadingsResponse(
            receive_time=from_ms(outcome.receive_time_ms),
            accepted_count=outcome.accepted_count,
            refused=outcome.refused,
        )

    # The contract's stub speaks of messages; this stream is served raw. A coroutine that writes, not a generator that
    # yields, for only so a write can be left that waits for a device which reads nothing.
    async def StreamReadings(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[bytes], context: Context
    ) -> None:
        """Takes frames for as long as the device sends them."""
        stay_seconds = self._age.stay_seconds()
        stream = ReadingStream(
            self._intake, self._room, self._reader, self._metrics, self._draining, stay_seconds=stay_seconds
        )
        self._count_stream(1)
        try:
            async with aclosing(stream.responses(request_iterator)) as responses:
                async for response in responses:
                    await _write(context, response)
        finally:
            self._count_stream(-1)

    async def drain(self) -> None:
        """Asks every stream to finish what it has taken and to leave; returns when all have."""
        self._draining.set()
        await self._no_streams.wait()

    async def _take(self, frame: ReadFrame, size_bytes: int, caller: Caller) -> FrameOutcome:
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + _UNARY_PATIENCE_SECONDS
        try:
            async with asyncio.timeout_at(give_up_at):
                await self._room.take(size_bytes)
        except TimeoutError:
            raise Overloaded("no room for further readings; try again later") from None
        try:
            return await self._intake.take(frame, give_up_at - clock(), caller)
        finally:
            self._room.give_back(size_bytes)

    def _caller(self, method: str, context: Context) -> Caller:
        traceparent = ""
        if self._intake.is_traced:
            sent = dict(context.invocation_metadata() or ())
            traceparent = str(sent.get(TRACEPARENT, ""))
        return Caller(f"{_SERVICE}/{method}", traceparent)

    def _count_stream(self, change: int) -> None:
        self._streams_count += change
        self._metrics.streams.set(self._streams_count)
        if self._streams_count:
            self._no_streams.clear()
        else:
            self._no_streams.set()


async def _write(context: Context, response: StreamReadingsResponse) -> None:
    try:
        async with asyncio.timeout(_UNREAD_ACK_SECONDS):
            await context.write(response)
    except TimeoutError:
        raise Overloaded("acks are not read; open a stream again") from None


def _require_size(readings_count: int) -> None:
    fault = size_fault(readings_count)
    if fault is not None:
        metadata = {}
        if fault.reason == reasons.ERROR_REASON_FRAME_TOO_LARGE:
            metadata = {"readings_count": str(readings_count), "readings_maximum": str(FRAME_READINGS_MAXIMUM)}
        violation = FieldViolation(fault.field, _name_of(fault.reason), fault.description)
        raise InvalidArgument([violation], metadata=metadata)


def _error_of(verdict: Verdict, device_id: str) -> MeshError:
    if verdict.reason == reasons.ERROR_REASON_DEVICE_NOT_FOUND:
        return DeviceNotFound(device_id)
    if verdict.reason == reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE:
        return DependencyUnavailable("mongodb")
    metadata = {}
    if verdict.reason == reasons.ERROR_REASON_KIND_MISMATCH:
        metadata = {"device_id": device_id, "kind": verdict.field}
    violation = FieldViolation(f"reading.{verdict.field}", _name_of(verdict.reason), verdict.description)
    return InvalidArgument([violation], metadata=metadata)


def _name_of(reason: ErrorReason.ValueType) -> str:
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")
