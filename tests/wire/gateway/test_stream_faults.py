"""StreamReadings when ingestion, the device or the gateway goes away: nothing acked is lost, nothing is left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from energy.common.v1 import error_reason_pb2 as reasons
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo

from gateway import reading_stream
from tests.wire.gateway.conftest import ServedTelemetry
from tests.wire.gateway.frames import acks_until, end_of, frame
from tests.wire.gateway.scripted_ingestion import ScriptedIngestion
from tests.wire.gateway.test_send_readings import detail_of


async def test_a_stream_outlives_a_restart_of_ingestion(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """What was in flight is sent again on a new stream and acked; the device notices nothing but time."""
    ingestion.is_holding = True
    call = telemetry.stub.StreamReadings()
    for sequence in range(1, 6):
        await call.write(frame(sequence))
    await ingestion.received_readings(5)

    await ingestion.stop()
    ingestion.is_holding = False
    await ingestion.start()
    acked, refused = await acks_until(call, 5)

    assert (acked[-1], refused) == (5, [])
    assert len(ingestion.durable) == 5
    assert ingestion.streams_count == 2
    assert await end_of(call) is grpc.StatusCode.OK


@pytest.mark.parametrize(
    "reason",
    [reasons.ERROR_REASON_OVERLOADED, reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE, reasons.ERROR_REASON_SHUTTING_DOWN],
)
async def test_what_ingestion_cannot_take_now_is_tried_again(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion, reason: reasons.ErrorReason.ValueType
) -> None:
    """A full queue or a broker that is away for a moment slows the device down and loses nothing."""
    ingestion.refusals.extend([reason] * 3)
    call = telemetry.stub.StreamReadings()
    for sequence in range(1, 4):
        await call.write(frame(sequence))

    acked, refused = await acks_until(call, 3)

    assert (acked[-1], refused) == (3, [])
    assert len(ingestion.durable) == 3
    assert await end_of(call) is grpc.StatusCode.OK


async def test_a_stream_ends_as_unavailable_when_ingestion_stays_away(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device knows by the last ack what to send again, and when to come back."""
    monkeypatch.setattr(reading_stream, "_PATIENCE_SECONDS", 0.3)
    call = telemetry.stub.StreamReadings()
    await call.write(frame(1))
    acked, _ = await acks_until(call, 1)
    await ingestion.stop()
    await call.write(frame(2))

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await asyncio.wait_for(call.read(), 10)

    assert acked == [1]
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert detail_of(failed.value, ErrorInfo).reason == "DEPENDENCY_UNAVAILABLE"
    assert detail_of(failed.value, RetryInfo).retry_delay.ToMilliseconds() > 0


async def test_draining_acks_what_was_taken_and_asks_the_device_to_leave(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """Frames in flight are finished; the last message says drain and what is durable, then the stream ends well."""
    ingestion.is_holding = True
    call = telemetry.stub.StreamReadings()
    await call.write(frame(1))
    await call.write(frame(2))
    await ingestion.received_readings(2)
    draining = asyncio.ensure_future(telemetry.service.drain())

    await ingestion.release()
    responses = [response async for response in call]
    await asyncio.wait_for(draining, 10)

    assert (responses[-1].acked_sequence, responses[-1].drain) == (2, True)
    assert not any(response.drain for response in responses[:-1])
    assert await call.code() is grpc.StatusCode.OK


async def test_an_idle_stream_leaves_at_once_when_the_gateway_drains(telemetry: ServedTelemetry) -> None:
    """A device that has nothing in flight is told so, with sequence 0 for none."""
    call = telemetry.stub.StreamReadings()
    reading = asyncio.ensure_future(call.read())

    await asyncio.wait_for(telemetry.service.drain(), 10)
    response: Any = await asyncio.wait_for(reading, 10)

    assert (response.acked_sequence, response.drain) == (0, True)


async def test_a_device_that_vanishes_leaves_nothing_behind(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """A cancelled stream with frames in flight gives its window and its place back."""
    ingestion.is_holding = True
    call = telemetry.stub.StreamReadings()
    await call.write(frame(1))
    await ingestion.received_readings(1)

    call.cancel()
    await asyncio.wait_for(telemetry.service.drain(), 10)

    assert telemetry.count("gateway_streams") == 0
