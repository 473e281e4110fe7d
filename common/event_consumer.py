"""How a service takes the events that others tell: one after the other, each acknowledged when its effect is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from google.protobuf.message import DecodeError
from prometheus_client import CollectorRegistry, Counter
from pymongo.errors import PyMongoError

from common.broker import BrokerConnection, Consumer, Delivery
from common.clock import now_ms
from common.dead_letters import DeadLetter, DeadLetters, replay_count_of
from common.logs import get_logger
from common.topology import EVENTS_EXCHANGE, event_queue_name

_PREFETCH = 64
_RETRY_SECONDS = 1.0

_log = get_logger(__name__)

Handler = Callable[[bytes], Awaitable[None]]
"""Takes the bytes of an event; raises DecodeError or ValueError for what can never be used."""


class EventConsumer:
    """Hands each event to the handler of its type; `subscribe()` and `run()` are its life, as background tasks.

    An event may come more than once and late, so what a handler does must be idempotent. While the store is away the
    event in hand waits, and those after it. One that can never be used goes to the dead letters with its reason.
    """

    def __init__(
        self,
        connection: BrokerConnection,
        service: str,
        handlers: Mapping[str, Handler],
        dead_letters: DeadLetters,
        registry: CollectorRegistry,
    ) -> None:
        self._queue = event_queue_name(service)
        self._dead_letters = dead_letters
        self._consumer = Consumer(connection, self._queue, _PREFETCH)
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
            refusal = await self._handled(handler, delivery.routing_key, delivery.body)
            if refusal is not None:
                await self._set_aside(delivery, refusal)
            await self._consumer.ack(delivery)
            self._taken.labels(delivery.routing_key, "taken" if refusal is None else "refused").inc()

    async def _set_aside(self, delivery: Delivery, reason: str) -> None:
        await self._dead_letters.set_aside(
            DeadLetter(
                body=delivery.body,
                reason=reason,
                queue=self._queue,
                partition=0,
                set_aside_ms=now_ms(),
                batch_id=delivery.message_id,
                replay_count=replay_count_of(delivery.headers),
                exchange=EVENTS_EXCHANGE,
                routing_key=delivery.routing_key,
            )
        )

    async def _handled(self, handler: Handler, type_name: str, body: bytes) -> str | None:
        """None, or why the event can never be used; one that meets a store that is away is tried until it is back."""
        while True:
            try:
                await handler(body)
            except (DecodeError, ValueError) as wrong:
                _log.error("event_unusable", type=type_name, cause=str(wrong))
                return str(wrong) or type(wrong).__name__
            except PyMongoError as away:
                _log.warning("event_waits", type=type_name, cause=type(away).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return None
