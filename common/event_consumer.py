"""How a service takes the events that others tell: one after the other, each acknowledged when its effect is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from google.protobuf.message import DecodeError
from prometheus_client import CollectorRegistry, Counter
from pymongo.errors import PyMongoError

from common.broker import BrokerConnection, Consumer
from common.logs import get_logger
from common.topology import event_queue_name

_PREFETCH = 64
_RETRY_SECONDS = 1.0

_log = get_logger(__name__)

Handler = Callable[[bytes], Awaitable[None]]
"""Takes the bytes of an event; raises DecodeError or ValueError for what can never be used."""


class EventConsumer:
    """Hands each event to the handler of its type; `subscribe()` and `run()` are its life, as background tasks.

    An event may come more than once and late, so what a handler does must be idempotent. While the store is away the
    event in hand waits, and those after it.
    """

    def __init__(
        self,
        connection: BrokerConnection,
        service: str,
        handlers: Mapping[str, Handler],
        registry: CollectorRegistry,
    ) -> None:
        self._consumer = Consumer(connection, event_queue_name(service), _PREFETCH)
        self._handlers = handlers
        self._taken = Counter(
            "events_taken", "Events taken, by type and outcome.", ["type", "outcome"], registry=registry
        )

    async def subscribe(self) -> None:
        """Keeps the subscription until cancelled."""
        await self._consumer.run()

    async def require_progress(self) -> None:
        """For health checks; raises as `Consumer.require_progress` does."""
        self._consumer.require_progress()

    async def run(self) -> None:
        """Takes events until cancelled."""
        while True:
            delivery = await self._consumer.deliveries.get()
            handler = self._handlers.get(delivery.routing_key)
            if handler is None:
                # A release that is newer or older tells what this one does not know.
                self._taken.labels("other", "ignored").inc()
                await self._consumer.ack(delivery)
                continue
            if await self._handled(handler, delivery.routing_key, delivery.body):
                await self._consumer.ack(delivery)
                self._taken.labels(delivery.routing_key, "taken").inc()
            else:
                await self._consumer.reject(delivery)
                self._taken.labels(delivery.routing_key, "refused").inc()

    async def _handled(self, handler: Handler, type_name: str, body: bytes) -> bool:
        """Whether the event could be used; one that meets a store that is away is tried until it is back."""
        while True:
            try:
                await handler(body)
            except (DecodeError, ValueError) as wrong:
                _log.error("event_unusable", type=type_name, cause=str(wrong))
                return False
            except PyMongoError as away:
                _log.warning("event_waits", type=type_name, cause=type(away).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return True
