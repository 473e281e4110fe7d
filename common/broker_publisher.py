"""How a batch is handed over: persistent, mandatory, and answered only when the queues have it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiormq

from common.broker_connection import BrokerConnection
from common.broker_failures import PublishFailed, Unroutable, broker_failures

_PERSISTENT = 2
_PUBLISH_TIMEOUT_SECONDS = 10.0
_CLOSE_TIMEOUT_SECONDS = 1.0
# A queue that is full refuses as well, and then another channel helps nothing; so often it costs nothing either.
_DOUBTED_AFTER_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class _Way:
    """A channel, when it was opened, in seconds of the loop's clock, and how many publishes are in flight on it."""

    channel: aiormq.Channel
    opened_at: float
    in_flight: int = 0


class Publisher:
    """Publishes with confirms on a channel of its own; many publishes may be in flight at once.

    A channel that was opened while a quorum queue had no leader may refuse whatever is for that queue for ever, also
    once there is a leader (seen on a cluster of 3.10.8 in six of eight losses of a node). So whoever publishes after a
    refusal, or a confirm that did not come, gets another channel.
    """

    def __init__(self, connection: BrokerConnection) -> None:
        self._connection = connection
        self._way: _Way | None = None
        self._opening = asyncio.Lock()
        self._in_flight: set[str] = set()

    async def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        *,
        message_id: str,
        type_name: str,
        headers: Mapping[str, Any] | None = None,
        timeout: float = _PUBLISH_TIMEOUT_SECONDS,  # noqa: ASYNC109 - the driver's own, which leaves the channel open
    ) -> None:
        """Returns when every bound queue has confirmed the message; `type_name` is the full name of its protobuf.

        Raises:
            Unroutable: no queue is bound.
            Rejected: a queue is full.
            BrokerAway: not connected, blocked, no confirm within `timeout` seconds, or the channel closed.
            ValueError: a message with this id is in flight already (the driver tells returns apart by it).
        """
        if message_id in self._in_flight:
            raise ValueError("a message with this id is in flight")
        self._in_flight.add(message_id)
        try:
            async with self._channel() as channel:
                await channel.basic_publish(
                    body,
                    exchange=exchange,
                    routing_key=routing_key,
                    mandatory=True,
                    timeout=timeout,
                    wait=False,
                    properties=aiormq.spec.Basic.Properties(
                        delivery_mode=_PERSISTENT,
                        content_type="application/x-protobuf",
                        message_id=message_id,
                        message_type=type_name,
                        headers=dict(headers or {}),
                    ),
                )
        finally:
            self._in_flight.discard(message_id)

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[aiormq.Channel]:
        way = await self._ready_way()
        way.in_flight += 1
        try:
            with broker_failures():
                yield way.channel
        except Unroutable:
            raise
        except PublishFailed:
            if self._way is way and asyncio.get_running_loop().time() - way.opened_at >= _DOUBTED_AFTER_SECONDS:
                self._way = None
            raise
        finally:
            way.in_flight -= 1
            if self._way is not way and not way.in_flight and not way.channel.is_closed:
                # The others on it have had their answers meanwhile.
                with suppress(PublishFailed), broker_failures():
                    async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
                        await way.channel.close()

    async def _ready_way(self) -> _Way:
        self._connection.require_unblocked()
        way = self._way
        if way is not None and not way.channel.is_closed:
            return way
        async with self._opening:
            if self._way is None or self._way.channel.is_closed:
                channel = await self._connection.open_channel(publisher_confirms=True)
                self._way = _Way(channel, asyncio.get_running_loop().time())
            return self._way
