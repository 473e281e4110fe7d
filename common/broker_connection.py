"""The connection under every publisher and consumer: kept, lost, opened again, with the topology declared each time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiormq
from aiormq.exceptions import AMQPError, ChannelInvalidStateError
from yarl import URL

from common.broker_failures import BrokerAway, broker_failures
from common.logs import get_logger
from common.retrying import retried_for_ever

RPC_TIMEOUT_SECONDS = 10.0

_CONNECT_TIMEOUT_SECONDS = 4.0
# A connection that fell silent is given up here after 6 s and by the broker, which meanwhile keeps the deliveries and
# the place of its consumers, after 6 to 9 s.
_HEARTBEAT_SECONDS = 3
_SILENCE_MAXIMUM_HEARTBEATS = 1.5
_RETRY_WAIT_INITIAL_SECONDS = 0.1
_RETRY_WAIT_MAXIMUM_SECONDS = 2.0
# A connection that breaks as soon as it stands must not become a busy loop.
_PAUSE_AFTER_LOSS_SECONDS = 0.1
_CLOSE_TIMEOUT_SECONDS = 5.0

_log = get_logger(__name__)

Declare = Callable[[aiormq.Channel], Awaitable[None]]


class _Connection(aiormq.Connection):
    """Notices silence sooner than the driver by itself, which waits for more than three heartbeats."""

    # Times one more than the seconds of the heartbeat.
    HEARTBEAT_GRACE_MULTIPLIER = _SILENCE_MAXIMUM_HEARTBEATS  # type: ignore[assignment] # seconds may have fractions


class BrokerConnection:
    """One AMQP connection that comes back.

    `run()` is its life and must run as a background task. `declare` gets a channel after each connect; until it has
    returned, the connection does not count as connected.
    """

    def __init__(self, url: str, name: str, declare: Declare | None = None) -> None:
        self._url = URL(url).update_query(heartbeat=str(_HEARTBEAT_SECONDS), name=name)
        self._name = name
        self._declare = declare
        self._connection: aiormq.Connection | None = None
        self._connected = asyncio.Event()
        self._epoch = 0

    @property
    def is_connected(self) -> bool:
        """Whether channels can be opened now."""
        return self._connected.is_set() and self._connection is not None and not self._connection.is_closed

    @property
    def epoch(self) -> int:
        """How many connections there have been; rises with each reconnect."""
        return self._epoch

    async def run(self) -> None:
        """Keeps the connection until cancelled, then closes it."""
        try:
            while True:
                connection = await self._connect()
                self._epoch += 1
                self._connection = connection
                self._connected.set()
                _log.info("broker_connected", connection=self._name, epoch=self._epoch)
                await asyncio.wait([connection.closing])
                self._connected.clear()
                _log.warning("broker_connection_lost", connection=self._name, epoch=self._epoch)
                await asyncio.sleep(_PAUSE_AFTER_LOSS_SECONDS)
        finally:
            self._connected.clear()
            await self._close()

    async def wait_connected(self) -> None:
        """Returns when connected; give it a time limit of your own."""
        while not self.is_connected:
            # The driver knows of a loss before `run()` has had its turn.
            self._connected.clear()
            await self._connected.wait()

    async def ping(self) -> None:
        """For health checks: that the connection stands and takes messages.

        Raises:
            BrokerAway: it does not.
        """
        self.require_unblocked()

    def require_unblocked(self) -> None:
        """Checks that messages can be sent now.

        Raises:
            BrokerAway: there is no connection, or the broker has blocked it (its memory or disk alarm).
        """
        if _is_blocked(self._live()):
            raise BrokerAway("blocked by the memory or disk alarm of the broker")

    async def open_channel(self, *, publisher_confirms: bool) -> aiormq.Channel:
        """A new channel on the live connection.

        Raises:
            BrokerAway: there is no connection, or it broke meanwhile.
        """
        connection = self._live()
        with broker_failures():
            return await _channel(connection, publisher_confirms=publisher_confirms)

    def _live(self) -> aiormq.Connection:
        if self._connection is None or not self.is_connected:
            raise BrokerAway("not connected")
        return self._connection

    async def reconnect(self, cause: str) -> None:
        """Drops the connection, so that `run()` opens another and declares everything again."""
        _log.warning("broker_reconnect_asked", connection=self._name, cause=cause)
        await self._close()

    async def _connect(self) -> aiormq.Connection:
        retried = retried_for_ever(
            (AMQPError, ChannelInvalidStateError, BrokerAway, OSError, TimeoutError),
            wait_initial_seconds=_RETRY_WAIT_INITIAL_SECONDS,
            wait_maximum_seconds=_RETRY_WAIT_MAXIMUM_SECONDS,
        )
        async for attempt in retried:
            with attempt:
                return await self._connect_once()
        raise AssertionError("unreachable: the attempts have no end")

    async def _connect_once(self) -> aiormq.Connection:
        connection = _Connection(self._url)
        try:
            with broker_failures():
                async with asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                    await connection.connect()
                if self._declare is not None:
                    channel = await _channel(connection, publisher_confirms=False)
                    await self._declare(channel)
                    await channel.close(timeout=RPC_TIMEOUT_SECONDS)
        except BaseException:
            await _close_quietly(connection)
            raise
        return connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await _close_quietly(connection)


async def _channel(connection: aiormq.Connection, *, publisher_confirms: bool) -> aiormq.Channel:
    channel = await connection.channel(publisher_confirms=publisher_confirms, timeout=RPC_TIMEOUT_SECONDS)
    # The driver declares less than it returns; its abstract channel lacks what publishers need.
    assert isinstance(channel, aiormq.Channel)  # noqa: S101
    return channel


async def _close_quietly(connection: aiormq.Connection) -> None:
    with suppress(Exception):
        await connection.close(timeout=_CLOSE_TIMEOUT_SECONDS)


def _is_blocked(connection: aiormq.Connection) -> bool:
    # `ready()` is the driver's only public word on this: it returns at once unless the connection is blocked.
    waiting = connection.ready().__await__()
    try:
        next(waiting)
    except StopIteration:
        return False
    finally:
        waiting.close()
    return True
