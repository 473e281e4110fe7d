"""What the gateway holds stays bounded and counted while ingestion stalls or a device reads no acks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo

from gateway import telemetry_service
from gateway.reading_stream import STREAM_METHOD, VERDICT_BYTES
from tests.unit.gateway.readings import meter_reading
from tests.wire.gateway.conftest import ROOM_BYTES, ServedTelemetry
from tests.wire.gateway.frames import acks_until, frame
from tests.wire.gateway.scripted_ingestion import ScriptedIngestion
from tests.wire.gateway.test_send_readings import detail_of

STREAMS = 80
FRAME_READINGS = 1000
ATTEMPTS = 200


async def eventually(condition: Callable[[], object]) -> None:
    """Returns when the condition holds.

    Raises:
        TimeoutError: it does not within ten seconds.
    """
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.01)


async def read_to_end(call: Any) -> None:
    """Reads what is left of a stream.

    Raises:
        grpc.aio.AioRpcError: the stream did not end well.
    """
    async with asyncio.timeout(10):
        while await call.read() is not grpc.aio.EOF:
            pass


async def test_what_is_held_and_waits_is_bounded_while_ingestion_stalls(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """Sixty devices send full frames; those for which there is no room are told to come again, the others are acked."""
    ingestion.is_holding = True
    size_bytes = frame(1, *[0.25] * FRAME_READINGS).ByteSize()
    calls = [telemetry.stub.StreamReadings() for _ in range(STREAMS)]
    for call in calls:
        await call.write(frame(1, *[0.25] * FRAME_READINGS))
    reads = [asyncio.ensure_future(call.read()) for call in calls]
    await eventually(lambda: sum(read.done() for read in reads) >= STREAMS - 2 * (ROOM_BYTES // size_bytes))
    counted = telemetry.count("gateway_unanswered_bytes")
    held, waiting = telemetry.room.held_bytes, telemetry.room.waiting_bytes

    await ingestion.release()
    refused = []
    for call, read in zip(calls, reads, strict=True):
        try:
            response: Any = await asyncio.wait_for(read, 10)
            assert response.acked_sequence == 1
        except grpc.aio.AioRpcError as failure:
            refused.append(failure)
        call.cancel()

    assert held <= ROOM_BYTES
    assert waiting <= ROOM_BYTES
    assert counted == held + waiting
    assert len(refused) == STREAMS - 2 * (ROOM_BYTES // size_bytes)
    assert {failure.code() for failure in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert detail_of(refused[0], ErrorInfo).reason == "OVERLOADED"
    assert detail_of(refused[0], RetryInfo).retry_delay.ToMilliseconds() > 0
    await eventually(lambda: telemetry.count("gateway_unanswered_bytes") == 0)


async def test_refusals_that_a_device_does_not_read_take_no_more_than_the_room(telemetry: ServedTelemetry) -> None:
    """Readings of two bytes are refused by the thousand: what tells so is counted, and the device has to wait."""
    empty = StreamReadingsRequest(readings=[Reading()] * FRAME_READINGS)
    verdicts_bytes = FRAME_READINGS * VERDICT_BYTES
    options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 64 << 10)]
    async with grpc.aio.insecure_channel(telemetry.address, options=options) as channel:
        call = TelemetryServiceStub(channel).StreamReadings()

        async def send() -> None:
            for sequence in range(1, ATTEMPTS):
                empty.sequence = sequence
                await call.write(empty)

        sending = asyncio.ensure_future(send())
        await eventually(lambda: telemetry.room.held_bytes + verdicts_bytes > ROOM_BYTES)
        await eventually(lambda: telemetry.room.waiting_bytes)
        held = telemetry.room.held_bytes
        call.cancel()
        await asyncio.wait_for(asyncio.gather(sending, return_exceptions=True), 10)

    assert held <= ROOM_BYTES + verdicts_bytes
    await eventually(lambda: telemetry.count("gateway_unanswered_bytes") == 0)


async def test_what_was_taken_is_acked_before_a_stream_without_room_ends(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """The frame that found no room is the device's to send again."""
    ingestion.is_holding = True
    call = telemetry.stub.StreamReadings()
    await call.write(frame(1))
    await ingestion.received_readings(1)
    filling = ROOM_BYTES - telemetry.room.held_bytes
    await telemetry.room.take(filling)
    waiting = asyncio.ensure_future(telemetry.room.take(ROOM_BYTES))
    await eventually(lambda: telemetry.room.waiting_bytes)
    await call.write(frame(2))
    await ingestion.release()

    acked, _ = await acks_until(call, 1)
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await asyncio.wait_for(call.read(), 10)
    telemetry.room.give_back(filling)
    await waiting

    assert acked == [1]
    assert ended.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(ingestion.durable) == 1


async def test_a_device_that_reads_no_acks_is_counted_and_then_left(
    telemetry: ServedTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its verdicts wait in memory for as long as its frames count; in the end both are given up."""
    monkeypatch.setattr(telemetry_service, "_UNREAD_ACK_SECONDS", 0.5)
    bad = StreamReadingsRequest(sequence=1, readings=[meter_reading("nobody")] * FRAME_READINGS)
    # Without these a device takes megabytes before it is asked to read.
    options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 64 << 10)]
    async with grpc.aio.insecure_channel(telemetry.address, options=options) as channel:
        call = TelemetryServiceStub(channel).StreamReadings()

        async def send() -> None:
            for sequence in range(1, ATTEMPTS):
                bad.sequence = sequence
                await call.write(bad)

        sending = asyncio.ensure_future(send())
        await eventually(lambda: telemetry.room.held_bytes >= 2 * bad.ByteSize())
        await eventually(lambda: telemetry.count("gateway_streams") == 0)
        held_at_the_end = telemetry.room.held_bytes
        # What had reached it comes first. Its library may tell of the write that failed, and not what the gateway said.
        with pytest.raises(grpc.aio.AioRpcError):
            await read_to_end(call)
        # A write may have waited until now for the gateway, which read no more.
        await asyncio.wait_for(asyncio.gather(sending, return_exceptions=True), 10)

    assert held_at_the_end == 0
    assert telemetry.count("grpc_server_handled_total", method=STREAM_METHOD, code="RESOURCE_EXHAUSTED") == 1
