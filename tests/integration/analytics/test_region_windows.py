"""Windows of regions over a real store: closed once, whoever does it, however long nobody did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from analytics.windows.region_capacity import RegionCapacity
from analytics.windows.region_window import WINDOW_MS, LoadRange, RegionWindow, WindowSums
from common.event_outbox import PENDING
from common.instants import to_ms
from common.mongo import Database
from tests.integration.analytics.closing import (
    CLOSABLE_MS,
    MINUTE_MS,
    NOON_MS,
    WINDOW_START_MS,
    Closing,
    all_closed,
    three_regions,
    value,
)
from tests.wire.analytics.peers import Measured


@pytest_asyncio.fixture(loop_scope="session")
async def closing(database: Database) -> AsyncIterator[Closing]:
    """Meters, vehicles and a battery in three regions."""
    async with three_regions(database) as opened:
        yield opened


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
