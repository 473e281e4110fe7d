"""Events: told once they are stored, whatever happens in between, and taken until their effect is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect

from common import broker_consumer, event_consumer
from common.broker import BrokerConnection
from common.dead_letters import DeadLetter, DeadLetters
from common.event_consumer import EventConsumer
from common.event_outbox import PENDING, Event, EventOutbox, prepare_outbox
from common.mongo import Database
from common.progress import NoProgress
from common.topology import DEAD_LETTER_QUEUE, EVENT_KEYS, declare, event_queue_name
from tests.integration.common.broker_route import Eventually, running
from tests.integration.common.wire import Wire

TYPE_NAME = EVENT_KEYS["billing"][0]
LIMIT_SECONDS = 20.0


def _event(document: Mapping[str, Any]) -> Event:
    return Event(TYPE_NAME, f"{document['_id']}/{document['version']}", str(document["text"]).encode())


class Heard:
    """A handler that keeps what it takes; `trouble` is raised instead, each once."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.trouble: list[Exception] = []

    async def take(self, body: bytes) -> None:
        """Takes an event."""
        if self.trouble:
            raise self.trouble.pop(0)
        self.bodies.append(body)


@pytest.fixture
async def events_connection(broker_url: str) -> AsyncIterator[BrokerConnection]:
    """A live connection with everything declared and no event of other tests."""
    opened = BrokerConnection(broker_url, "test", lambda channel: declare(channel, 1))
    async with running(opened.run()):
        async with asyncio.timeout(LIMIT_SECONDS):
            await opened.wait_connected()
        channel = await opened.open_channel(publisher_confirms=False)
        await channel.queue_purge(event_queue_name("billing"))
        await channel.queue_purge(DEAD_LETTER_QUEUE)
        yield opened


@pytest.fixture
async def outbox(database: Database, events_connection: BrokerConnection) -> EventOutbox:
    """The outbox of a collection `things`."""
    await prepare_outbox(database, "things")
    return EventOutbox(database, "things", _event, events_connection, CollectorRegistry())


@pytest.fixture
async def heard(events_connection: BrokerConnection) -> AsyncIterator[Heard]:
    """What billing hears of the one type of events."""
    handler = Heard()
    dead_letters = DeadLetters(events_connection, CollectorRegistry())
    consumer = EventConsumer(events_connection, "billing", {TYPE_NAME: handler.take}, dead_letters, CollectorRegistry())
    async with running(consumer.subscribe()), running(consumer.run()):
        yield handler


async def _store(database: Database, *texts: str) -> None:
    await database["things"].insert_many([{"_id": text, "version": 1, "text": text, PENDING: 1} for text in texts])


async def test_what_is_stored_with_a_mark_is_told_once(
    database: Database, outbox: EventOutbox, heard: Heard, eventually: Eventually
) -> None:
    """A second look finds nothing more to tell."""
    await _store(database, "a", "b")
    await database["things"].insert_one({"_id": "c", "version": 1, "text": "c"})

    assert [await outbox.tell_once(), await outbox.tell_once()] == [2, 0]
    await eventually(lambda: len(heard.bodies) == 2)

    assert heard.bodies == [b"a", b"b"]


async def test_an_event_waits_for_a_broker_that_is_away(
    database: Database, outbox: EventOutbox, heard: Heard, wire: Wire, eventually: Eventually
) -> None:
    """It is told when the broker is back, without another word."""
    await wire.refuse()
    async with running(outbox.run()):
        await _store(database, "a")
        outbox.notify()
        await wire.open()
        await eventually(lambda: b"a" in heard.bodies)

        # It may be heard before the outbox knows that the broker has it.
        async with asyncio.timeout(LIMIT_SECONDS):
            while await database["things"].count_documents({PENDING: 1}):  # noqa: ASYNC110 - a store has no event
                await asyncio.sleep(0.01)


async def test_a_document_that_changes_while_it_is_told_is_told_again(
    database: Database, outbox: EventOutbox, heard: Heard, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark of the change is not taken off by the telling of what was before."""
    await _store(database, "a")
    publish = outbox._publisher.publish

    async def change_then_publish(*told: Any, **how: Any) -> None:
        await publish(*told, **how)
        changed = {"$set": {"version": 2, "text": "a2", PENDING: 1}}
        await database["things"].update_one({"_id": "a", "version": 1}, changed)

    monkeypatch.setattr(outbox._publisher, "publish", change_then_publish)

    await outbox.tell_once()
    await outbox.tell_once()
    await eventually(lambda: len(heard.bodies) == 2)

    assert heard.bodies == [b"a", b"a2"]
    assert await outbox.tell_once() == 0


async def test_an_event_that_cannot_be_used_is_set_aside_and_holds_nobody_up(
    database: Database,
    outbox: EventOutbox,
    heard: Heard,
    events_connection: BrokerConnection,
    eventually: Eventually,
) -> None:
    """It lies with the dead letters, with its reason and where it came from; the one after it is taken."""
    heard.trouble = [DecodeError("no such message")]
    await _store(database, "a", "b")

    await outbox.tell_once()
    await eventually(lambda: b"b" in heard.bodies)
    channel = await events_connection.open_channel(publisher_confirms=False)
    waiting = 0
    async with asyncio.timeout(LIMIT_SECONDS):
        while not waiting:
            waiting = (await channel.queue_declare(DEAD_LETTER_QUEUE, passive=True)).message_count or 0

    message = await channel.basic_get(DEAD_LETTER_QUEUE, no_ack=True)
    letter = DeadLetter.decode(message.body, message.header.properties.headers or {}, "")

    assert (heard.bodies, waiting) == ([b"b"], 1)
    assert (letter.body, letter.reason, letter.batch_id) == (b"a", "no such message", "a/1")
    assert (letter.is_event, letter.routing_key, letter.queue) == (True, TYPE_NAME, event_queue_name("billing"))


async def test_a_consumer_whose_event_waits_for_long_is_not_well(
    database: Database,
    outbox: EventOutbox,
    events_connection: BrokerConnection,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connected and subscribed, it makes no progress; when the event is taken it is well again."""
    monkeypatch.setattr(broker_consumer, "_STALL_SECONDS", 0.0)
    held, begun = asyncio.Event(), asyncio.Event()

    async def hold(_body: bytes) -> None:
        begun.set()
        await held.wait()

    dead_letters = DeadLetters(events_connection, registry := CollectorRegistry())
    consumer = EventConsumer(events_connection, "billing", {TYPE_NAME: hold}, dead_letters, registry)
    async with running(consumer.subscribe()), running(consumer.run()):
        await _store(database, "a")
        await outbox.tell_once()
        async with asyncio.timeout(LIMIT_SECONDS):
            await begun.wait()
        with pytest.raises(NoProgress):
            await consumer.require_progress()
        held.set()
        taken = {"type": TYPE_NAME, "outcome": "taken"}
        await eventually(lambda: registry.get_sample_value("events_taken_total", taken) == 1)
        await consumer.require_progress()


async def test_an_event_waits_for_a_store_that_is_away(
    database: Database, outbox: EventOutbox, heard: Heard, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again and stays before those after it."""
    monkeypatch.setattr(event_consumer, "_RETRY_SECONDS", 0.01)
    heard.trouble = [AutoReconnect("away"), AutoReconnect("still away")]
    await _store(database, "a", "b")

    await outbox.tell_once()
    await eventually(lambda: len(heard.bodies) == 2)

    assert heard.bodies == [b"a", b"b"]
