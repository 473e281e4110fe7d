"""How a batch is handed over: persistent, mandatory, and answered only when the queues have it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiormq

from common.broker_connection import BrokerConnection
from common.broker_failures import broker_failures

_PERSISTENT = 2
_PUBLISH_TIMEOUT_SECONDS = 10.0


class Publisher:
    """Publishes with confirms on a channel of its own; many publishes may be in flight at once."""

    def __init__(self, connection: BrokerConnection) -> None:
        self._connection = connection
        self._channel: aiormq.Channel | None = None
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
            channel = await self._ready_channel()
            with broker_failures():
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

    async def _ready_channel(self) -> aiormq.Channel:
        self._connection.require_unblocked()
        channel = self._channel
        if channel is not None and not channel.is_closed:
            return channel
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                self._channel = await self._connection.open_channel(publisher_confirms=True)
            return self._channel
