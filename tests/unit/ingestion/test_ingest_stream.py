"""A stream tells every request once, when its last Part is settled, and which Parts of it failed."""

from __future__ import annotations

import asyncio

from ingestion.ingest_stream import Failure, IngestStream
from ingestion.outcome import FailureReason


async def test_a_request_is_durable_with_its_last_part() -> None:
    """Two of three Parts say nothing yet; the third makes the request durable."""
    stream = IngestStream(requests_maximum=10)
    request = stream.begin(5, parts_count=3)
    request.part(0).part_durable()
    request.part(2).part_durable()
    telling = asyncio.ensure_future(stream.next_outcomes())
    await asyncio.sleep(0)
    told_early = telling.done()

    request.part(1).part_durable()
    outcomes = await telling

    assert not told_early
    assert outcomes.durable == [5]
    assert outcomes.failed == []


async def test_a_request_fails_once_with_its_first_reason_and_names_the_parts_that_failed() -> None:
    """It waits for all of them, so that those which are durable need not be sent again."""
    stream = IngestStream(requests_maximum=10)
    request = stream.begin(5, parts_count=4)
    request.part(3).part_failed(FailureReason.OVERLOADED)
    request.part(0).part_failed(FailureReason.DEPENDENCY_UNAVAILABLE)
    request.part(1).part_durable()
    telling = asyncio.ensure_future(stream.next_outcomes())
    await asyncio.sleep(0)
    told_early = telling.done()

    request.part(2).part_durable()
    outcomes = await telling
    stream.end()
    rest = await stream.next_outcomes()

    assert not told_early
    assert outcomes.failed == [Failure(5, FailureReason.OVERLOADED, (0, 3))]
    assert outcomes.durable == []
    assert not rest


async def test_a_request_that_was_not_taken_fails_as_a_whole() -> None:
    """It names no Part."""
    stream = IngestStream(requests_maximum=10)

    stream.begin(5, parts_count=0).refused(FailureReason.OUT_OF_RANGE)
    outcomes = await stream.next_outcomes()

    assert outcomes.failed == [Failure(5, FailureReason.OUT_OF_RANGE)]


async def test_outcomes_of_the_meantime_are_told_together() -> None:
    """Three requests that became durable between two looks come in one answer."""
    stream = IngestStream(requests_maximum=10)
    requests = [stream.begin(sequence, parts_count=1) for sequence in (1, 2, 3)]

    for request in reversed(requests):
        request.part(0).part_durable()
    outcomes = await stream.next_outcomes()

    assert sorted(outcomes.durable) == [1, 2, 3]


async def test_a_full_stream_has_room_again_after_an_answer() -> None:
    """With two requests allowed and two on their way, a third waits until the outcome of one was told."""
    stream = IngestStream(requests_maximum=2)
    first = stream.begin(1, parts_count=1)
    stream.begin(2, parts_count=1)
    room = asyncio.ensure_future(stream.room())
    await asyncio.sleep(0)
    had_room = room.done()

    first.part(0).part_durable()
    await stream.next_outcomes()
    await asyncio.wait_for(room, timeout=1)

    assert not had_room


async def test_an_ended_stream_waits_for_what_is_on_its_way() -> None:
    """The end of the requests is not the end of the answers."""
    stream = IngestStream(requests_maximum=2)
    request = stream.begin(1, parts_count=1)
    stream.end()
    telling = asyncio.ensure_future(stream.next_outcomes())
    await asyncio.sleep(0)
    told_early = telling.done()

    request.part(0).part_durable()
    outcomes = await telling
    nothing = await stream.next_outcomes()

    assert not told_early
    assert outcomes.durable == [1]
    assert not nothing
