"""Whoever watches for overload judges by the newest windows of a region, whichever of its windows has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from analytics.alerts.alert import Alert, AlertType, Cause, Severity, Sighting
from analytics.alerts.alert_rule import AlertRule, AlertRules
from analytics.detection.region_overload import OverloadWatch
from analytics.windows.region_window import WINDOW_MS, RegionWindow
from tests.unit.analytics.test_region_overload import windows

NOON_MS = 1_750_000_500_000 // WINDOW_MS * WINDOW_MS
LATENESS_MS = 60_000
CAUSE = Cause(AlertType.REGION_OVERLOAD, "North")


@dataclass
class World:
    """The closed windows of the north, the clock, and what the watch says."""

    closed: dict[int, RegionWindow] = field(default_factory=dict)
    now_ms: int = NOON_MS
    rules: AlertRules = field(default_factory=AlertRules)
    said: list[tuple[str, int | None]] = field(default_factory=list)
    known: dict[str, Alert] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is closed yet."""
        world: Any = self
        self.watch = OverloadWatch(
            world,
            world,
            world,
            rules=lambda: self.rules,
            known_alerts=lambda: self.known,
            now_ms=lambda: self.now_ms,
        )

    def close(self, first_ms: int, *percents: float | None) -> RegionWindow:
        """Windows in a row are closed, or closed again; returns the last."""
        for window in windows(*percents):
            moved = replace(window, start_ms=first_ms + window.start_ms)
            self.closed[moved.start_ms] = moved
        return moved

    async def close_now(self, percent: float | None) -> None:
        """The window that is over by now is closed in time, and looked at."""
        self.close(self.now_ms - WINDOW_MS, percent)
        self.now_ms += LATENESS_MS
        await self.watch.look_at("North")
        self.now_ms += WINDOW_MS - LATENESS_MS

    async def between(self, region: str, start_ms: int, end_ms: int, limit: int) -> Sequence[RegionWindow]:
        """Those of a span."""
        assert region == "North"
        return [self.closed[start] for start in sorted(self.closed) if start_ms <= start < end_ms][:limit]

    def seen(self, sighting: Sighting, *, is_new: bool) -> None:
        """Written down."""
        assert (sighting.cause, sighting.severity) == (CAUSE, Severity.HIGH)
        self.said.append(("new" if is_new else "again", (sighting.seen_ms - NOON_MS) // WINDOW_MS))

    def gone(self, cause: Cause) -> None:
        """Written down."""
        assert cause == CAUSE
        self.said.append(("gone", None))


@pytest.fixture
def world() -> World:
    """Noon."""
    return World()


async def test_an_overload_is_seen_when_its_second_window_is_closed_and_gone_with_a_low_one(world: World) -> None:
    """In between it goes on, and is told again with every window."""
    for percent in (95, 96, 97, 88, 50):
        await world.close_now(percent)

    assert world.said == [("new", 0), ("again", 1), ("gone", None)]


async def test_a_correction_of_this_morning_does_not_end_an_overload(world: World) -> None:
    """Nor does the next window raise it a second time."""
    await world.close_now(95)
    await world.close_now(96)
    world.close(NOON_MS - 16 * WINDOW_MS, 20)
    await world.watch.look_at("North")
    await world.close_now(97)

    assert world.said == [("new", 0), ("again", 0), ("again", 1)]


async def test_a_correction_of_one_of_the_newest_windows_counts(world: World) -> None:
    """What was low was overload after all."""
    await world.close_now(60)
    await world.close_now(96)
    world.close(NOON_MS - WINDOW_MS, 95)
    await world.watch.look_at("North")

    assert world.said == [("new", 0)]


async def test_a_window_in_which_no_meter_was_heard_says_nothing(world: World) -> None:
    """What was before it goes on, and a correction of that counts, as long as it is of now."""
    for percent in (95, 96, None):
        await world.close_now(percent)
    assert set(world.said) == {("new", 0), ("again", 0)}

    world.close(NOON_MS, 50)
    await world.watch.look_at("North")
    assert world.said[-1] == ("gone", None)


@pytest.mark.parametrize(("age_ms", "is_said"), [(2 * WINDOW_MS, True), (2 * WINDOW_MS + 1, False)])
async def test_windows_that_are_closed_long_afterwards_are_history(world: World, age_ms: int, is_said: bool) -> None:
    """As when billing was away for a day, and all of it is closed at once."""
    last = world.close(NOON_MS - 96 * WINDOW_MS, *([95.0] * 8))
    world.now_ms = last.end_ms + age_ms
    await world.watch.look_at("North")

    assert bool(world.said) is is_said


async def test_a_rule_can_ask_for_more_windows_in_a_row(world: World) -> None:
    """As many as it says."""
    world.rules = AlertRules([AlertRule("r", CAUSE.type, {"consecutive_windows": 3.0})])
    for _ in range(3):
        await world.close_now(95)

    assert world.said == [("new", 1)]


async def test_a_region_that_a_rule_switches_off_is_new_when_it_is_switched_on(world: World) -> None:
    """Meanwhile it is not looked at."""
    await world.close_now(95)
    world.rules = AlertRules([AlertRule("off", CAUSE.type, {}, is_enabled=False)])
    await world.close_now(95)
    assert world.said == []

    world.rules = AlertRules()
    await world.close_now(95)
    assert world.said == [("new", 1)]
