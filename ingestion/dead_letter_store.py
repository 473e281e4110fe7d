"""The dead-letter queue as something that can be looked at: letters taken in hand, and put back or acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiormq
from aiormq import spec
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelLockedResource

from common.broker import BrokerConnection
from common.broker_connection import RPC_TIMEOUT_SECONDS
from common.broker_failures import broker_failures
from common.dead_letters import DeadLetter
from common.errors import Overloaded
from common.topology import DEAD_LETTER_QUEUE

LETTERS_MAXIMUM = 10_000
BODIES_MAXIMUM_BYTES = 64 << 20

_LETTERS_AT_ONCE = 50
# A channel keeps what is for a quorum queue to itself from 32 on that the queue has not answered, until it does.
_ACKS_AT_ONCE = 24
_ARRIVAL_SECONDS = 1.0
# A quorum queue takes what is put back as a command like any other, after the channel is closed.
_BACK_SECONDS = 5.0
_BACK_PAUSE_SECONDS = 0.02

# Exclusive to a connection: whoever has declared it may take letters in hand, and it vanishes with its owner.
_READING_MARK = f"{DEAD_LETTER_QUEUE}.reading"
_TURN_PATIENCE_SECONDS = 10.0
_TURN_PAUSE_SECONDS = 0.1


@dataclass(slots=True)
class HeldLetter:
    """A letter with the tags of every copy of it in hand."""

    letter: DeadLetter
    delivery_tags: list[int]


class HeldLetters:
    """The letters in hand, oldest first, each once. What is not acknowledged goes back in the end."""

    def __init__(self, channel: aiormq.Channel) -> None:
        self._channel = channel
        self._held: dict[str, HeldLetter] = {}
        self._unsettled_count = 0
        self.looked_at_count = 0
        self.waiting_count = 0

    def letters(self) -> list[DeadLetter]:
        """The letters by the time they were first set aside, and their id."""
        return [held.letter for held in self._in_order()]

    async def acknowledge(self, letters: Iterable[DeadLetter]) -> None:
        """Removes every copy of these letters from the queue.

        Raises:
            BrokerAway: the broker may not know; those letters come again.
        """
        for letter in letters:
            for delivery_tag in self._held.pop(letter.dead_letter_id).delivery_tags:
                with broker_failures():
                    await self._channel.basic_ack(delivery_tag, wait=False)
                self.waiting_count -= 1
                self._unsettled_count += 1
                if self._unsettled_count >= _ACKS_AT_ONCE:
                    await self._settle()

    async def _settle(self) -> None:
        """Returns when the queue has every acknowledgement; one that it does not have is lost with the channel."""
        with broker_failures():
            # A question that the queue answers in its turn.
            answer = await self._channel.basic_get(DEAD_LETTER_QUEUE, timeout=RPC_TIMEOUT_SECONDS)
        self._unsettled_count = 0
        if isinstance(answer.delivery, spec.Basic.GetOk):
            # Came meanwhile, or did not fit in one hand; it goes back with the others.
            self._hold(answer, answer.delivery.delivery_tag or 0)

    def _in_order(self) -> list[HeldLetter]:
        return sorted(self._held.values(), key=lambda held: (held.letter.set_aside_ms, held.letter.dead_letter_id))

    async def take(self) -> None:
        """Takes letters in hand until there are no more, or enough."""
        size_bytes = 0
        with broker_failures():
            declared = await self._channel.queue_declare(DEAD_LETTER_QUEUE, passive=True, timeout=RPC_TIMEOUT_SECONDS)
            self.waiting_count = declared.message_count or 0
            wanted = min(self.waiting_count, LETTERS_MAXIMUM)
            await self._channel.basic_qos(prefetch_count=_LETTERS_AT_ONCE, timeout=RPC_TIMEOUT_SECONDS)
            while self.looked_at_count < wanted and size_bytes < BODIES_MAXIMUM_BYTES:
                messages = await self._some(min(_LETTERS_AT_ONCE, wanted - self.looked_at_count))
                if not messages:
                    break
                size_bytes += sum(len(message.body) for message in messages)
                for message in messages:
                    self._hold(message, message.delivery_tag or 0)
        self.waiting_count = max(self.waiting_count, self.looked_at_count)

    async def _some(self, count: int) -> list[DeliveredMessage]:
        """The next letters: so many, unless others took them meanwhile; a little more may come."""
        # To ask for each takes some milliseconds. A consumer gets as many at once as it may have in hand, and the next
        # one as many again.
        arrived: asyncio.Queue[DeliveredMessage] = asyncio.Queue()
        consuming = await self._channel.basic_consume(DEAD_LETTER_QUEUE, arrived.put, timeout=RPC_TIMEOUT_SECONDS)
        messages: list[DeliveredMessage] = []
        with suppress(TimeoutError):
            while len(messages) < count:
                async with asyncio.timeout(_ARRIVAL_SECONDS):
                    messages.append(await arrived.get())
        await self._channel.basic_cancel(consuming.consumer_tag or "", timeout=RPC_TIMEOUT_SECONDS)
        while not arrived.empty():
            messages.append(arrived.get_nowait())
        return messages

    def _hold(self, message: DeliveredMessage, delivery_tag: int) -> None:
        self.looked_at_count += 1
        properties = message.header.properties
        letter = DeadLetter.decode(message.body, properties.headers or {}, properties.message_id or "")
        held = self._held.setdefault(letter.dead_letter_id, HeldLetter(letter, []))
        held.delivery_tags.append(delivery_tag)
        if letter.set_aside_ms < held.letter.set_aside_ms:
            held.letter = letter

    async def put_back(self) -> None:
        """Gives back what is still in hand, one at a time and oldest first.

        A quorum queue keeps the order of what it gets back one by one; of many at once it keeps none (seen on 3.10).
        """
        if self._unsettled_count:
            await self._settle()
        for held in self._in_order():
            for delivery_tag in held.delivery_tags:
                with broker_failures():
                    await self._channel.basic_nack(delivery_tag, requeue=True, wait=False)


class DeadLetterStore:
    """Opens the dead-letter queue to one caller at a time, among all the processes on the broker.

    Each look counts as a delivery of every letter seen, so it is no thing to poll; `count` is.
    """

    def __init__(self, connection: BrokerConnection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[HeldLetters]:
        """Letters in hand, as many as may be; on leaving the rest goes back, also if the process dies.

        Raises:
            BrokerAway: the broker is away.
            Overloaded: somebody else holds letters for too long.
        """
        async with self._own_turn():
            channel = await self._connection.open_channel(publisher_confirms=False)
            try:
                held = HeldLetters(channel)
                await held.take()
                yield held
                await held.put_back()
            finally:
                # Whatever is in hand still goes back with the channel.
                await _close(channel)
            await self._until_back(held.waiting_count)

    async def _until_back(self, waiting_count: int) -> None:
        """Returns when so many letters wait again, or after a while: who looks next would miss what is on its way back.

        Raises:
            BrokerAway: the broker is away.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_BACK_SECONDS):
                # The broker tells nobody when it has them back.
                while await self.count() < waiting_count:  # noqa: ASYNC110
                    await asyncio.sleep(_BACK_PAUSE_SECONDS)

    async def count(self) -> int:
        """Messages that wait in the queue, those in somebody's hand left out.

        Raises:
            BrokerAway: the broker is away.
        """
        channel = await self._connection.open_channel(publisher_confirms=False)
        with broker_failures():
            declared = await channel.queue_declare(DEAD_LETTER_QUEUE, passive=True, timeout=RPC_TIMEOUT_SECONDS)
            await channel.close(timeout=RPC_TIMEOUT_SECONDS)
        return declared.message_count or 0

    @asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_TURN_PATIENCE_SECONDS):
                await self._turn.acquire()
        except TimeoutError as busy:
            raise Overloaded from busy
        try:
            channel = await self._marked()
            try:
                yield
            finally:
                with broker_failures():
                    await channel.queue_delete(_READING_MARK, timeout=RPC_TIMEOUT_SECONDS)
                    await _close(channel)
        finally:
            self._turn.release()

    async def _marked(self) -> aiormq.Channel:
        deadline = asyncio.get_running_loop().time() + _TURN_PATIENCE_SECONDS
        while True:
            channel = await self._connection.open_channel(publisher_confirms=False)
            try:
                await channel.queue_declare(_READING_MARK, exclusive=True, timeout=RPC_TIMEOUT_SECONDS)
            except ChannelLockedResource as busy:
                if asyncio.get_running_loop().time() >= deadline:
                    raise Overloaded from busy
            else:
                return channel
            await asyncio.sleep(_TURN_PAUSE_SECONDS)


async def _close(channel: aiormq.Channel) -> None:
    if not channel.is_closed:
        await channel.close(timeout=RPC_TIMEOUT_SECONDS)
