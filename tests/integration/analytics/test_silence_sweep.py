"""Devices and regions that are not heard of any more become alerts by the clock, until they are heard again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest_asyncio

from analytics.alerts.alert import AlertState, AlertType
from analytics.alerts.alert_rule import AlertRule
from analytics.detection.silence_sweep import SilenceSweep
from analytics.stream.batch_reader import observe
from analytics.stream.live_picture import LivePicture
from common.cached_device import CachedDevice
from common.mongo import Database
from tests.integration.analytics.alert_room import START_MS, Room, open_room
from tests.integration.analytics.running_analytics import MINUTE_MS, reading_of

METERS = 10


@dataclass
class Fleet:
    """The registered devices."""

    devices: list[CachedDevice]

    def all_regions(self) -> list[str]:
        """Their regions."""
        return sorted({device.region for device in self.devices})

    def get(self, device_id: str) -> CachedDevice | None:
        """One of them."""
        return next((device for device in self.devices if device.device_id == device_id), None)

    def by_region(self, region: str) -> tuple[CachedDevice, ...]:
        """Those of a region."""
        return tuple(device for device in self.devices if device.region == region)


@dataclass
class Stream:
    """What this replica sees."""

    others: Collection[str] = field(default_factory=set)

    def sees_all(self) -> bool:
        """It does."""
        return True

    def unseen_among(self, device_ids: Iterable[str]) -> Collection[str]:
        """Those of another replica."""
        return set(device_ids) & set(self.others)


@dataclass
class Watch:
    """A sweep over ten meters of the north, and what it raises."""

    room: Room
    fleet: Fleet
    picture: LivePicture
    stream: Stream
    sweep: SilenceSweep

    def hear(self, numbers: Iterable[int]) -> None:
        """Some meters send now."""
        now_ms = self.room.clock[0]
        self.picture.apply(observe(reading_of(f"m-{number}", now_ms - MINUTE_MS), now_ms) for number in numbers)

    async def minutes(self, count: int, *, heard: Collection[int] = ()) -> None:
        """Time passes, in which some meters are heard every minute and it is looked twice a minute."""
        for _ in range(count):
            self.hear(heard)
            for _ in range(2):
                await self.sweep.sweep()
                await self.room.alerts.desk.write()
                await self.room.alerts.desk.resolve_gone()
                await self.room.alerts.feed.look()
                self.room.pass_time(MINUTE_MS // 2)

    async def raised(self) -> list[tuple[str, AlertState]]:
        """The alerts, by type and scope, and their states."""
        found = await self.room.alerts.store.changed_since(0, 1000)
        return sorted((alert.cause.key, alert.state) for alert in found)


@pytest_asyncio.fixture(loop_scope="session")
async def watch(database: Database) -> AsyncIterator[Watch]:
    """All meters were heard just now."""
    async with open_watch(database) as opened:
        yield opened


@asynccontextmanager
async def open_watch(database: Database, *, hold_seconds: float = 60.0) -> AsyncIterator[Watch]:
    """The same, with alerts that last so long after their cause."""
    async with open_room(database) as room:
        rule = AlertRule("hold", AlertType.DEVICE_SILENT, {"hold_seconds": hold_seconds})
        await room.alerts.rule_store.put_rule(rule)
        await room.alerts.rules.read()
        await room.alerts.feed.look()
        fleet = Fleet(
            [CachedDevice(f"m-{number}", 1, "acc", "", "North", "UTC", MINUTE_MS, (), 0) for number in range(METERS)]
        )
        picture, stream = LivePicture(), Stream()
        opened = Watch(room, fleet, picture, stream, sweep_of(room, fleet, picture, stream))
        opened.hear(range(METERS))
        yield opened


def sweep_of(room: Room, fleet: Fleet, picture: LivePicture, stream: Stream) -> SilenceSweep:
    """A sweep that has not looked at anything."""
    return SilenceSweep(
        fleet,
        picture,
        stream,
        room.alerts.desk,
        rules=room.alerts.rules.rules,
        known_alerts=lambda: room.alerts.feed.known,
        now_ms=lambda: room.clock[0],
    )


ALL = range(METERS)
REGION = "REGION_SILENT/region/North"
ONE = "DEVICE_SILENT/device/m-0"


async def test_devices_that_are_heard_raise_nothing(watch: Watch) -> None:
    """Nor does one that was never heard."""
    watch.fleet.devices.append(CachedDevice("m-99", 1, "acc", "", "North", "UTC", MINUTE_MS, (), 0))
    await watch.minutes(10, heard=ALL)

    assert await watch.raised() == []


async def test_one_silent_device_is_one_alert_that_ends_when_it_is_heard(watch: Watch) -> None:
    """However long it lasts."""
    await watch.minutes(30, heard=ALL[1:])
    assert await watch.raised() == [(ONE, AlertState.RAISED)]

    await watch.minutes(3, heard=ALL)
    assert await watch.raised() == [(ONE, AlertState.RESOLVED)]


async def test_a_region_whose_devices_all_stop_is_one_alert(watch: Watch) -> None:
    """Not one for each of its devices; and it ends when they are heard."""
    assert watch.room.clock[0] == START_MS
    await watch.minutes(30)
    assert await watch.raised() == [(REGION, AlertState.RAISED)]

    await watch.minutes(3, heard=ALL)
    assert await watch.raised() == [(REGION, AlertState.RESOLVED)]


async def test_a_device_that_is_heard_once_and_silent_again_is_still_the_same_alert(database: Database) -> None:
    """Though it is silent again before its alert would have been over."""
    async with open_watch(database, hold_seconds=3600) as watch:
        await watch.minutes(10, heard=ALL[1:])
        for _ in range(2):
            await watch.minutes(1, heard=ALL)
            await watch.minutes(10, heard=ALL[1:])
        (alert,) = watch.room.alerts.feed.open.values()
        assert (alert.cause.key, alert.occurrence_count) == (ONE, 3)

        watch.room.pass_time(3_600_000)
        await watch.room.alerts.desk.resolve_gone()
        assert await watch.raised() == [(ONE, AlertState.RAISED)]


async def test_devices_that_stay_silent_when_their_region_is_back_count_alone(watch: Watch) -> None:
    """Three of ten."""
    await watch.minutes(10)
    await watch.minutes(3, heard=ALL[3:])

    assert await watch.raised() == [
        (ONE, AlertState.RAISED),
        ("DEVICE_SILENT/device/m-1", AlertState.RAISED),
        ("DEVICE_SILENT/device/m-2", AlertState.RAISED),
        (REGION, AlertState.RESOLVED),
    ]


async def test_devices_of_another_replica_are_its_own_to_tell_of(watch: Watch) -> None:
    """A region as a whole is anybody's."""
    watch.stream.others = {"m-0"}
    await watch.minutes(10, heard=ALL[1:])
    assert await watch.raised() == []

    await watch.minutes(10)
    assert await watch.raised() == [(REGION, AlertState.RAISED)]


