"""Watchers and the directory hear of every change, whichever gateway made it, and nothing is missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress

import pytest

from common.errors import ShuttingDown
from common.mongo import Database
from gateway import device_watch
from gateway.device import Device, DeviceKind
from gateway.device_directory import DeviceDirectory
from gateway.device_feed import DeviceFeed
from gateway.device_store import Changes, DeviceStore
from gateway.device_watch import DeviceWatches
from gateway.registry_looks import LONG_OVERLAP_MS, OVERLAP_MS
from gateway.vehicle_link import VehicleLink
from gateway.vehicle_linking import link_vehicle
from tests.integration.gateway.test_device_store import Clock
from tests.unit.gateway.readings import device

POLL_SECONDS = 0.02

Group = tuple[Sequence[Device], bool]


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
async def store(database: Database, clock: Clock) -> DeviceStore:
    """A registry with one meter and one vehicle."""
    store = DeviceStore(database, clock)
    await store.ensure_indexes()
    await store.create_many([device("m-0"), device("v-0", DeviceKind.VEHICLE)])
    return store


@pytest.fixture
def feed(store: DeviceStore, clock: Clock) -> DeviceFeed:
    """A feed that has not begun."""
    return DeviceFeed(store, clock, POLL_SECONDS)


@pytest.fixture
async def running(feed: DeviceFeed) -> AsyncIterator[DeviceFeed]:
    """A feed that polls."""
    task = asyncio.ensure_future(feed.run())
    yield feed
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Heard:
    """A listener that knows what it has heard, by id, and how often."""

    def __init__(self) -> None:
        """Has heard of nothing."""
        self.devices: dict[str, Device] = {}
        self.times: dict[str, int] = {}
        self._changed = asyncio.Event()

    def __call__(self, devices: Sequence[Device]) -> None:
        """Hears of devices."""
        for found in devices:
            self.devices[found.device_id] = found
            self.times[found.device_id] = self.times.get(found.device_id, 0) + 1
        self._changed.set()

    async def of(self, device_id: str, version: int = 1) -> Device:
        """The device, once it was heard of in this version."""
        async with asyncio.timeout(10):
            while device_id not in self.devices or self.devices[device_id].version < version:
                self._changed.clear()
                await self._changed.wait()
        return self.devices[device_id]


async def test_the_feed_tells_everything_and_then_every_change(
    store: DeviceStore, running: DeviceFeed, clock: Clock
) -> None:
    """A new device is heard of once, though the questions to the store overlap."""
    heard = Heard()
    with running.listening(heard):
        await heard.of("m-0")
        clock.now_ms += 1
        await store.create(device("m-1"))
        await heard.of("m-1")
        clock.now_ms += 1
        await store.create(device("m-2"))
        await heard.of("m-2")

    assert running.is_loaded
    assert heard.times["m-1"] == 1


async def test_a_stamp_of_a_slower_clock_is_not_missed(store: DeviceStore, running: DeviceFeed, clock: Clock) -> None:
    """Another gateway may be behind by as much as the questions overlap."""
    heard = Heard()
    slower = DeviceStore(store._database, lambda: clock.now_ms - OVERLAP_MS)  # the other gateway's view of this store
    with running.listening(heard):
        clock.now_ms += 60_000
        await store.create(device("m-now"))
        await heard.of("m-now")

        await slower.create(device("m-behind"))

        assert await heard.of("m-behind")


async def test_a_write_that_took_very_long_is_told_of_all_the_same(
    store: DeviceStore, running: DeviceFeed, clock: Clock
) -> None:
    """Its stamp is older than what each question reaches back to; a longer look finds it."""
    heard = Heard()
    slower = DeviceStore(store._database, lambda: clock.now_ms - LONG_OVERLAP_MS)
    with running.listening(heard):
        clock.now_ms += 2 * LONG_OVERLAP_MS
        await store.create(device("m-now"))
        await heard.of("m-now")

        await slower.create(device("m-slow"))
        assert await heard.of("m-slow")


async def test_a_large_registration_is_not_read_again_and_again(
    store: DeviceStore, running: DeviceFeed, clock: Clock
) -> None:
    """Once the questions no longer overlap it, an idle registry costs nothing, however much came last."""
    heard = Heard()
    asked = AskedStore(store)
    running._store = asked  # what the feed asks from now on is looked at on its way
    with running.listening(heard):
        clock.now_ms += 1
        await store.create_many([device(f"m-many-{number}") for number in range(50)])
        await heard.of("m-many-49")
        clock.now_ms += OVERLAP_MS + 1

        async with asyncio.timeout(10):
            await asked.found_none()


class AskedStore(DeviceStore):
    """The store, which says when a question for changes has found no device."""

    def __init__(self, store: DeviceStore) -> None:
        super().__init__(store._database, store._now_ms)
        self._found_none = asyncio.Event()

    async def changed_since(self, update_time_ms: int, told: Mapping[str, int]) -> Changes:
        """What the store says."""
        changes = await super().changed_since(update_time_ms, told)
        if not changes.versions:
            self._found_none.set()
        return changes

    async def found_none(self) -> None:
        """Returns when a question has found nothing."""
        await self._found_none.wait()


async def test_a_stamp_of_a_faster_clock_hides_nothing(store: DeviceStore, running: DeviceFeed, clock: Clock) -> None:
    """A device from the future does not keep the present from being heard."""
    heard = Heard()
    faster = DeviceStore(store._database, lambda: clock.now_ms + 3_600_000)  # the other gateway's view of this store
    with running.listening(heard):
        await faster.create(device("m-future"))
        await heard.of("m-future")

        await store.create(device("m-present"))

        assert await heard.of("m-present")


async def test_a_new_link_is_heard_on_both_sides(store: DeviceStore, running: DeviceFeed, clock: Clock) -> None:
    """Whoever follows the meter hears of it, and so does whoever follows the vehicle."""
    heard = Heard()
    with running.listening(heard):
        await heard.of("v-0")
        clock.now_ms += 1
        await link_vehicle(store, VehicleLink("v-0", "m-0", 1_000))

        meter, vehicle = await heard.of("m-0", version=2), await heard.of("v-0", version=2)

    assert meter.links == vehicle.links == (VehicleLink("v-0", "m-0", 1_000),)


async def test_the_directory_knows_what_another_gateway_registered(
    store: DeviceStore, running: DeviceFeed, clock: Clock
) -> None:
    """By the feed within a poll, and by look-up at once."""
    directory = DeviceDirectory(store, 8, asyncio.get_running_loop().time)
    heard = Heard()
    running.listen(directory.put)
    with running.listening(heard):
        clock.now_ms += 1
        await store.create_many([device("m-1"), device("m-2")])
        await directory.look_up(["m-1"])
        known_at_once = "m-1" in directory.known
        await heard.of("m-2")

    assert known_at_once
    assert {"m-1", "m-2"} <= set(directory.known)


async def collect(groups: AsyncIterator[Group], *device_ids: str) -> list[Group]:
    """Reads a watch until all of these have come."""
    collected: list[Group] = []
    missing = set(device_ids)
    async with asyncio.timeout(10):
        while missing:
            group = await anext(groups)
            collected.append(group)
            missing -= {found.device_id for found in group[0]}
    return collected


async def snapshot(groups: AsyncIterator[Group]) -> list[str]:
    """Reads a watch until its snapshot is complete, and returns the ids that came."""
    ids: list[str] = []
    async with asyncio.timeout(10):
        async for devices, is_complete in groups:
            ids += [found.device_id for found in devices]
            if is_complete:
                return ids
    pytest.fail("the watch ended")


async def test_a_watch_begins_with_everything(store: DeviceStore, running: DeviceFeed, clock: Clock) -> None:
    """The snapshot is marked complete once all of it was sent, and stays so while changes follow."""
    async with aclosing(DeviceWatches(store, running).watch()) as groups:
        ids = await snapshot(groups)
        clock.now_ms += 1
        await store.create(device("m-1"))
        after = await collect(groups, "m-1")

    assert {"m-0", "v-0"} <= set(ids)
    assert all(is_complete for _, is_complete in after)


async def test_a_watch_of_an_empty_registry_is_complete_at_once(database: Database, clock: Clock) -> None:
    """One group without devices says so."""
    store = DeviceStore(database, clock)
    async with aclosing(DeviceWatches(store, DeviceFeed(store, clock)).watch()) as groups:
        assert await anext(groups) == ((), True)


async def test_a_watcher_that_was_too_slow_gets_everything_anew(
    store: DeviceStore, running: DeviceFeed, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it could not take is let go, so that memory is bounded, and sent again in a second snapshot."""
    monkeypatch.setattr(device_watch, "WAITING_DEVICES_MAXIMUM", 5)
    heard = Heard()
    async with aclosing(DeviceWatches(store, running).watch()) as groups:
        await snapshot(groups)
        with running.listening(heard):
            for number in range(10):
                clock.now_ms += 1
                await store.create(device(f"late-{number}"))
                await heard.of(f"late-{number}")

        groups_after = await collect(groups, *(f"late-{number}" for number in range(10)))

    assert "m-0" in {found.device_id for devices, _ in groups_after for found in devices}
    assert all(is_complete for _, is_complete in groups_after)


async def test_a_watch_ends_when_the_gateway_stops(store: DeviceStore, running: DeviceFeed) -> None:
    """A watcher that waits is told to connect again."""
    watches = DeviceWatches(store, running)
    async with aclosing(watches.watch()) as groups:
        await snapshot(groups)
        waiting = asyncio.ensure_future(collect(groups, "never"))

        await watches.close()

        with pytest.raises(ShuttingDown):
            await asyncio.wait_for(waiting, 10)
