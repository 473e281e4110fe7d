"""SendReading and SendReadings: what is answered as taken is durable, what is refused says why."""

from __future__ import annotations

from typing import TypeVar

import grpc
import pytest
from energy.common.v1 import error_reason_pb2 as reasons
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingRequest, SendReadingResponse, SendReadingsRequest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo

from common.instants import to_ms
from common.rich_status import status_of
from gateway import telemetry_service
from tests.unit.gateway.readings import NOW_MS, meter_reading, storage_reading, vehicle_reading
from tests.wire.gateway.conftest import ROOM_BYTES, ServedTelemetry
from tests.wire.gateway.scripted_ingestion import ScriptedIngestion

Detail = TypeVar("Detail", bound=Message)


def detail_of(failure: grpc.aio.AioRpcError, kind: type[Detail]) -> Detail:
    """The one detail of this kind in the status of a failed call."""
    status = status_of(failure)
    assert status is not None
    found = kind()
    (packed,) = (detail for detail in status.details if detail.Is(kind.DESCRIPTOR))
    packed.Unpack(found)
    return found


async def failure_of(telemetry: ServedTelemetry, reading: Reading) -> grpc.aio.AioRpcError:
    """How SendReading fails."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await telemetry.stub.SendReading(SendReadingRequest(reading=reading), timeout=10)
    return failed.value


@pytest.mark.parametrize(
    "reading", [meter_reading(), vehicle_reading(), storage_reading()], ids=["meter", "vehicle", "storage"]
)
async def test_a_reading_of_each_kind_is_durable_when_it_is_answered(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion, reading: Reading
) -> None:
    """The answer carries the time of receipt, and ingestion has made the very reading durable."""
    response = await telemetry.stub.SendReading(SendReadingRequest(reading=reading), timeout=10)

    assert to_ms(response.receive_time) == NOW_MS
    assert ingestion.durable == [reading]
    assert (
        telemetry.count("gateway_readings_total", kind=reading.WhichOneof("measurement") or "", outcome="accepted") == 1
    )


async def test_an_unknown_device_is_not_found(telemetry: ServedTelemetry, ingestion: ScriptedIngestion) -> None:
    """The status names the device; nothing reaches ingestion."""
    failure = await failure_of(telemetry, meter_reading("nobody"))

    assert failure.code() is grpc.StatusCode.NOT_FOUND
    assert detail_of(failure, ErrorInfo).reason == "DEVICE_NOT_FOUND"
    assert detail_of(failure, ErrorInfo).domain == "gateway.energy"
    assert detail_of(failure, ResourceInfo).resource_name == "nobody"
    assert ingestion.requests == []
    assert telemetry.count("gateway_readings_refused_total", reason="DEVICE_NOT_FOUND") == 1


async def test_an_unknown_device_is_to_come_again_while_the_registry_is_away(telemetry: ServedTelemetry) -> None:
    """UNAVAILABLE with a wait, for nobody can say now whether it is registered."""
    telemetry.devices.is_away = True

    failure = await failure_of(telemetry, meter_reading("nobody"))

    assert failure.code() is grpc.StatusCode.UNAVAILABLE
    assert detail_of(failure, ErrorInfo).metadata == {"dependency": "mongodb"}
    assert detail_of(failure, RetryInfo).retry_delay.ToMilliseconds() > 0


@pytest.mark.parametrize(
    ("reading", "reason", "field"),
    [
        (meter_reading(import_kwh=-1.0), "OUT_OF_RANGE", "reading.meter.import_kwh"),
        (meter_reading(import_kwh=float("nan")), "OUT_OF_RANGE", "reading.meter.import_kwh"),
        (vehicle_reading("meter-1"), "KIND_MISMATCH", "reading.vehicle"),
        (Reading(device_id="meter-1"), "FIELD_REQUIRED", "reading.measurement"),
    ],
)
async def test_a_reading_that_breaks_a_rule_names_the_field(
    telemetry: ServedTelemetry, reading: Reading, reason: str, field: str
) -> None:
    """The violation's path leads from the request to the field."""
    failure = await failure_of(telemetry, reading)

    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert detail_of(failure, ErrorInfo).reason == reason
    assert [violation.field for violation in detail_of(failure, BadRequest).field_violations] == [field]


