"""How a service tells an event of what it has stored: a mark in the stored document itself, taken off when it is told.

The mark is written together with what the event is about, so neither a crash in between nor a broker that is away loses
an event; it may be told more than once, with the same message id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter
from pymongo.errors import PyMongoError

from common.broker import BrokerConnection, Publisher, PublishFailed, Unroutable
from common.lifecycle import Lifecycle
from common.logs import get_logger
from common.mongo import Database
from common.topology import EVENT_KEYS, EVENTS_EXCHANGE
from common.wake_up import WakeUp

PENDING = "event_pending"
"""The field of a document that is there, and 1, as long as its event is not told."""

_ROUND_MAXIMUM = 500
_READ_TIMEOUT_MS = 5_000
_PAUSE_SECONDS = 5.0

_log = get_logger(__name__)


class Event(NamedTuple):
    """An event to tell: the full name of its message, an id that is the same each time, and the message's bytes."""

    type_name: str
    message_id: str
    body: bytes


async def prepare_outbox(database: Database, collection: str) -> None:
    """Makes the index that finds what is not told; documents without the mark are not in it."""
    await database[collection].create_index([(PENDING, 1)], sparse=True)


def telling_connection(lifecycle: Lifecycle, amqp_url: str, service: str) -> BrokerConnection:
    """A connection to tell events on, kept in the background, apart from that on which the service consumes.

    A broker that runs out of memory or disk reads no more from connections that publish: acknowledgements would wait
    there, too.
    """
    connection = BrokerConnection(amqp_url, f"{service} events")
    lifecycle.start_task("events_connection", connection.run())
    return connection


class EventOutbox:
    """Tells the events of one collection, oldest `_id` first; `run()` must run as a background task.

    `event_of` makes the event of a document, None for one that is left to a newer release. Any number of replicas may
    tell the events of one collection.
    """

    def __init__(
        self,
        database: Database,
        collection: str,
        event_of: Callable[[Mapping[str, Any]], Event | None],
        connection: BrokerConnection,
        registry: CollectorRegistry,
    ) -> None:
        self._collection = database[collection]
        self._event_of = event_of
        self._publisher = Publisher(connection)
        self._wake_up = WakeUp()
        self._told = Counter(
            f"{collection}_events_told", f"Events told of documents in {collection}.", registry=registry
        )

    def notify(self) -> None:
        """Says that there is something to tell, so that it need not wait for the next look."""
        self._wake_up.notify()

    async def run(self) -> None:
        """Tells until cancelled; what could not be told now is told later."""
        while True:
            self._wake_up.begin_look()
            try:
                told = await self.tell_once()
            except (PyMongoError, PublishFailed) as away:
                _log.warning("events_not_told", collection=self._collection.name, cause=type(away).__name__)
                told = 0
            if told < _ROUND_MAXIMUM:
                await self._wake_up.wait(_PAUSE_SECONDS)

    async def tell_once(self) -> int:
        """Tells what is not told yet, a bounded number; returns how many.

        Raises:
            PublishFailed: the broker is away or has refused; what was told before that stays told.
            PyMongoError: the store is away.
        """
        cursor = self._collection.find({PENDING: 1}).limit(_ROUND_MAXIMUM)
        documents = [document async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]
        documents.sort(key=lambda document: str(document["_id"]))
        told = 0
        for document in documents:
            event = self._event_of(document)
            if event is None:
                continue
            await self._publish(event)
            # A document that has changed meanwhile has news of its own to tell.
            await self._collection.update_one(
                {"_id": document["_id"], "version": document.get("version")}, {"$unset": {PENDING: ""}}
            )
            self._told.inc()
            told += 1
        return told

    async def _publish(self, event: Event) -> None:
        try:
            await self._publisher.publish(
                EVENTS_EXCHANGE,
                event.type_name,
                event.body,
                message_id=event.message_id,
                type_name=event.type_name,
            )
        except Unroutable:
            # Nobody has to listen to an event, but who should must have its queue.
            if any(event.type_name in keys for keys in EVENT_KEYS.values()):
                raise
