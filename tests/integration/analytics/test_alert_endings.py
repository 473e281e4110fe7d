"""What an open alert of before means to a process, and when one is to be open no longer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest_asyncio

from analytics.alerts.alert import AlertState, AlertType, Cause
from analytics.alerts.alert_book import Word
from analytics.alerts.alert_rule import AlertRule, AlertRules
from analytics.detection.alert_endings import AlertEndings
from analytics.detection.detector import Detector
from common.cached_device import CachedDevice
from common.mongo import Database
from tests.integration.analytics.alert_room import START_MS, Room, open_room
from tests.unit.analytics.watched import reading

PACK = CachedDevice("pack-1", 3, "acc", "", "North", "UTC", 60_000, (), 0)


@dataclass
class Registry:
    """The registered devices."""

    devices: dict[str, CachedDevice]
    is_complete: bool = True

    def get(self, device_id: str) -> CachedDevice | None:
        """One of them."""
        return self.devices.get(device_id)


@dataclass
class Process:
    """A process that detects and ends, over the store of a room."""

    room: Room
    registry: Registry
    detector: Detector
    endings: AlertEndings
    rules: list[AlertRules]
    at_ms: int = START_MS

    async def measure(self, celsius: float) -> None:
        """The next reading of the pack, and what comes of it."""
        self.at_ms += 60_000
        self.detector.look(None, [reading("pack-1", self.at_ms, temperature_celsius=celsius)])
        await self.room.alerts.desk.write()

    async def turn(self) -> None:
        """A turn of the clock in which nothing is measured."""
        await self.room.alerts.feed.look()
        self.endings.restore()
        self.endings.end_unwanted()
        self.room.pass_time(60_000)
        await self.room.alerts.desk.resolve_gone()

    async def states(self) -> list[tuple[AlertState, int]]:
        """The alerts' states, and how often their causes began."""
        found = await self.room.alerts.store.changed_since(0, 100)
        return [(alert.state, alert.occurrence_count) for alert in found]


def process_of(room: Room) -> Process:
    """A process that was just started."""
    registry: Any = Registry({"pack-1": PACK})
    rules = [AlertRules()]
    detector = Detector(registry.get, room.alerts.desk)
    endings = AlertEndings(
        room.alerts.desk, detector, registry, rules=lambda: rules[0], known_alerts=lambda: room.alerts.feed.known
    )
    return Process(room, registry, detector, endings, rules)


@pytest_asyncio.fixture(loop_scope="session")
async def process(database: Database) -> AsyncIterator[Process]:
    """Nothing measured yet."""
    async with open_room(database) as room:
        yield process_of(room)


async def test_a_process_that_is_started_ends_what_another_has_raised(process: Process) -> None:
    """With the first sound reading."""
    await process.measure(46.0)
    after = process_of(process.room)
    process.room.alerts.desk.raised_here.clear()
    await after.turn()
    after.at_ms = process.at_ms
    await after.measure(20.0)
    await after.turn()

    assert await after.states() == [(AlertState.RESOLVED, 1)]


async def test_a_process_that_is_started_leaves_over_what_somebody_has_called_over(process: Process) -> None:
    """Until its cause was gone and comes back."""
    await process.measure(46.0)
    await process.room.alerts.feed.look()
    (alert,) = process.room.alerts.feed.open.values()
    await process.room.alerts.parts().book.resolve(alert.alert_id, Word("jo", "it may be hot"))
    after = process_of(process.room)
    after.at_ms = process.at_ms
    await after.turn()
    await after.measure(46.0)
    await after.turn()
    assert await after.states() == [(AlertState.RESOLVED, 1)]

    await after.measure(20.0)
    await after.turn()
    await after.measure(46.0)
    assert await after.states() == [(AlertState.RESOLVED, 1), (AlertState.RAISED, 1)]


async def test_a_cause_that_comes_back_at_once_after_its_alert_was_raised_is_seen(process: Process) -> None:
    """What the store says of an alert that was raised here is older than what is known here."""
    await process.measure(46.0)
    await process.measure(20.0)
    await process.room.alerts.feed.look()
    process.endings.restore()
    await process.measure(46.0)
    await process.turn()

    assert await process.states() == [(AlertState.RAISED, 2)]


async def test_alerts_of_a_device_that_goes_out_of_operation_end(process: Process) -> None:
    """Though it sends nothing that would end them."""
    await process.measure(46.0)
    await process.turn()
    assert await process.states() == [(AlertState.RAISED, 1)]

    process.registry.devices["pack-1"] = replace(PACK, is_active=False)
    await process.turn()
    assert await process.states() == [(AlertState.RESOLVED, 1)]


async def test_alerts_that_a_rule_does_not_want_any_more_end(process: Process) -> None:
    """Of regions, too."""
    await process.measure(46.0)
    await process.room.see(Cause(AlertType.REGION_SILENT, "South"))
    process.rules[0] = AlertRules(
        [
            AlertRule(str(one), one, {}, is_enabled=False)
            for one in (AlertType.OVER_TEMPERATURE, AlertType.REGION_SILENT)
        ]
    )
    await process.turn()

    assert await process.states() == [(AlertState.RESOLVED, 1)] * 2