async def test_while_there_is_no_room_a_caller_hears_so_before_its_deadline(
    telemetry: ServedTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RESOURCE_EXHAUSTED with a wait; afterwards nothing is held for it."""
    monkeypatch.setattr(telemetry_service, "_UNARY_PATIENCE_SECONDS", 0.2)
    await telemetry.room.take(ROOM_BYTES)

    failure = await failure_of(telemetry, meter_reading())
    telemetry.room.give_back(ROOM_BYTES)

    assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert detail_of(failure, ErrorInfo).reason == "OVERLOADED"
    assert detail_of(failure, RetryInfo).retry_delay.ToMilliseconds() > 0
    assert (telemetry.room.held_bytes, telemetry.room.waiting_bytes) == (0, 0)


async def test_a_request_without_a_reading_is_refused(telemetry: ServedTelemetry) -> None:
    """The field is required."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await telemetry.stub.SendReading(SendReadingRequest(), timeout=10)

    assert detail_of(failed.value, ErrorInfo).reason == "FIELD_REQUIRED"


async def test_garbage_is_refused_as_malformed(telemetry: ServedTelemetry) -> None:
    """Bytes that are no message are the caller's fault, not a defect of ours."""
    garbage = telemetry.channel.unary_unary(
        "/energy.telemetry.v1.TelemetryService/SendReading",
        request_serializer=bytes,
        response_deserializer=SendReadingResponse.FromString,
    )

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await garbage(b"\xff\xff\xff", timeout=10)

    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert detail_of(failed.value, ErrorInfo).reason == "MALFORMED"


async def test_a_frame_keeps_the_neighbours_of_a_bad_reading(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion
) -> None:
    """Verdicts come in the order of their index; the rest is durable before the answer."""
    frame = [
        meter_reading("meter-1"),
        meter_reading("meter-2", -1.0),
        meter_reading("nobody"),
        meter_reading("meter-3"),
    ]

    response = await telemetry.stub.SendReadings(SendReadingsRequest(readings=frame), timeout=10)

    assert response.accepted_count == 2
    assert [(verdict.sequence, verdict.index, verdict.reason) for verdict in response.refused] == [
        (0, 1, reasons.ERROR_REASON_OUT_OF_RANGE),
        (0, 2, reasons.ERROR_REASON_DEVICE_NOT_FOUND),
    ]
    assert sorted(reading.device_id for reading in ingestion.durable) == ["meter-1", "meter-3"]
    assert telemetry.count("gateway_frames_total") == 1


@pytest.mark.parametrize(
    ("readings_count", "reason", "metadata"),
    [
        (0, "FRAME_EMPTY", {}),
        (1001, "FRAME_TOO_LARGE", {"readings_count": "1001", "readings_maximum": "1000"}),
    ],
)
async def test_a_frame_has_1_to_1000_readings(
    telemetry: ServedTelemetry, readings_count: int, reason: str, metadata: dict[str, str]
) -> None:
    """An empty or too large frame is refused as a whole."""
    request = SendReadingsRequest(readings=[meter_reading()] * readings_count)

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await telemetry.stub.SendReadings(request, timeout=10)

    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert detail_of(failed.value, ErrorInfo).reason == reason
    assert detail_of(failed.value, ErrorInfo).metadata == metadata
    assert [violation.field for violation in detail_of(failed.value, BadRequest).field_violations] == ["readings"]


async def test_a_frame_of_1000_readings_is_taken(telemetry: ServedTelemetry, ingestion: ScriptedIngestion) -> None:
    """The largest frame is one frame, with one Part a partition."""
    frame = [meter_reading(f"meter-{index % 10}", index / 1000) for index in range(1000)]

    response = await telemetry.stub.SendReadings(SendReadingsRequest(readings=frame), timeout=10)

    assert response.accepted_count == 1000
    assert len(ingestion.durable) == 1000
    (request,) = ingestion.requests
    partitions = [part.partition for part in request.parts]
    assert len(partitions) == len(set(partitions))


async def test_a_unary_call_says_unavailable_while_ingestion_is_away(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller learns which dependency is away and when to try again."""
    monkeypatch.setattr(telemetry_service, "_UNARY_PATIENCE_SECONDS", 0.2)
    await ingestion.stop()

    failure = await failure_of(telemetry, meter_reading())

    assert failure.code() is grpc.StatusCode.UNAVAILABLE
    assert detail_of(failure, ErrorInfo).reason == "DEPENDENCY_UNAVAILABLE"
    assert detail_of(failure, ErrorInfo).metadata == {"dependency": "ingestion"}
    assert detail_of(failure, RetryInfo).retry_delay.ToMilliseconds() > 0
    assert telemetry.count("gateway_readings_total", kind="meter", outcome="accepted") == 0


async def test_a_unary_call_says_overloaded_while_the_queues_are_full(
    telemetry: ServedTelemetry, ingestion: ScriptedIngestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again for a while, then refused with a hint when to come back."""
    monkeypatch.setattr(telemetry_service, "_UNARY_PATIENCE_SECONDS", 0.3)
    ingestion.refusals.extend([reasons.ERROR_REASON_OVERLOADED] * 100)

    failure = await failure_of(telemetry, meter_reading())

    assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert detail_of(failure, ErrorInfo).reason == "OVERLOADED"
    assert detail_of(failure, RetryInfo).retry_delay.ToMilliseconds() > 0
    assert len(ingestion.requests) > 1
