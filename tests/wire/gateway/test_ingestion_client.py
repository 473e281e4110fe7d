"""The way to ingestion: bounded, patient for so long and no longer, and back by itself after a break."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from energy.common.v1 import error_reason_pb2 as reasons
from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from energy.ingestion.v1.reading_batch_pb2 import Part
from energy.telemetry.v1.reading_pb2 import Reading

from common.errors import DependencyUnavailable, Overloaded
from common.grpc_client import open_channel
from common.trace_context import current
from gateway import ingestion_client
from gateway.ingestion_client import IngestionClient
from tests.wire.gateway.scripted_ingestion import ScriptedIngestion

PARTS = {0: b"", 3: b""}


@pytest.fixture
async def narrow(ingestion: ScriptedIngestion) -> AsyncIterator[IngestionClient]:
    """A client with room for two requests."""
    async with open_channel(ingestion.address) as channel:
        client = IngestionClient(IngestionServiceStub(channel), in_flight_maximum=2)
        running = asyncio.ensure_future(client.run())
        yield client
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_parts_go_out_by_partition_in_one_request(client: IngestionClient, ingestion: ScriptedIngestion) -> None:
    """Sequences rise from request to request."""
    await client.submit(PARTS, 10)
    await client.submit(PARTS, 10)

    assert [[part.partition for part in request.parts] for request in ingestion.requests] == [[0, 3], [0, 3]]
    assert ingestion.requests[0].sequence < ingestion.requests[1].sequence


async def test_parts_say_which_trace_their_frame_belongs_to(
    narrow: IngestionClient, ingestion: ScriptedIngestion
) -> None:
    """Each of those that travel together its own; most belong to none."""
    ingestion.is_holding = True
    traceparents = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]
    submitting = []
    for requests_count in (1, 2):
        submitting.append(asyncio.ensure_future(narrow.submit({0: b""}, 10)))
        await ingestion.received(requests_count)
    for partition, traceparent in enumerate(["", *traceparents]):
        with current(traceparent):
            submitting.append(asyncio.ensure_future(narrow.submit({partition: b""}, 10)))

    await asyncio.sleep(0)
    await ingestion.release()
    await ingestion.received(3)
    await ingestion.release()
    await asyncio.gather(*submitting)

    assert [[part.traceparent for part in request.parts] for request in ingestion.requests] == [
        [""],
        [""],
        ["", *traceparents],
    ]


async def test_a_request_waits_while_there_is_no_room(narrow: IngestionClient, ingestion: ScriptedIngestion) -> None:
    """The third of three requests is sent only after an earlier one is durable."""
    ingestion.is_holding = True
    submitting = []
    for requests_count in (1, 2):
        submitting.append(asyncio.ensure_future(narrow.submit(PARTS, 10)))
        await ingestion.received(requests_count)
    submitting.append(asyncio.ensure_future(narrow.submit(PARTS, 10)))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ingestion.received(3), 0.2)
    await ingestion.release()
    await asyncio.gather(*submitting)

    assert len(ingestion.requests) == 3


async def test_what_gathers_travels_in_one_request(narrow: IngestionClient, ingestion: ScriptedIngestion) -> None:
    """A hundred frames that come while there is no room are one request of all their Parts, and all are told."""
    ingestion.is_holding = True
    submitting = []
    for requests_count in (1, 2):
        submitting.append(asyncio.ensure_future(narrow.submit(PARTS, 10)))
        await ingestion.received(requests_count)
    submitting += [asyncio.ensure_future(narrow.submit({number: b""}, 10)) for number in range(100)]

    await asyncio.sleep(0)
    await ingestion.release()
    await asyncio.gather(*submitting)

    assert [len(request.parts) for request in ingestion.requests] == [2, 2, 100]


async def test_a_request_that_gave_up_leaves_its_room(narrow: IngestionClient, ingestion: ScriptedIngestion) -> None:
    """Its late answer is passed over, and others go on."""
    ingestion.is_holding = True
    for _ in range(2):
        with pytest.raises(DependencyUnavailable):
            await narrow.submit(PARTS, 0.2)

    await ingestion.release()
    await narrow.submit(PARTS, 10)

    assert len(ingestion.requests) == 3


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (reasons.ERROR_REASON_OVERLOADED, Overloaded),
        (reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE, DependencyUnavailable),
    ],
)
async def test_a_refusal_that_stays_becomes_its_error(
    client: IngestionClient,
    ingestion: ScriptedIngestion,
    reason: reasons.ErrorReason.ValueType,
    error: type[Exception],
) -> None:
    """What was tried again until the deadline fails with the last reason."""
    ingestion.refusals.extend([reason] * 100)

    with pytest.raises(error):
        await client.submit(PARTS, 0.3)

    assert len(ingestion.requests) > 1


async def test_a_refusal_for_good_is_not_tried_again(client: IngestionClient, ingestion: ScriptedIngestion) -> None:
    """A partition that ingestion does not have is a fault in how the two are set up."""
    ingestion.refusals.append(reasons.ERROR_REASON_OUT_OF_RANGE)

    with pytest.raises(RuntimeError):
        await client.submit(PARTS, 10)

    assert len(ingestion.requests) == 1


def part_of(device_id: str) -> bytes:
    """A Part with one reading, known by its device."""
    return Part(readings=[Reading(device_id=device_id)]).SerializeToString()


async def test_only_what_a_full_partition_refused_is_sent_again(
    client: IngestionClient, ingestion: ScriptedIngestion
) -> None:
    """Thirty frames over three partitions, one of them full for a while: the Parts of the others go once."""
    ingestion.full_partitions = {1}
    submitting = [
        asyncio.ensure_future(
            client.submit({partition: part_of(f"{partition}-{number}") for partition in range(3)}, 30)
        )
        for number in range(30)
    ]
    await ingestion.received(3)
    told_early = [submission for submission in submitting if submission.done()]
    ingestion.full_partitions = set()
    await asyncio.gather(*submitting)

    durable = Counter(reading.device_id for reading in ingestion.durable)
    assert told_early == []
    assert durable == Counter(f"{partition}-{number}" for partition in range(3) for number in range(30))
    sent = Counter(part.partition for request in ingestion.requests for part in request.parts)
    assert (sent[0], sent[2]) == (30, 30)
    assert sent[1] > 30


async def test_a_partition_that_refuses_holds_up_no_other(
    client: IngestionClient, ingestion: ScriptedIngestion
) -> None:
    """What is sent again never shares a request with others, and newcomers of its partition wait with it."""
    ingestion.full_partitions = {1}
    stuck = [asyncio.ensure_future(client.submit({1: part_of("stuck")}, 30))]
    await ingestion.received(2)

    for number in range(100):
        stuck.append(asyncio.ensure_future(client.submit({1: part_of("stuck")}, 30)))
        await client.submit({0: part_of(f"free-{number}")}, 1)
    mixed = [request for request in ingestion.requests if {part.partition for part in request.parts} == {0, 1}]
    refused = [request for request in ingestion.requests if request.parts[0].partition == 1]
    ingestion.full_partitions = set()
    await asyncio.gather(*stuck)

    assert mixed == []
    assert len(refused) < 10
    assert Counter(reading.device_id for reading in ingestion.durable)["stuck"] == 101


async def test_the_pause_grows_while_a_partition_refuses_whatever_others_do(
    client: IngestionClient, ingestion: ScriptedIngestion
) -> None:
    """Tries come 0.1, 0.2, 0.4 s and so on apart, although another partition takes all it gets meanwhile."""
    ingestion.full_partitions = {1}
    loop = asyncio.get_running_loop()
    started = loop.time()
    stuck = asyncio.ensure_future(client.submit({1: part_of("stuck")}, 30))

    def tries() -> int:
        return sum(request.parts[0].partition == 1 for request in ingestion.requests)

    async with asyncio.timeout(20):
        while tries() < 4:
            await client.submit({0: part_of("free")}, 10)
    took_seconds = loop.time() - started
    stuck.cancel()

    # At 0, 0.1, 0.3 and 0.7 s; were the pauses alike, at 0.3 s.
    assert took_seconds > 0.65


async def test_who_gave_up_is_not_tried_again(client: IngestionClient, ingestion: ScriptedIngestion) -> None:
    """And the next one finds out anew, at once."""
    ingestion.full_partitions = {1}
    with pytest.raises(Overloaded):
        await client.submit({1: part_of("gave up")}, 0.05)

    ingestion.full_partitions = set()
    await client.submit({1: part_of("next")}, 10)

    assert [reading.device_id for reading in ingestion.durable] == ["next"]


async def test_a_silent_stream_is_given_up(
    client: IngestionClient, ingestion: ScriptedIngestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ingestion that takes and never answers is met again on a new stream, with what is still in flight."""
    monkeypatch.setattr(ingestion_client, "_SILENCE_MAXIMUM_SECONDS", 0.1)
    ingestion.is_holding = True
    patient = asyncio.ensure_future(client.submit(PARTS, 10))
    await ingestion.received(1)

    with pytest.raises(DependencyUnavailable):
        await client.submit(PARTS, 0.3)
    ingestion.is_holding = False
    await asyncio.wait_for(patient, 10)

    assert ingestion.streams_count == 2


async def test_who_gives_up_fails_what_waits_and_what_comes(
    client: IngestionClient, ingestion: ScriptedIngestion
) -> None:
    """At once, before a gateway ends; nothing more is sent."""
    ingestion.is_holding = True
    in_flight = asyncio.ensure_future(client.submit(PARTS, 10))
    await ingestion.received(1)

    client.give_up()

    for waiting in (in_flight, client.submit(PARTS, 10)):
        with pytest.raises(DependencyUnavailable):
            await asyncio.wait_for(waiting, 1)
    assert len(ingestion.requests) == 1