async def test_a_device_that_is_serviced_may_be_silent(watch: Watch) -> None:
    """And so may one that is out of operation."""
    device = watch.fleet.devices[0]
    watch.fleet.devices[0] = CachedDevice(
        device.device_id, 1, "acc", "", "North", "UTC", MINUTE_MS, (), 0, is_active=False
    )
    await watch.minutes(10, heard=ALL[1:])

    assert await watch.raised() == []


async def test_a_device_that_somebody_has_given_up_is_not_raised_again(watch: Watch) -> None:
    """Until it was heard and is silent again."""
    await watch.minutes(10, heard=ALL[1:])
    (alert,) = watch.room.alerts.feed.open.values()
    await watch.room.alerts.parts().book.resolve(alert.alert_id, ("jo", "stolen"))  # type: ignore[arg-type]
    await watch.minutes(10, heard=ALL[1:])
    assert await watch.raised() == [(ONE, AlertState.RESOLVED)]

    await watch.minutes(2, heard=ALL)
    await watch.minutes(10, heard=ALL[1:])
    assert await watch.raised() == [(ONE, AlertState.RAISED), (ONE, AlertState.RESOLVED)]


async def test_a_device_that_somebody_has_given_up_is_not_raised_again_by_a_process_that_is_started(
    watch: Watch,
) -> None:
    """It finds in the store what it cannot remember."""
    await watch.minutes(10, heard=ALL[1:])
    (alert,) = watch.room.alerts.feed.open.values()
    await watch.room.alerts.parts().book.resolve(alert.alert_id, ("jo", "stolen"))  # type: ignore[arg-type]
    await watch.room.alerts.feed.look()
    watch.sweep = sweep_of(watch.room, watch.fleet, watch.picture, watch.stream)
    await watch.minutes(10, heard=ALL[1:])
    assert await watch.raised() == [(ONE, AlertState.RESOLVED)]

    await watch.minutes(3, heard=ALL)
    await watch.minutes(10, heard=ALL[1:])
    assert await watch.raised() == [(ONE, AlertState.RAISED), (ONE, AlertState.RESOLVED)]


async def test_a_region_that_is_silent_for_more_than_a_day_is_still_one_alert(watch: Watch) -> None:
    """And none of its devices has one of its own."""
    await watch.minutes(10)
    for _ in range(3):
        watch.room.pass_time(12 * 60 * MINUTE_MS)
        await watch.minutes(2)

    assert await watch.raised() == [(REGION, AlertState.RAISED)]


async def test_the_alert_of_a_device_that_has_moved_to_another_region_ends_when_it_is_heard(watch: Watch) -> None:
    """Wherever it is heard."""
    await watch.minutes(10, heard=ALL[1:])
    watch.fleet.devices[0] = replace(watch.fleet.devices[0], region="South")
    await watch.minutes(3, heard=ALL)

    assert await watch.raised() == [(ONE, AlertState.RESOLVED)]


async def test_after_the_mesh_itself_was_away_devices_have_time_to_be_heard(watch: Watch) -> None:
    """An hour in which nobody could be heard is no silence of theirs."""
    watch.room.pass_time(60 * MINUTE_MS)
    watch.sweep.blind()
    await watch.minutes(2)
    await watch.minutes(10, heard=ALL)

    assert await watch.raised() == []
