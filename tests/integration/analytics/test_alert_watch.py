"""Watches of alerts: they begin with what is open, tell every change, and miss nothing when they come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from energy.analytics.v1 import alert_service_pb2 as pb

from analytics.alerts.alert import AlertType, Cause
from analytics.alerts.alert_feed import AlertFeed
from common.mongo import Database
from tests.integration.analytics.alert_room import HOT, Room, open_room

SECOND_MS = 1000


@pytest_asyncio.fixture(loop_scope="session")
async def room(database: Database) -> AsyncIterator[Room]:
    """Nothing seen yet."""
    async with open_room(database) as opened:
        yield opened


async def next_of(watch: Any) -> list[tuple[str, int]]:
    """The next alerts of a watch, their devices and versions."""
    async with asyncio.timeout(10):
        return [(alert.device_id, alert.version) for alert in (await watch.read()).alerts]


async def test_a_watch_begins_with_the_open_alerts_and_then_tells_what_changes(room: Room) -> None:
    """Only of those that were asked for."""
    await room.see()
    await room.see(Cause(AlertType.STORAGE_FAULT, "South", "p-9"))
    await room.alerts.feed.look()
    watch = room.stub.WatchAlerts(pb.WatchAlertsRequest(filter=pb.AlertFilter(region="North")))
    assert await next_of(watch) == [("pack-1", 1)]

    alert = (await room.alerts.store.find_open([HOT.key]))[HOT.key]
    assert alert
    await room.stub.AcknowledgeAlert(pb.AcknowledgeAlertRequest(alert_id=alert.alert_id, actor="jo"))

    assert await next_of(watch) == [("pack-1", 2)]
    watch.cancel()


async def test_a_watch_that_comes_back_misses_nothing(room: Room) -> None:
    """What happened while it was away comes first, though the process that it comes back to is another one."""
    watch = room.stub.WatchAlerts(pb.WatchAlertsRequest())
    async with asyncio.timeout(10):
        token = (await watch.read()).resume_token
    watch.cancel()
    missed = set()
    for number in range(20):
        room.pass_time(SECOND_MS)
        cause = Cause(AlertType.STORAGE_FAULT, "North", f"p-{number}")
        await room.see(cause)
        await room.lose(cause)
        missed.add(f"p-{number}")

    watch = room.stub.WatchAlerts(pb.WatchAlertsRequest(resume_token=token))
    told: set[str] = set()
    while told != missed:
        told.update(device_id for device_id, _ in await next_of(watch))
    watch.cancel()


async def test_a_watcher_that_reads_slowly_is_given_from_the_store_what_it_missed(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though more has changed than is kept in memory."""
    feed = AlertFeed(room.alerts.store, now_ms=lambda: room.clock[0])
    monkeypatch.setattr(feed, "_changes", type(feed._changes)(maxlen=3))
    await feed.look()
    watching = feed.watch(lambda _: True, None)
    await anext(watching)
    causes = [Cause(AlertType.STORAGE_FAULT, "North", f"p-{number}") for number in range(10)]
    for cause in causes:
        await room.see(cause)
    await feed.look()

    told: set[str] = set()
    async with asyncio.timeout(10):
        while len(told) < len(causes):
            told.update(alert.cause.device_id for alert in (await anext(watching)).alerts)
    await watching.aclose()
    assert told == {cause.device_id for cause in causes}


async def test_watches_end_when_the_service_shuts_down(room: Room) -> None:
    """So that their callers go elsewhere."""
    watch = room.stub.WatchAlerts(pb.WatchAlertsRequest())
    await watch.read()
    await room.alerts.feed.close()

    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await watch.read()
    assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
