"""Windows of regions over a real store: closed once, whoever does it, and corrected when something came late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
import pytest_asyncio

from analytics.due_window import QUIET_MS, DueWindow
from analytics.region_capacity import RegionCapacity
from analytics.region_window import WINDOW_MS, LoadRange, RegionWindow, WindowSums
from analytics.window_closer import WindowCloser
from common.event_outbox import PENDING
from common.instants import to_ms
from common.mongo import Database
from tests.integration.analytics.closing import (
    LATENESS_MS,
    METER,
    MINUTE_MS,
    NOON_MS,
    STORAGE,
    VEHICLE,
    WINDOW_START_MS,
    Closing,
    closing_over,
    value,
)
from tests.wire.analytics.peers import Measured, Registry

CLOSABLE_MS = NOON_MS + LATENESS_MS
LATE_MS = CLOSABLE_MS + 500
QUIET_THROUGH_MS = LATE_MS + QUIET_MS + 1
DUE = DueWindow("North", WINDOW_START_MS, LATE_MS, LATE_MS)


@pytest_asyncio.fixture(loop_scope="session")
async def closing(database: Database) -> AsyncIterator[Closing]:
    """Two meters in the north, one of them silent, with a vehicle and a battery, and a silent meter in the south."""
    devices = Registry()  # type: ignore[abstract]
    for device_id, kind, region in (
        ("meter-1", METER, "North"),
        ("meter-2", METER, "North"),
        ("vehicle-1", VEHICLE, "North"),
        ("storage-1", STORAGE, "North"),
        ("meter-3", METER, "South"),
        ("vehicle-2", VEHICLE, "West"),
    ):
        devices.add(device_id, kind, region=region)
    async with closing_over(database, devices) as opened:
        opened.whole_quarter("meter-1", 1_000_000)
        opened.measured("meter-1", Measured(NOON_MS, import_milliwatt_hours=7))
        opened.measured("vehicle-1", Measured(WINDOW_START_MS, delivered_milliwatt_hours=5_000_000))
        opened.billing.complete_through_ms = CLOSABLE_MS
        yield opened


async def all_closed(closer: WindowCloser) -> None:
    """Works until there is nothing more to do."""
    await closer.close_newest()
    while await closer.catch_up():
        pass


async def test_a_window_is_closed_when_everything_by_its_lateness_is_on_record(closing: Closing) -> None:
    """Not a moment before, when only the one before it is, and in every region that has a meter."""
    closing.billing.complete_through_ms = CLOSABLE_MS - 1
    closer = closing.closer()
    await all_closed(closer)
    assert await closing.stores.windows.find("North", WINDOW_START_MS) is None
    assert value(closing.metrics, "region_windows_closed_total", region="North") == 1

    closing.billing.complete_through_ms = CLOSABLE_MS
    await all_closed(closer)

    assert await closing.stores.windows.closed_regions(WINDOW_START_MS) == {"North", "South"}
    assert value(closing.metrics, "region_windows_closed_total", region="North") == 2


async def test_a_window_is_the_sum_of_the_meters_of_its_region(closing: Closing, database: Database) -> None:
    """What a vehicle took has gone through a meter; what starts at its end is of the next; the event is marked."""
    await all_closed(closing.closer())

    assert await closing.stores.windows.find("North", WINDOW_START_MS) == RegionWindow(
        region="North",
        start_ms=WINDOW_START_MS,
        version=1,
        sums=WindowSums(15_000_000, 0, 1, WINDOW_MS),
        meter_count=2,
        capacity_milliwatts=None,
        complete_through_ms=CLOSABLE_MS,
        close_ms=NOON_MS + 2 * MINUTE_MS,
        load_range=LoadRange(60_000_000, 60_000_000),
    )
    assert await database["region_windows"].count_documents({PENDING: 1}) == 2 == closing.told


async def test_a_region_of_which_nothing_was_heard_is_closed_with_nothing_known(closing: Closing) -> None:
    """Its meters are counted, and none of them reported."""
    await all_closed(closing.closer())

    window = await closing.stores.windows.find("South", WINDOW_START_MS)

    assert window is not None
    assert (window.meter_count, window.sums, window.load_percent) == (1, WindowSums(), None)


async def test_a_meter_that_tells_only_its_power_has_a_load(closing: Closing) -> None:
    """60 kW for two minutes, and then 30 kW given for one."""
    powers = [(0, 60.0), (1, 60.0), (2, -30.0)]
    for minute, power_kw in powers:
        closing.measured("meter-3", Measured(WINDOW_START_MS + minute * MINUTE_MS, power_kw=power_kw))

    await all_closed(closing.closer())

    window = await closing.stores.windows.find("South", WINDOW_START_MS)
    assert window is not None
    assert window.sums == WindowSums(1_500_000, 0, 1, 3 * MINUTE_MS)


async def test_several_replicas_at_once_make_one_version_and_one_event(closing: Closing, database: Database) -> None:
    """Whoever comes second has nothing to tell."""
    closers = [closing.closer(name) for name in ("one", "two", "three")]

    await asyncio.gather(*map(all_closed, closers))

    assert closing.told == 2
    versions = [document["version"] async for document in database["region_windows"].find()]
    assert versions == [1, 1]


async def test_many_regions_are_summed_up_a_few_at_a_time(closing: Closing) -> None:
    """So that billing has time for others."""
    await all_closed(closing.closer(concurrency=1))

    assert closing.billing.in_flight_maximum == 1


async def test_what_was_missed_is_caught_up_newest_first_and_not_for_ever(closing: Closing) -> None:
    """Three windows back; one that is closed already is left alone."""
    await all_closed(closing.closer())
    closing.billing.totalled.clear()
    closing.billing.complete_through_ms = CLOSABLE_MS + WINDOW_MS

    await all_closed(closing.closer("restarted", catch_up_ms=4 * WINDOW_MS))

    asked = [(to_ms(one.start_time), to_ms(one.end_time)) for one in closing.billing.totalled]
    newest, missed = (NOON_MS, NOON_MS + WINDOW_MS), (NOON_MS - 3 * WINDOW_MS, NOON_MS - WINDOW_MS)
    # Of each region; those of one hour together.
    assert asked == [newest, newest, missed, missed]
    for start_ms in (NOON_MS, *range(*missed, WINDOW_MS)):
        assert await closing.stores.windows.closed_regions(start_ms) == {"North", "South"}


async def test_a_downtime_leaves_no_window_open_however_long_it_was(closing: Closing) -> None:
    """Though nothing so old is caught up where nobody has said through when all were closed."""
    await all_closed(closing.closer())
    closing.billing.complete_through_ms = CLOSABLE_MS + 9 * WINDOW_MS

    await all_closed(closing.closer("restarted", kept_ms=7 * WINDOW_MS))

    for start_ms in range(WINDOW_START_MS, NOON_MS + 9 * WINDOW_MS, WINDOW_MS):
        # As far back as late readings count at all.
        is_closed = start_ms == WINDOW_START_MS or start_ms >= NOON_MS + 2 * WINDOW_MS
        regions = {"North", "South"} if is_closed else set()
        assert await closing.stores.windows.closed_regions(start_ms) == regions
    assert await closing.stores.progress.closed_through_ms() == NOON_MS + 9 * WINDOW_MS


async def test_it_is_on_record_through_when_all_were_closed_and_not_further(closing: Closing) -> None:
    """One that cannot be closed holds it back, over restarts."""
    closing.billing.away_devices = {"meter-1"}
    await all_closed(closing.closer(catch_up_ms=2 * WINDOW_MS))
    assert await closing.stores.progress.closed_through_ms() == WINDOW_START_MS - WINDOW_MS

    closing.billing.away_devices = set()
    await all_closed(closing.closer("restarted", kept_ms=9 * WINDOW_MS))

    assert await closing.stores.windows.closed_regions(WINDOW_START_MS - WINDOW_MS) == {"North", "South"}
    assert await closing.stores.progress.closed_through_ms() == NOON_MS


async def test_a_region_that_cannot_be_summed_up_holds_up_no_other(closing: Closing) -> None:
    """It is tried again; windows before it are closed meanwhile."""
    closing.billing.away_devices = {"meter-1"}
    closer = closing.closer(catch_up_ms=2 * WINDOW_MS)
    await all_closed(closer)
    before_ms = WINDOW_START_MS - WINDOW_MS
    assert [await closing.stores.windows.closed_regions(at_ms) for at_ms in (WINDOW_START_MS, before_ms)] == [
        {"South"},
        {"South"},
    ]

    closing.billing.away_devices = set()
    await all_closed(closer)

    assert await closing.stores.windows.closed_regions(WINDOW_START_MS) == {"North", "South"}
    assert value(closing.metrics, "region_window_failures_total") == 2


async def test_a_billing_that_is_away_is_asked_again(closing: Closing) -> None:
    """What could not be asked stays open."""
    closing.billing.failures = [grpc.StatusCode.INTERNAL]
    closer = closing.closer()
    with pytest.raises(grpc.aio.AioRpcError):
        await closer.close_newest()

    await all_closed(closer)

    assert await closing.stores.windows.closed_regions(WINDOW_START_MS) == {"North", "South"}


async def test_while_billing_does_not_know_how_complete_it_is_nothing_is_closed(closing: Closing) -> None:
    """Unknown is not now."""
    closing.billing.complete_through_ms = None

    closer = closing.closer()

    assert not await closer.close_newest()
    assert not await closer.catch_up()

    assert closing.billing.totalled == []


async def test_the_capacity_is_the_one_that_was_valid_at_the_end_of_the_window(closing: Closing) -> None:
    """One that begins later is of later windows, and one that is set later changes nothing that is closed."""
    for start_ms, megawatts in ((WINDOW_START_MS, 1), (NOON_MS, 2), (NOON_MS + 1, 3)):
        await closing.stores.capacities.set(RegionCapacity("North", megawatts * 10**9, start_ms, "jo", NOON_MS))
    closer = closing.closer()
    await all_closed(closer)
    await closing.stores.capacities.set(RegionCapacity("North", 9 * 10**9, NOON_MS - 1, "jo", NOON_MS))
    await all_closed(closer)

    window = await closing.stores.windows.find("North", WINDOW_START_MS)

    assert window is not None
    assert (window.capacity_milliwatts, window.load_percent) == (2 * 10**9, 3.0)


async def test_late_readings_make_the_next_version_once_they_are_on_record(closing: Closing) -> None:
    """The mark waits until billing is complete past their receipt and it has been quiet."""
    closer = closing.closer()
    await all_closed(closer)
    closing.whole_quarter("meter-2", 1)
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS - 1
    await all_closed(closer)
    assert (closing.told, await closing.stores.due.count()) == (2, 1)

    closing.billing.complete_through_ms = QUIET_THROUGH_MS
    await all_closed(closer)

    window = await closing.stores.windows.find("North", WINDOW_START_MS)
    assert window is not None
    assert (window.version, window.sums) == (2, WindowSums(15_000_015, 0, 2, 2 * WINDOW_MS))
    assert (window.complete_through_ms, closing.told) == (QUIET_THROUGH_MS, 3)
    assert await closing.stores.due.count() == 0
    assert value(closing.metrics, "region_window_corrections_total", region="North") == 1


async def test_a_new_version_is_marked_to_be_told_though_the_one_before_was(
    closing: Closing, database: Database
) -> None:
    """In the same write."""
    await all_closed(closing.closer())
    await database["region_windows"].update_many({}, {"$unset": {PENDING: ""}})
    closing.whole_quarter("meter-2", 1)
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closing.closer())

    pending = [document["_id"] async for document in database["region_windows"].find({PENDING: 1})]
    assert pending == [f"North@{WINDOW_START_MS}"]


async def test_late_readings_that_change_no_sum_make_no_version(closing: Closing) -> None:
    """Duplicates, for example; the mark is done."""
    await all_closed(closing.closer())
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closing.closer())

    window = await closing.stores.windows.find("North", WINDOW_START_MS)
    assert window is not None
    assert (window.version, closing.told) == (1, 2)
    assert await closing.stores.due.count() == 0


async def test_several_replicas_that_correct_at_once_make_one_version(closing: Closing) -> None:
    """Each compares with the version it has looked at."""
    await all_closed(closing.closer())
    closing.whole_quarter("meter-2", 1)
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS
    closers = [closing.closer(name) for name in ("one", "two", "three")]

    await asyncio.gather(*map(all_closed, closers))

    window = await closing.stores.windows.find("North", WINDOW_START_MS)
    assert window is not None
    assert (window.version, closing.told) == (2, 3)


async def test_the_newest_window_waits_for_nothing_that_has_time(closing: Closing) -> None:
    """While what came late rests for long after its first few."""
    await all_closed(closing.closer())
    starts_ms = [WINDOW_START_MS - number * WINDOW_MS for number in range(1, 9)]
    await closing.stores.due.mark([DUE._replace(start_ms=start_ms) for start_ms in starts_ms])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS
    closer = closing.closer(concurrency=1, rest_per_work=1e9)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        run = group.create_task(closer.run())
        while await closing.stores.due.count() == len(starts_ms):  # noqa: ASYNC110 - a store has no event
            await asyncio.sleep(0.01)

        closing.billing.complete_through_ms = CLOSABLE_MS + WINDOW_MS
        wanted = {"North", "South"}
        while await closing.stores.windows.closed_regions(NOON_MS) != wanted:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.01)
        # Those of one hour were summed up together.
        assert await closing.stores.due.count() == len(starts_ms) - 3
        run.cancel()


async def test_a_version_that_is_not_of_the_one_at_rest_is_not_kept(closing: Closing) -> None:
    """Neither a first one beside another, nor one after a version that is not there."""
    await all_closed(closing.closer())
    window = await closing.stores.windows.find("North", WINDOW_START_MS)
    assert window is not None

    assert not await closing.stores.windows.close_first(replace(window, meter_count=9))
    assert not await closing.stores.windows.replace(replace(window, version=3, meter_count=9))

    assert await closing.stores.windows.find("North", WINDOW_START_MS) == window


async def test_what_is_in_the_window_already_is_not_summed_up_again(closing: Closing) -> None:
    """A replica that was late itself marks windows that were closed after the readings had come."""
    closer = closing.closer()
    await all_closed(closer)
    closing.billing.totalled.clear()
    await closing.stores.due.mark([DUE._replace(first_ms=CLOSABLE_MS - 1, latest_ms=CLOSABLE_MS - 1)])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closer)

    assert (closing.billing.totalled, await closing.stores.due.count()) == ([], 0)


async def test_what_comes_late_for_a_window_that_nobody_closed_closes_it(closing: Closing) -> None:
    """Longer ago than is caught up by itself."""
    long_ago_ms = WINDOW_START_MS - 1000 * WINDOW_MS
    closing.whole_quarter("meter-1", 3, long_ago_ms)
    await closing.stores.due.mark([DUE._replace(start_ms=long_ago_ms)])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closing.closer())

    window = await closing.stores.windows.find("North", long_ago_ms)
    assert window is not None
    assert (window.version, window.sums.import_milliwatt_hours) == (1, 45)


async def test_a_mark_stays_while_late_readings_come_that_are_not_on_record_yet(closing: Closing) -> None:
    """The window is summed up after a minute all the same, and again when the last is there."""
    await all_closed(closing.closer())
    closing.whole_quarter("meter-2", 1)
    endless = DUE._replace(latest_ms=LATE_MS + 10 * MINUTE_MS)
    await closing.stores.due.mark([endless])
    closing.billing.complete_through_ms = LATE_MS + MINUTE_MS + 1

    await all_closed(closing.closer())

    window = await closing.stores.windows.find("North", WINDOW_START_MS)
    assert window is not None
    assert window.version == 2
    assert await closing.stores.due.ripe(LATE_MS + 2 * MINUTE_MS + 1, 10) == []
    (waiting,) = await closing.stores.due.ripe(endless.latest_ms + QUIET_MS + 1, 10)
    assert waiting == endless._replace(first_ms=LATE_MS + MINUTE_MS + 1)


async def test_marks_are_joined_in_whatever_order_they_are_written(closing: Closing) -> None:
    """And written twice they are the same."""
    marks = [DUE, DUE._replace(first_ms=5, latest_ms=9), DUE._replace(latest_ms=LATE_MS + 1)]
    await closing.stores.due.mark(marks)
    await closing.stores.due.mark(reversed(marks))

    assert await closing.stores.due.ripe(LATE_MS * 2, 10) == [DUE._replace(first_ms=5, latest_ms=LATE_MS + 1)]


async def test_what_comes_late_for_quarter_hours_that_were_removed_leaves_their_window(closing: Closing) -> None:
    """Billing can never answer that question again, so it is not asked for ever."""
    closing.billing.removed_devices = {"meter-1"}
    await closing.stores.due.mark([DUE])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closing.closer())

    assert await closing.stores.due.count() == 0
    assert await closing.stores.windows.find("North", DUE.start_ms) is None


async def test_marks_of_a_region_without_meters_are_taken_off(closing: Closing) -> None:
    """They were moved elsewhere."""
    await closing.stores.due.mark([DUE._replace(region="West")])
    closing.billing.complete_through_ms = QUIET_THROUGH_MS

    await all_closed(closing.closer())

    assert await closing.stores.due.count() == 0
