"""StreamReadings: cumulative acks in the order of the frames, each only when its readings are durable or refused."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from energy.common.v1 import error_reason_pb2 as reasons
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest, StreamReadingsResponse

from common.connection_age import ConnectionAge
from gateway.reading_stream import STREAM_METHOD, WINDOW_FRAMES
from loadgen.acked_frame import AckedFrame
from loadgen.stream_client import StreamClient
from tests.unit.gateway.readings import meter_reading
from tests.wire.gateway.conftest import ServedTelemetry
from tests.wire.gateway.frames import acks_until, end_of, frame, verdicts
from tests.wire.gateway.scripted_ingestion import ScriptedIngestion


async def test_every_frame_is_acked_once_its_readings_are_durable(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """Acks only grow, the last one covers everything, and the stream ends well."""
    call = telemetry.stub.StreamReadings()
    for sequence in range(1, 201):
        await call.write(frame(sequence, 0.1, 0.2, 0.3))

    acked, refused = await acks_until(call, 200)
    code = await end_of(call)

    assert acked == sorted(set(acked))
    assert refused == []
    assert len(ingestion.durable) == 600
    assert code is grpc.StatusCode.OK
    assert telemetry.count("gateway_readings_total", kind="meter", outcome="accepted") == 600
    assert telemetry.count("gateway_frames_total") == 200
    assert telemetry.count("gateway_ack_seconds_count") == 200
    assert telemetry.count("gateway_streams") == 0


async def test_nothing_is_acked_before_it_is_durable(telemetry: ServedTelemetry, ingestion: ScriptedIngestion) -> None:
    """While ingestion holds its answer back, so does the gateway."""
    ingestion.is_holding = True
    call = telemetry.stub.StreamReadings()
    await call.write(frame(1))
    await ingestion.received_readings(1)
    ack = asyncio.ensure_future(call.read())

    done, _ = await asyncio.wait([ack], timeout=0.2)
    await ingestion.release()
    response: Any = await asyncio.wait_for(ack, 10)

    assert done == set()
    assert response.acked_sequence == 1
    assert await end_of(call) is grpc.StatusCode.OK


async def test_acks_keep_the_order_of_the_frames(telemetry: ServedTelemetry, ingestion: ScriptedIngestion) -> None:
    """Frames that become durable in reverse are acked only when all before them are, then all at once."""
    ingestion.is_holding = True
    call = telemetry.stub.StreamReadings()
    for sequence in range(1, 11):
        await call.write(frame(sequence))
        await ingestion.received_readings(sequence)

    await ingestion.release(in_reverse=True)
    acked, _ = await acks_until(call, 10)

    assert acked == [10]
    assert await end_of(call) is grpc.StatusCode.OK


async def test_at_most_64_frames_are_read_ahead_of_the_acks(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """The 65th frame is not taken before an earlier one is acked, so that flow control slows the device."""
    ingestion.is_holding = True
    call = telemetry.stub.StreamReadings()
    for sequence in range(1, WINDOW_FRAMES + 11):
        await call.write(frame(sequence))
    await ingestion.received_readings(WINDOW_FRAMES)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ingestion.received_readings(WINDOW_FRAMES + 1), 0.3)
    await ingestion.release()
    acked, _ = await acks_until(call, WINDOW_FRAMES + 10)

    assert acked[-1] == WINDOW_FRAMES + 10
    assert len(ingestion.durable) == WINDOW_FRAMES + 10
    assert await end_of(call) is grpc.StatusCode.OK


async def test_bad_readings_come_back_with_the_ack_of_their_frame(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """Each refusal is told once, names frame, position, reason and field; the neighbours are durable."""
    call = telemetry.stub.StreamReadings()
    await call.write(frame(1, 0.1, -1.0, 0.3))
    await call.write(frame(2, 0.1))
    await call.write(frame(7, float("nan")))

    _, refused = await acks_until(call, 7)

    assert verdicts(refused) == [
        (1, 1, reasons.ERROR_REASON_OUT_OF_RANGE, "meter.import_kwh"),
        (7, 0, reasons.ERROR_REASON_OUT_OF_RANGE, "meter.import_kwh"),
    ]
    assert len(ingestion.durable) == 3
    assert await end_of(call) is grpc.StatusCode.OK


async def test_while_the_registry_is_away_an_unknown_device_refuses_no_neighbour(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """Known devices are acked as ever; of the other one the verdict says that it is one for the moment."""
    telemetry.devices.is_away = True
    call = telemetry.stub.StreamReadings()
    readings = [meter_reading("meter-1"), meter_reading("nobody"), meter_reading("meter-2")]
    await call.write(StreamReadingsRequest(sequence=1, readings=readings))
    await call.write(frame(2, 0.1))

    _, refused = await acks_until(call, 2)

    assert verdicts(refused) == [(1, 1, reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE, "device_id")]
    assert [reading.device_id for reading in ingestion.durable] == ["meter-1", "meter-2", "meter-0"]
    assert await end_of(call) is grpc.StatusCode.OK


async def test_a_refused_frame_does_not_end_the_stream(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """Empty, too large and out of order frames get a verdict of their own; what follows is taken."""
    call = telemetry.stub.StreamReadings()
    too_large = StreamReadingsRequest(sequence=3, readings=[meter_reading()] * 1001)
    for sent in (frame(1), StreamReadingsRequest(sequence=2), too_large, frame(3), frame(-5), frame(4)):
        await call.write(sent)

    _, refused = await acks_until(call, 4)

    assert verdicts(refused) == [
        (2, -1, reasons.ERROR_REASON_FRAME_EMPTY, "readings"),
        (3, -1, reasons.ERROR_REASON_FRAME_TOO_LARGE, "readings"),
        (3, -1, reasons.ERROR_REASON_OUT_OF_RANGE, "sequence"),
        (-5, -1, reasons.ERROR_REASON_OUT_OF_RANGE, "sequence"),
    ]
    assert len(ingestion.durable) == 2
    assert telemetry.count("gateway_frames_total") == 6
    assert telemetry.count("gateway_readings_refused_total", reason="FRAME_EMPTY") == 1
    assert await end_of(call) is grpc.StatusCode.OK


async def test_garbage_between_frames_does_not_end_the_stream(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """Bytes that are no frame get a verdict by their number; frames before and after are acked as usual."""
    call = telemetry.channel.stream_stream(
        STREAM_METHOD, request_serializer=bytes, response_deserializer=StreamReadingsResponse.FromString
    )()
    for sent in (frame(1).SerializeToString(), b"\xff\xff\xff", frame(2).SerializeToString()):
        await call.write(sent)

    _, refused = await acks_until(call, 2)

    assert verdicts(refused) == [(0, -1, reasons.ERROR_REASON_MALFORMED, "")]
    assert refused[0].frame_number == 2
    assert len(ingestion.durable) == 2
    assert await end_of(call) is grpc.StatusCode.OK


async def test_an_ack_with_many_verdicts_stays_a_small_message(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """Ten frames of 1000 bad readings come back in several acks, each verdict once."""
    ingestion.is_holding = True
    call = telemetry.stub.StreamReadings()
    await call.write(frame(1))
    await ingestion.received_readings(1)
    for sequence in range(2, 12):
        await call.write(frame(sequence, *[-1.0] * 1000))

    await ingestion.release()
    acked, refused = await acks_until(call, 11)

    assert len(refused) == 10_000
    assert len(acked) >= 5
    assert await end_of(call) is grpc.StatusCode.OK


async def test_a_stream_that_has_lasted_is_asked_to_leave_and_its_device_goes_on(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """It opens the next stream, again and again, while it sends; every reading is acked, none refused."""
    telemetry.service._age = ConnectionAge(0.2)
    acked: list[AckedFrame] = []
    async with StreamClient(telemetry.channel, acked.append, frame_size=1) as client, asyncio.timeout(30):
        while client.streams_lost < 5:
            await client.send([meter_reading(import_kwh=0.001 * (client.sent + 1))])
            await asyncio.sleep(0)
        await client.flush(10)

    assert len(acked) == client.sent
    assert not any(one.refusals() for one in acked)
    assert len({reading.meter.import_kwh for reading in ingestion.durable}) == client.sent


async def test_a_device_that_says_nothing_is_asked_to_leave_as_well(telemetry: ServedTelemetry) -> None:
    """Its stream ends well, with the word that it should come again."""
    telemetry.service._age = ConnectionAge(0.2)
    call = telemetry.stub.StreamReadings()

    response: Any = await asyncio.wait_for(call.read(), 10)

    assert response == StreamReadingsResponse(drain=True)
    assert await end_of(call) is grpc.StatusCode.OK
