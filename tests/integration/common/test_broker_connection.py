"""The connection to a real broker, which breaks, blocks, and comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pamqp import commands

from common.broker import BrokerAway, BrokerConnection, Publisher
from tests.integration.common.broker_route import (
    LIMIT_SECONDS,
    Eventually,
    Route,
    publish,
    running,
    take_all,
)


async def test_a_broken_wire_loses_nothing_that_was_confirmed(
    publisher: Publisher, connection: BrokerConnection, route: Route, wire: Any
) -> None:
    """With publishes in flight each ends, confirmed or BrokerAway; after the reconnect the rest go through."""
    confirmed: set[bytes] = set()
    failures = 0

    async def publish_until_confirmed(body: bytes) -> None:
        nonlocal failures
        while body not in confirmed:
            try:
                await publish(publisher, route, body, timeout=5)
                confirmed.add(body)
            except BrokerAway:
                failures += 1
                await connection.wait_connected()
        if len(confirmed) == 50:
            wire.cut()

    bodies = {b"%d" % number for number in range(300)}
    async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
        for body in bodies:
            tasks.create_task(publish_until_confirmed(body))

    assert connection.epoch == 2
    assert failures > 0
    assert set(await take_all(connection, route.name)) == bodies


async def test_a_blocked_connection_refuses_at_once_until_it_is_unblocked(
    publisher: Publisher, connection: BrokerConnection, route: Route, wire: Any, eventually: Eventually
) -> None:
    """The broker's memory or disk alarm; without this a publish would hang on the socket."""
    wire.whisper(commands.Connection.Blocked("low on memory"))
    await eventually(lambda: _is_blocked(connection))

    with pytest.raises(BrokerAway, match="alarm"):
        await publish(publisher, route, b"x")

    wire.whisper(commands.Connection.Unblocked())
    await eventually(lambda: not _is_blocked(connection))
    await publish(publisher, route, b"x")


def _is_blocked(connection: BrokerConnection) -> bool:
    try:
        connection.require_unblocked()
    except BrokerAway:
        return True
    return False


async def test_a_broker_that_is_away_at_the_start_is_met_when_it_comes(
    broker_url: str, route: Route, wire: Any
) -> None:
    """A service may start before its broker."""
    await wire.refuse()
    connection = BrokerConnection(broker_url, "test", route.declare)

    async with running(connection.run()), asyncio.timeout(LIMIT_SECONDS):
        with pytest.raises(BrokerAway):
            await connection.ping()
        await wire.open()
        await connection.wait_connected()
        await connection.ping()

    assert not connection.is_connected


async def test_a_password_shows_in_no_representation(broker_url: str) -> None:
    """Neither of the connection nor of its failure."""
    secret = broker_url.replace("guest:guest@", "guest:hunter2@")
    connection = BrokerConnection(secret, "test")

    with pytest.raises(BrokerAway) as refused:
        await connection._connect_once()

    assert "hunter2" not in repr(connection) + repr(refused.value) + repr(refused.value.__cause__)
