"""IngestReadings answers every request once, on the stream it came by, as soon as its outcome is known."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.ingestion.v1.ingestion_service_pb2 import IngestReadingsRequest, IngestReadingsResponse, PartitionPart
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

from common.connection_age import ConnectionAge
from common.rich_status import status_of as rich_status_of
from tests.unit.ingestion.scripted_publisher import eventually, part_named
from tests.wire.ingestion.conftest import REQUESTS_MAXIMUM, ServedIngestion


def request_with(sequence: int, *parts: tuple[int, str]) -> IngestReadingsRequest:
    """A request with a Part of that name for each partition."""
    return IngestReadingsRequest(
        sequence=sequence,
        parts=[PartitionPart(partition=partition, part=part_named(name)) for partition, name in parts],
    )


async def answers_to(call: Any, count: int) -> tuple[list[int], dict[int, int]]:
    """Reads until so many requests are answered: durable sequences, and reasons by failed sequence."""
    durable: list[int] = []
    failed: dict[int, int] = {}
    async with asyncio.timeout(10):
        while len(durable) + len(failed) < count:
            response = await call.read()
            assert isinstance(response, IngestReadingsResponse), "the stream ended early"
            durable += response.durable_sequences
            failed |= {failure.sequence: failure.reason for failure in response.failures}
    return durable, failed


async def read_to_end(call: Any) -> None:
    """Reads what answers are left.

    Raises:
        grpc.aio.AioRpcError: the stream did not end well.
    """
    async with asyncio.timeout(10):
        while await call.read() is not grpc.aio.EOF:
            pass


async def status_of(call: Any) -> tuple[grpc.StatusCode, ErrorInfo, list[str]]:
    """How the stream ended, after what answers were left: its code, its reason, the fields named."""
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await read_to_end(call)
    failure = ended.value
    status = rich_status_of(failure)
    assert status is not None
    info, bad_request = ErrorInfo(), BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad_request)
    return failure.code(), info, [violation.field for violation in bad_request.field_violations]


async def test_every_request_is_answered_as_durable(ingestion: ServedIngestion) -> None:
    """Twenty requests over two partitions come back by their sequences, and the stream ends well after the last."""
    call = ingestion.stub.IngestReadings()
    for sequence in range(1, 21):
        await call.write(request_with(sequence, (0, f"a{sequence}"), (1, f"b{sequence}")))

    durable, failed = await answers_to(call, 20)
    await call.done_writing()
    end = await call.read()

    assert sorted(durable) == list(range(1, 21))
    assert failed == {}
    assert end is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK
    assert ingestion.publisher.names_in_order() == [f"a{sequence}" for sequence in range(1, 21)]


async def test_nothing_is_answered_before_its_confirm(ingestion: ServedIngestion) -> None:
    """A request with one Part confirmed and one on its way is not durable."""
    ingestion.publisher.confirms.clear()
    call = ingestion.stub.IngestReadings()
    await call.write(request_with(1, (0, "a"), (1, "b")))
    telling = asyncio.ensure_future(answers_to(call, 1))
    await eventually(lambda: len(ingestion.publisher.attempts) == 2)
    told_early = telling.done()

    ingestion.publisher.confirms.set()
    durable, _ = await telling

    assert not told_early
    assert durable == [1]
    call.cancel()


async def test_one_confirm_answers_many_requests(ingestion: ServedIngestion) -> None:
    """What gathered behind a batch becomes durable together and is told in one response."""
    ingestion.publisher.confirms.clear()
    call = ingestion.stub.IngestReadings()
    await call.write(request_with(1, (0, "a")))
    await eventually(lambda: ingestion.publisher.attempts)
    for sequence in (2, 3, 4):
        await call.write(request_with(sequence, (0, "b")))
    size_bytes = len(part_named("a"))
    await eventually(lambda: ingestion.waiting_bytes() == 4 * size_bytes)

    ingestion.publisher.confirms.set()
    first, _ = await answers_to(call, 1)
    second = await call.read()

    assert first == [1]
    assert isinstance(second, IngestReadingsResponse)
    assert list(second.durable_sequences) == [2, 3, 4]
    call.cancel()


async def test_a_bad_request_fails_alone(ingestion: ServedIngestion) -> None:
    """An impossible partition, no Part at all, an empty Part: OUT_OF_RANGE by sequence; its neighbours are durable."""
    call = ingestion.stub.IngestReadings()
    await call.write(request_with(1, (0, "good")))
    await call.write(request_with(2, (0, "not kept"), (1024, "no such partition")))
    await call.write(request_with(3))
    await call.write(IngestReadingsRequest(sequence=4, parts=[PartitionPart(partition=0)]))
    await call.write(request_with(5, (0, "good too")))

    durable, failed = await answers_to(call, 5)

    out_of_range = ErrorReason.ERROR_REASON_OUT_OF_RANGE
    assert sorted(durable) == [1, 5]
    assert failed == {2: out_of_range, 3: out_of_range, 4: out_of_range}
    assert ingestion.publisher.names_in_order() == ["good", "good too"]
    call.cancel()


@pytest.mark.parametrize("sequences", [(0,), (1, 1), (5, 4)], ids=["zero", "repeated", "backwards"])
async def test_a_sequence_must_grow(sequences: tuple[int, ...], ingestion: ServedIngestion) -> None:
    """A sequence that is not greater than the one before ends the stream and names the field."""
    call = ingestion.stub.IngestReadings()
    for sequence in sequences:
        await call.write(request_with(sequence, (0, "a")))

    code, info, fields = await status_of(call)

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert (info.reason, info.domain) == ("OUT_OF_RANGE", "ingestion.energy")
    assert fields == ["sequence"]


async def test_bytes_that_are_no_request_end_the_stream(ingestion: ServedIngestion) -> None:
    """Garbage is INVALID_ARGUMENT with the reason MALFORMED, and the service lives on."""
    raw: Any = ingestion.channel.stream_stream("/energy.ingestion.v1.IngestionService/IngestReadings")
    call = raw()
    await call.write(b"\xff\xff\xff")

    code, info, _ = await status_of(call)
    good = ingestion.stub.IngestReadings()
    await good.write(request_with(1, (0, "a")))
    durable, _ = await answers_to(good, 1)

    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED")
    assert durable == [1]
    good.cancel()


async def test_a_stream_is_read_no_further_than_its_limit(ingestion: ServedIngestion) -> None:
    """With four requests unanswered the fifth is left unread, until the answers are out."""
    ingestion.publisher.confirms.clear()
    call = ingestion.stub.IngestReadings()
    size_bytes = len(part_named("a"))
    for sequence in range(1, 11):
        await call.write(request_with(sequence, (0, "a")))
    await eventually(lambda: ingestion.waiting_bytes() == REQUESTS_MAXIMUM * size_bytes)
    most_waiting_bytes = 0.0
    for _ in range(50):
        await asyncio.sleep(0.001)
        most_waiting_bytes = max(most_waiting_bytes, ingestion.waiting_bytes())

    ingestion.publisher.confirms.set()
    durable, _ = await answers_to(call, 10)

    assert most_waiting_bytes == REQUESTS_MAXIMUM * size_bytes
    assert sorted(durable) == list(range(1, 11))
    call.cancel()


async def test_a_cancelled_stream_takes_nobody_along(ingestion: ServedIngestion) -> None:
    """What it handed over is published all the same, and another stream gets its answers."""
    ingestion.publisher.confirms.clear()
    leaving, staying = ingestion.stub.IngestReadings(), ingestion.stub.IngestReadings()
    await leaving.write(request_with(1, (0, "left behind")))
    await eventually(lambda: ingestion.publisher.attempts)
    await staying.write(request_with(1, (1, "a")))

    leaving.cancel()
    ingestion.publisher.confirms.set()
    durable, _ = await answers_to(staying, 1)
    await eventually(lambda: ingestion.publisher.names(0) == [["left behind"]])

    assert durable == [1]
    staying.cancel()


async def test_a_drained_stream_is_answered_before_it_ends(ingestion: ServedIngestion) -> None:
    """On shutdown what was taken becomes durable and is told; then the stream ends as SHUTTING_DOWN."""
    ingestion.publisher.confirms.clear()
    call = ingestion.stub.IngestReadings()
    await call.write(request_with(1, (0, "a"), (1, "b")))
    await eventually(lambda: len(ingestion.publisher.attempts) == 2)
    draining = asyncio.ensure_future(ingestion.service.drain(grace_seconds=10))
    await asyncio.sleep(0)
    await call.write(request_with(2, (0, "too late")))
    _, refused = await answers_to(call, 1)

    ingestion.publisher.confirms.set()
    durable, _ = await answers_to(call, 1)
    code, info, _ = await status_of(call)
    await draining

    assert refused == {2: ErrorReason.ERROR_REASON_SHUTTING_DOWN}
    assert durable == [1]
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    assert ingestion.publisher.names_in_order() == ["a"]


async def test_a_stream_after_the_drain_is_refused(ingestion: ServedIngestion) -> None:
    """A new call during the shutdown is UNAVAILABLE with the reason SHUTTING_DOWN."""
    await ingestion.service.drain(grace_seconds=1)
    call = ingestion.stub.IngestReadings()

    code, info, _ = await status_of(call)

    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


async def test_a_stream_that_has_lasted_ends_once_all_is_answered(ingestion: ServedIngestion) -> None:
    """It takes nothing more then, answers what it has read, and ends well; the next one goes on as ever."""
    ingestion.service._age = ConnectionAge(0.2)
    ingestion.publisher.confirms.clear()
    call = ingestion.stub.IngestReadings()
    await call.write(request_with(1, (0, "a")))
    await eventually(lambda: any(stream.is_ended for stream in ingestion.service._streams))
    ingestion.publisher.confirms.set()

    durable, failed = await answers_to(call, 1)
    await read_to_end(call)
    following = ingestion.stub.IngestReadings()
    await following.write(request_with(2, (0, "b")))

    assert (durable, failed) == ([1], {})
    assert await call.code() is grpc.StatusCode.OK
    assert await answers_to(following, 1) == ([2], {})
