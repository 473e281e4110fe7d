"""Dead letters that nobody can use hide none behind them and can be discarded; events go back where they came from."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import aiormq
import grpc
import pytest
from aiormq.abc import AbstractChannel, DeliveredMessage
from energy.ingestion.v1.ingestion_service_pb2 import (
    DiscardDeadLettersRequest,
    ListDeadLettersRequest,
    ReplayDeadLettersRequest,
)

from common.dead_letters import DeadLetter
from common.topology import EVENT_KEYS, EVENTS_EXCHANGE, event_queue_name
from tests.integration.ingestion.conftest import on_channel
from tests.integration.ingestion.desk import Desk, letter
from tests.integration.ingestion.running_ingestion import QueueReader, eventually

MALFORMED = 1_005
EVENT_TYPE = EVENT_KEYS["billing"][0]


def malformed(number: int) -> DeadLetter:
    """A letter that no consumer could ever decode."""
    return replace(letter(number), body=b"\xff\xfe poison")


async def test_a_thousand_malformed_letters_hide_none_behind_them(desk: Desk, queues: QueueReader) -> None:
    """They are listed with the one behind them, which is replayed; then they are discarded a thousand at a time."""
    for number in range(MALFORMED):
        await desk.letters.publish(malformed(number))
    good = letter(MALFORMED)
    await desk.letters.publish(good)

    shown = await desk.stub.ListDeadLetters(ListDeadLettersRequest(page_size=1000))
    rest = await desk.stub.ListDeadLetters(ListDeadLettersRequest(page_size=1000, page_token=shown.next_page_token))
    replayed = await desk.stub.ReplayDeadLetters(ReplayDeadLettersRequest(all=True, maximum_count=1))
    queues.start()
    await eventually(lambda: queues.names("billing", 1) == [str(MALFORMED)])
    counts = []
    for _ in range(2):
        answer = await desk.stub.DiscardDeadLetters(DiscardDeadLettersRequest(all=True, note="of a broken release"))
        counts.append((len(answer.discarded_ids), answer.waiting_count))

    assert (len(shown.dead_letters), len(rest.dead_letters), rest.next_page_token) == (1000, 6, "")
    assert rest.dead_letters[-1].dead_letter_id == good.dead_letter_id
    assert list(replayed.replayed_ids) == [good.dead_letter_id]
    assert len(replayed.malformed_ids) == MALFORMED
    assert counts == [(1000, 5), (5, 0)]


async def test_named_letters_are_discarded_and_the_others_stay(desk: Desk) -> None:
    """Those that are not there are told."""
    sent = [letter(number) for number in range(4)]
    for one in sent:
        await desk.letters.publish(one)
    ids = [sent[1].dead_letter_id, "unknown"]

    answer = await desk.stub.DiscardDeadLetters(
        DiscardDeadLettersRequest(dead_letter_ids=ids, note="measured twice, says the operator")
    )

    assert (list(answer.discarded_ids), list(answer.not_found_ids), answer.waiting_count) == (ids[:1], ids[1:], 3)
    assert await desk.listed() == [sent[0], sent[2], sent[3]]


async def test_nothing_is_discarded_without_a_note(desk: Desk) -> None:
    """The letter stays."""
    await desk.letters.publish(letter(1))

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await desk.stub.DiscardDeadLetters(DiscardDeadLettersRequest(all=True))

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await desk.waiting() == 1


async def test_an_event_is_replayed_to_those_who_take_events(desk: Desk, queues: QueueReader) -> None:
    """Under its type, with one replay more, and never as Parts of readings, although its bytes may read as such."""
    event = DeadLetter(
        body=letter(1).body,
        reason="no such window",
        queue=event_queue_name("billing"),
        partition=0,
        set_aside_ms=1_700_000_000_000,
        batch_id="window-1/1",
        replay_count=1,
        exchange=EVENTS_EXCHANGE,
        routing_key=EVENT_TYPE,
    )
    told: asyncio.Queue[DeliveredMessage] = asyncio.Queue()

    async def purge(channel: AbstractChannel) -> None:
        await channel.queue_purge(event_queue_name("billing"))

    await on_channel(desk.amqp_url, purge)
    await desk.letters.publish(event)
    await desk.letters.publish(letter(2))

    answer = await desk.stub.ReplayDeadLetters(ReplayDeadLettersRequest(all=True))
    taking = await aiormq.connect(desk.amqp_url)
    channel = await taking.channel()
    await channel.basic_consume(event_queue_name("billing"), told.put, no_ack=True)
    message = await asyncio.wait_for(told.get(), 10)
    await taking.close()
    queues.start()
    await eventually(lambda: queues.names("billing", 1))

    assert len(answer.replayed_ids) == 2
    assert (message.body, message.routing_key) == (event.body, EVENT_TYPE)
    assert message.header.properties.headers == {"replay_count": 2}
    assert queues.names("billing", 1) == ["2"]
    assert queues.names("billing", 0) == []
    assert await desk.waiting() == 0
