"""A stream tells every request once: durable with its last Part, failed with its first failure."""

from __future__ import annotations

import asyncio

from ingestion.ingest_stream import IngestStream
from ingestion.outcome import FailureReason


async def test_a_request_is_durable_with_its_last_part() -> None:
    """Two of three Parts say nothing yet; the third makes the request durable."""
    stream = IngestStream(requests_maximum=10)
    request = stream.begin(5, parts_count=3)
    request.part_durable()
    request.part_durable()
    telling = asyncio.ensure_future(stream.next_outcomes())
    await asyncio.sleep(0)
    told_early = telling.done()

    request.part_durable()
    outcomes = await telling

    assert not told_early
    assert outcomes.durable == [5]
    assert outcomes.failed == []


async def test_a_request_fails_once_with_its_first_reason() -> None:
    """Later Parts, durable or failed, change nothing."""
    stream = IngestStream(requests_maximum=10)
    request = stream.begin(5, parts_count=3)

    request.part_failed(FailureReason.OVERLOADED)
    request.part_failed(FailureReason.DEPENDENCY_UNAVAILABLE)
    request.part_durable()
    outcomes = await stream.next_outcomes()
    stream.end()
    rest = await stream.next_outcomes()

    assert outcomes.failed == [(5, FailureReason.OVERLOADED)]
    assert outcomes.durable == []
    assert not rest


async def test_outcomes_of_the_meantime_are_told_together() -> None:
    """Three requests that became durable between two looks come in one answer."""
    stream = IngestStream(requests_maximum=10)
    requests = [stream.begin(sequence, parts_count=1) for sequence in (1, 2, 3)]

    for request in reversed(requests):
        request.part_durable()
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

    first.part_durable()
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

    request.part_durable()
    outcomes = await telling
    nothing = await stream.next_outcomes()

    assert not told_early
    assert outcomes.durable == [1]
    assert not nothing
