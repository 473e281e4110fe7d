"""Each charging session is judged by itself and by the charger that it was at, while it lasts and when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio
from energy.registry.v1 import device_pb2

from analytics.alerts.alert import Alert, Cause, Sighting
from analytics.alerts.alert_rule import AlertRules
from analytics.detection.efficiency_sweep import EfficiencySweep
from analytics.performance.performance import Performance, efficiency
from analytics.stream.live_picture import LivePicture
from analytics.stream.observation import METER, VEHICLE, Observation
from analytics.usage.measured_energy import Window
from common.cached_device import CachedDevice, VehicleCharge
from common.errors import DependencyUnavailable

MINUTE_MS = 60_000
NOON_MS = 1_750_000_000_000 // 86_400_000 * 86_400_000
KW_AC = 12.0
GOOD, LEAKING = 0.9, 0.6
BEFORE = 1
FIRST_MS = NOON_MS + BEFORE * MINUTE_MS


def device(device_id: str, kind: device_pb2.DeviceKind.ValueType) -> CachedDevice:
    """A device that measures every minute."""
    return CachedDevice(device_id, kind, "acc", "", "North", "UTC", MINUTE_MS, (), 0)


@dataclass
class World:
    """A vehicle that charges, and what billing knows of it: by the minute, what was taken and what arrived."""

    links: list[VehicleCharge] = field(default_factory=lambda: [VehicleCharge("m-good", 0, None)])
    ratio: dict[int, float] = field(default_factory=dict)
    asked: list[Window] = field(default_factory=list)
    said: list[tuple[str, float | None]] = field(default_factory=list)
    known: dict[str, Alert] = field(default_factory=dict)
    others: Collection[str] = ()
    is_billing_away: bool = False
    minute: int = 0

    def __post_init__(self) -> None:
        """Nothing charges yet."""
        self.devices = {"v-1": device("v-1", device_pb2.DEVICE_KIND_VEHICLE)}
        self.devices |= {name: device(name, device_pb2.DEVICE_KIND_METER) for name in ("m-good", "m-leaking")}
        self.picture = LivePicture()
        world: Any = self
        find: Callable[[str], CachedDevice | None] = self.devices.get
        self.sweep = EfficiencySweep(
            lambda: list(self.devices.values()),
            self.picture,
            world,
            world,
            links=lambda _: self.links,
            find_device=find,
            unseen_among=self.unseen_among,
            rules=AlertRules,
            known_alerts=lambda: self.known,
            now_ms=lambda: NOON_MS + self.minute * MINUTE_MS,
        )

    async def pass_minutes(self, count: int, ratio: float | None, state: str = "CHARGING") -> None:
        """The vehicle charges with an efficiency, or does not; every minute it tells, and the sweep looks."""
        for _ in range(count):
            start_ms = NOON_MS + self.minute * MINUTE_MS
            power_kw = None if ratio is None else KW_AC * ratio
            if ratio is not None:
                self.ratio[start_ms] = ratio
            told = "UNKNOWN" if state == "UNKNOWN" else state if ratio is not None else "AVAILABLE"
            self.minute += 1
            now_ms = start_ms + MINUTE_MS
            self.picture.apply([Observation("v-1", VEHICLE, start_ms, now_ms, 0, now_ms, told, power_kw, 0, 0)])
            self.picture.apply([Observation("m-good", METER, start_ms, now_ms, 0, now_ms, "REPORTING", KW_AC, 0, 0)])
            await self.sweep.sweep()

    async def of(self, device_id: str, window: Window, time_remaining_seconds: float | None) -> Performance:
        """What billing knows of a window."""
        assert (device_id, time_remaining_seconds) == ("v-1", 10.0)
        if self.is_billing_away:
            raise ExceptionGroup("asked", [DependencyUnavailable("billing")])
        self.asked.append(window)
        within = [ratio for start, ratio in self.ratio.items() if window.start_ms <= start < window.end_ms]
        ac = round(1e6 * KW_AC / 60) * len(within)
        dc = sum(round(1e6 * KW_AC / 60 * ratio) for ratio in within)
        return Performance(window, ("m",), ac, dc, efficiency(dc, ac), None, len(within))

    def unseen_among(self, device_ids: Iterable[str]) -> Collection[str]:
        """Those of another replica."""
        return set(device_ids) & set(self.others)

    def seen(self, sighting: Sighting, *, is_new: bool) -> None:
        """Written down."""
        self.said.append((f"{sighting.cause.type} {'new' if is_new else 'again'}", sighting.measured))

    def gone(self, cause: Cause) -> None:
        """Written down."""
        self.said.append((f"{cause.type} gone", None))


@pytest_asyncio.fixture
async def world() -> World:
    """Some minutes after noon, in which nothing charged."""
    opened = World()
    await opened.pass_minutes(BEFORE, None)
    return opened


async def test_a_short_session_that_loses_too_much_is_seen_when_it_has_ended(world: World) -> None:
    """Five minutes are a kilowatt-hour."""
    await world.pass_minutes(5, LEAKING)
    await world.pass_minutes(10, None)

    assert world.said == [("EFFICIENCY_LOW new", 60.0)]
    assert world.asked == [Window(FIRST_MS, FIRST_MS + 5 * MINUTE_MS)]


async def test_a_session_that_lasts_is_seen_before_it_ends(world: World) -> None:
    """It goes on with each look, and with the last one."""
    await world.pass_minutes(40, LEAKING)
    assert world.said == [("EFFICIENCY_LOW new", 60.0), ("EFFICIENCY_LOW again", 60.0)]

    await world.pass_minutes(10, None)
    assert world.said[2:] == [("EFFICIENCY_LOW again", 60.0)]


async def test_good_sessions_before_do_not_hide_a_bad_one(world: World) -> None:
    """Nor does a bad one spoil those after it."""
    await world.pass_minutes(30, GOOD)
    await world.pass_minutes(10, None)
    await world.pass_minutes(6, LEAKING)
    await world.pass_minutes(10, None)
    assert world.said == [("EFFICIENCY_LOW new", 60.0)]

    await world.pass_minutes(6, GOOD)
    await world.pass_minutes(10, None)
    assert world.said[1:] == [("EFFICIENCY_LOW gone", None)]


async def test_a_vehicle_that_tells_no_state_charges_while_it_takes_power(world: World) -> None:
    """Its sessions are judged as all others."""
    await world.pass_minutes(6, LEAKING, "UNKNOWN")
    await world.pass_minutes(10, None, "UNKNOWN")

    assert world.said == [("EFFICIENCY_LOW new", 60.0)]


async def test_a_vehicle_that_falls_silent_has_its_session_judged_up_to_then(world: World) -> None:
    """It drove out of reach."""
    await world.pass_minutes(6, LEAKING)
    for _ in range(30):
        world.minute += 1
        await world.sweep.sweep()

    assert world.said[:1] == [("EFFICIENCY_LOW new", 60.0)]
    assert world.asked[-1].end_ms <= FIRST_MS + 30 * MINUTE_MS


async def test_two_chargers_of_one_session_are_judged_each_by_itself(world: World) -> None:
    """The vehicle is moved from one to the other within the settling of its readings."""
    moved_ms = FIRST_MS + 8 * MINUTE_MS
    world.links = [VehicleCharge("m-leaking", 0, moved_ms), VehicleCharge("m-good", moved_ms, None)]
    await world.pass_minutes(8, LEAKING)
    await world.pass_minutes(7, GOOD)
    await world.pass_minutes(10, None)

    assert world.asked == [Window(FIRST_MS, moved_ms), Window(moved_ms, moved_ms + 7 * MINUTE_MS)]
    assert world.said == [("EFFICIENCY_LOW new", 60.0), ("EFFICIENCY_LOW gone", None)]


async def test_more_than_was_taken_cannot_have_arrived(world: World) -> None:
    """That is an error of the data, and says nothing about what is lost."""
    await world.pass_minutes(6, 1.2)
    await world.pass_minutes(10, None)

    assert world.said == [("EFFICIENCY_IMPOSSIBLE new", 120.0)]


async def test_a_session_is_judged_when_billing_is_back(world: World) -> None:
    """It ended while billing was away."""
    await world.pass_minutes(6, LEAKING)
    world.is_billing_away = True
    await world.pass_minutes(10, None)
    assert world.said == []

    world.is_billing_away = False
    await world.pass_minutes(1, None)
    assert world.said == [("EFFICIENCY_LOW new", 60.0)]


async def test_a_vehicle_of_another_replica_and_one_without_a_charger_are_not_asked_about(world: World) -> None:
    """Nothing could be said."""
    world.others = {"v-1"}
    await world.pass_minutes(20, LEAKING)
    await world.pass_minutes(10, None)
    world.others = ()
    world.links = []
    await world.pass_minutes(20, LEAKING)
    await world.pass_minutes(10, None)

    assert (world.asked, world.said) == ([], [])


async def test_a_vehicle_that_is_linked_to_its_charger_while_it_charges_is_judged_then(world: World) -> None:
    """At the next look, for the time from the link on."""
    links, world.links = world.links, []
    await world.pass_minutes(20, LEAKING)
    assert world.asked == []

    world.links = links
    await world.pass_minutes(1, LEAKING)
    assert world.said == [("EFFICIENCY_LOW new", 60.0)]
