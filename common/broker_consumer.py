"""How a batch is taken from its queue: deliveries in order, held until their effect is stored, then acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiormq
from aiormq.abc import DeliveredMessage

from common.broker_connection import RPC_TIMEOUT_SECONDS, BrokerConnection
from common.broker_failures import BrokerAway, broker_failures
from common.logs import get_logger
from common.progress import Progress

_PAUSE_BEFORE_RESUBSCRIBING_SECONDS = 0.5
_CLOSE_TIMEOUT_SECONDS = 1.0
# A store that hangs, or refuses every write, is noticed by what it does not let through.
_STALL_SECONDS = 5.0
# Readings take some ten times as much memory while they are worked on as they do in a delivery.
_TOGETHER_ENOUGH_BYTES = 512 << 10

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message in hand; `epoch` names the channel it came by, for its tag means nothing on another."""

    body: bytes
    delivery_tag: int
    epoch: int
    routing_key: str
    redelivered: bool
    message_id: str
    headers: Mapping[str, Any]


class Consumer:
    """Takes deliveries of one queue into `deliveries`, at most `prefetch` unacknowledged at a time.

    `run()` is its life and must run as a background task; it subscribes again after every loss. What was in hand then
    comes again, so its acknowledgements are ignored, and effects must be idempotent.
    """

    def __init__(self, connection: BrokerConnection, queue: str, prefetch: int) -> None:
        self._connection = connection
        self._queue = queue
        self._prefetch = prefetch
        self._channel: aiormq.Channel | None = None
        self._consumer_tag: str | None = None
        self._epoch = 0
        self._stopped = False
        self._unsettled: set[int] = set()
        self._progress = Progress()
        # Bounded by the prefetch, which the broker keeps.
        self.deliveries: asyncio.Queue[Delivery] = asyncio.Queue()

    def with_waiting(self, first: Delivery, maximum_count: int) -> list[Delivery]:
        """A delivery that was taken, and those that wait behind it: at most so many, and none once they are large."""
        deliveries = [first]
        size_bytes = len(first.body)
        while len(deliveries) < maximum_count and size_bytes < _TOGETHER_ENOUGH_BYTES and not self.deliveries.empty():
            deliveries.append(self.deliveries.get_nowait())
            size_bytes += len(deliveries[-1].body)
        return deliveries

    @property
    def is_subscribed(self) -> bool:
        """Whether the broker sends deliveries now, or would if the queue had any."""
        return self._consumer_tag is not None and self._channel is not None and not self._channel.is_closed

    @property
    def in_hand_count(self) -> int:
        """Deliveries that the broker has sent and that are not settled yet."""
        return len(self._unsettled)

    def require_progress(self) -> None:
        """For health checks: that deliveries in hand get settled.

        Raises:
            NoProgress: for seconds none of them was.
        """
        self._progress.require(_STALL_SECONDS)

    async def run(self) -> None:
        """Keeps the subscription until cancelled or stopped, then closes its channel."""
        try:
            while not self._stopped:
                await self._connection.wait_connected()
                try:
                    await self._subscribe_until_lost()
                except BrokerAway as away:
                    _log.warning("consumer_lost", queue=self._queue, cause=str(away))
                finally:
                    self._consumer_tag = None
                await asyncio.sleep(_PAUSE_BEFORE_RESUBSCRIBING_SECONDS)
        finally:
            await self._close_channel()

    async def stop(self) -> None:
        """Takes no more deliveries; those in hand can still be acknowledged until `run()` is cancelled."""
        self._stopped = True
        channel, tag = self._channel, self._consumer_tag
        if channel is None or tag is None or channel.is_closed:
            return
        self._consumer_tag = None
        try:
            with broker_failures():
                await channel.basic_cancel(tag, timeout=RPC_TIMEOUT_SECONDS)
        except BrokerAway as away:
            _log.warning("consumer_stop_failed", queue=self._queue, cause=str(away))

    async def ack(self, delivery: Delivery, *, multiple: bool = False) -> bool:
        """Says that the effect of a delivery (`multiple`: and of all before it) is stored.

        Returns False if the channel is gone: the broker will deliver it again.
        """
        return await self._settle(
            delivery,
            lambda channel: channel.basic_ack(delivery.delivery_tag, multiple=multiple, wait=False),
            multiple=multiple,
        )

    async def reject(self, delivery: Delivery) -> bool:
        """Sends a delivery that can never be used to the dead letters, if its queue has any; else drops it."""
        return await self._settle(
            delivery, lambda channel: channel.basic_reject(delivery.delivery_tag, requeue=False, wait=False)
        )

    async def nack_requeue(self, delivery: Delivery) -> bool:
        """Gives a delivery back to its queue."""
        return await self._settle(
            delivery, lambda channel: channel.basic_nack(delivery.delivery_tag, requeue=True, wait=False)
        )

    async def _settle(
        self,
        delivery: Delivery,
        settle: Callable[[aiormq.Channel], Awaitable[None]],
        *,
        multiple: bool = False,
    ) -> bool:
        channel = self._channel
        if channel is None or channel.is_closed or delivery.epoch != self._epoch:
            return False
        try:
            with broker_failures():
                await settle(channel)
        except BrokerAway:
            return False
        self._unsettled.discard(delivery.delivery_tag)
        if multiple:
            self._unsettled = {tag for tag in self._unsettled if tag > delivery.delivery_tag}
        self._progress.advanced(len(self._unsettled))
        return True

    async def _subscribe_until_lost(self) -> None:
        channel = await self._connection.open_channel(publisher_confirms=False)
        lost = channel.closing
        cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_cancel(_frame: object) -> None:
            if not cancelled.done():
                cancelled.set_result(None)

        channel.on_consumer_cancel_callbacks.add(on_cancel)
        self._begin_epoch(channel)
        with broker_failures():
            await channel.basic_qos(prefetch_count=self._prefetch, timeout=RPC_TIMEOUT_SECONDS)
            subscribed = await channel.basic_consume(
                self._queue, self._receiver(self._epoch), timeout=RPC_TIMEOUT_SECONDS
            )
        self._consumer_tag = subscribed.consumer_tag
        _log.info("consumer_subscribed", queue=self._queue, epoch=self._epoch)
        await asyncio.wait([lost, cancelled], return_when=asyncio.FIRST_COMPLETED)
        if cancelled.done():
            # The queue was deleted or its leader moved: only a new connection declares it again.
            await self._connection.reconnect(f"the broker cancelled the consumer of {self._queue}")
        raise BrokerAway("the subscription ended")

    async def _close_channel(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None and not channel.is_closed:
            with suppress(Exception):
                await channel.close(timeout=_CLOSE_TIMEOUT_SECONDS)

    def _begin_epoch(self, channel: aiormq.Channel) -> None:
        self._epoch += 1
        self._channel = channel
        self._unsettled.clear()
        self._progress.advanced(0)
        while not self.deliveries.empty():
            self.deliveries.get_nowait()

    def _receiver(self, epoch: int) -> Callable[[DeliveredMessage], Coroutine[Any, Any, None]]:
        async def receive(message: DeliveredMessage) -> None:
            if epoch == self._epoch:
                delivery = _delivery(message, epoch)
                self._unsettled.add(delivery.delivery_tag)
                self._progress.began()
                self.deliveries.put_nowait(delivery)

        return receive


def _delivery(message: DeliveredMessage, epoch: int) -> Delivery:
    properties = message.header.properties
    return Delivery(
        body=message.body,
        delivery_tag=message.delivery_tag or 0,
        epoch=epoch,
        routing_key=message.routing_key or "",
        redelivered=bool(message.redelivered),
        message_id=properties.message_id or "",
        headers=properties.headers or {},
    )
