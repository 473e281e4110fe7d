"""What is let go of for its age, on a real store: alerts that are over, and quarter-hours, of which the hours stay."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from analytics.alerts.alert_book import Word
from analytics.alerts.alert_store import NEWS
from analytics.config import AnalyticsConfig
from analytics.retention_sweep import RetentionSweep, whole_hours
from analytics.window_wiring import window_stores
from analytics.windows.region_hour_store import RegionHourStore
from analytics.windows.region_load_report import RegionLoadReport
from analytics.windows.region_load_request import LoadQuestion
from analytics.windows.region_window import HOUR_MS, WINDOW_MS, RegionWindow, WindowSums, hours_of
from analytics.windows.region_window_store import RegionWindowStore
from common.event_outbox import PENDING
from common.mongo import Database
from tests.integration.analytics.alert_room import HOT, START_MS, Room, open_room

DAY_MS = 86_400_000
NOON_MS = 1_767_268_800_000
TOLD = {"$unset": {PENDING: "", NEWS: ""}}


def sweep_of(room: Room, database: Database) -> RetentionSweep:
    """A sweep by the room's clock that keeps alerts for ten days and quarter-hours for twenty."""
    return RetentionSweep(
        room.alerts.store,
        RegionWindowStore(database),
        RegionHourStore(database),
        CollectorRegistry(),
        alerts_kept_ms=10 * DAY_MS,
        windows_kept_ms=20 * DAY_MS,
        now_ms=lambda: room.clock[0],
    )


def window(region: str, start_ms: int) -> RegionWindow:
    """A quarter-hour whose sums tell it from the others."""
    return RegionWindow(
        region, start_ms, 1, WindowSums(start_ms // WINDOW_MS, 0, 1, WINDOW_MS), 2, None, NOON_MS, NOON_MS
    )


async def alert_ids(database: Database) -> set[Any]:
    """The alerts that are there."""
    return {found["_id"] async for found in database["alerts"].find()}


async def test_alerts_go_some_time_after_they_are_over(database: Database) -> None:
    """Those that are open stay, however old; as do those of which somebody is still to be told."""
    async with open_room(database) as room:
        sweep = sweep_of(room, database)
        await room.see()
        await room.lose()
        (over,) = await alert_ids(database)
        await room.see()
        (still_open,) = await alert_ids(database) - {over}
        room.pass_time(11 * DAY_MS)
        await sweep.sweep()
        assert await alert_ids(database) == {over, still_open}

        await database["alerts"].update_many({}, TOLD)
        await sweep.sweep()

        assert await alert_ids(database) == {still_open}


async def test_alerts_that_were_called_over_stay_while_their_cause_is_there(database: Database) -> None:
    """Else it would be raised anew."""
    async with open_room(database) as room:
        sweep = sweep_of(room, database)
        await room.see()
        (alert_id,) = await alert_ids(database)
        alert = await room.alerts.store.find(alert_id)
        assert alert is not None
        await room.alerts.parts().book.resolve(alert_id, Word("jo", "seen to"))
        await database["alerts"].update_many({}, TOLD)
        room.pass_time(11 * DAY_MS)
        await sweep.sweep()
        assert await alert_ids(database) == {alert_id}

        await room.lose(HOT)
        room.pass_time(11 * DAY_MS)
        await sweep.sweep()

        assert await alert_ids(database) == set()


async def test_of_old_quarter_hours_the_hours_stay_and_are_told_as_before(database: Database) -> None:
    """The same answer by the hour; by the quarter there is none any more, but of what is not old."""
    async with open_room(database) as room:
        stores = window_stores(database)
        await stores.prepare()
        first_ms = (START_MS // HOUR_MS - 30) * HOUR_MS
        starts_ms = range(first_ms, first_ms + 5 * HOUR_MS - WINDOW_MS, WINDOW_MS)
        for start_ms in starts_ms:
            for region in ("North", "South"):
                await stores.windows.close_first(window(region, start_ms))
        await database["region_windows"].update_many({}, TOLD)
        nothing: Any = None
        report = RegionLoadReport(nothing, stores, now_ms=lambda: room.clock[0])
        hourly = LoadQuestion("North", first_ms, first_ms + 9 * HOUR_MS, HOUR_MS)
        before = await report.closed(hourly, first_ms, 10)
        room.clock[0] = first_ms + 3 * HOUR_MS + 20 * DAY_MS + WINDOW_MS

        await sweep_of(room, database).sweep()

        assert len(before[0]) == 5
        assert await report.closed(hourly, first_ms, 10) == before
        assert await report.closed(hourly, first_ms, 2) == (before[0][:2], before[0][1].end_ms)
        assert await report.closed(hourly, before[0][1].end_ms, 2) == (before[0][2:4], before[0][3].end_ms)
        quarters = await stores.windows.between("North", first_ms, first_ms + 9 * HOUR_MS, 100)
        assert [one.start_ms for one in quarters] == [at_ms for at_ms in starts_ms if at_ms >= first_ms + 3 * HOUR_MS]


async def test_an_hour_is_of_all_its_quarters_whoever_is_killed_when(database: Database) -> None:
    """Of one that was kept before its quarters went nothing is made again of what is left of them."""
    async with open_room(database) as room:
        stores = window_stores(database)
        await stores.prepare()
        first_ms = (START_MS // HOUR_MS - 30) * HOUR_MS
        quarters = [window("North", first_ms + number * WINDOW_MS) for number in range(4)]
        await stores.hours.keep(hours_of(quarters))
        for one in quarters[2:]:
            await stores.windows.close_first(one)
        await database["region_windows"].update_many({}, TOLD)
        room.clock[0] = first_ms + HOUR_MS + 20 * DAY_MS

        await sweep_of(room, database).sweep()

        assert await stores.hours.between("North", first_ms, first_ms + HOUR_MS, 9) == hours_of(quarters)
        assert await database["region_windows"].count_documents({}) == 0


def test_an_hour_that_may_not_be_whole_waits_for_the_next_look() -> None:
    """Where so many are old that they are taken piece by piece."""
    windows = [window("North", NOON_MS + number * WINDOW_MS) for number in range(6)]

    assert whole_hours(windows, limit=6) == windows[:4]
    assert whole_hours(windows, limit=7) == windows


def test_quarter_hours_are_kept_at_least_while_late_readings_change_them() -> None:
    """Else one would be closed again after it was let go."""
    AnalyticsConfig(region_window_retention_days=366, window_correction_days=366)

    with pytest.raises(ValidationError, match="WINDOW_CORRECTION_DAYS"):
        AnalyticsConfig(region_window_retention_days=365, window_correction_days=366)
