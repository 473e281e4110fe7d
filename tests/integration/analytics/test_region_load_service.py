"""The load of regions over real gRPC and a real store: now, what it was, as it comes, and what a region can carry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest
import pytest_asyncio
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.region_load_pb2 import RegionCapacity
from google.rpc.error_details_pb2 import BadRequest

from analytics.window_wiring import window_stores
from analytics.windows.region_load_codec import window_message
from analytics.windows.region_load_feed import RegionLoadFeed
from analytics.windows.region_window import HOUR_MS, WINDOW_MS, RegionWindow, WindowSums
from analytics.windows.window_stores import WindowStores
from common.instants import from_ms
from common.mongo import Database
from common.rich_status import reason_of, status_of
from loadgen.region_capacities import SHIPPED_FILE, read_capacities, set_capacities
from tests.integration.analytics.closing import METER, NOON_MS
from tests.wire.analytics.conftest import NOW_MS, Desk
from tests.wire.analytics.test_get_fleet_summary import seen

KWH = 1_000_000
DAY_MS = 24 * HOUR_MS
WINDOW = RegionWindow(
    region="North",
    start_ms=NOON_MS,
    version=1,
    sums=WindowSums(25 * KWH, 0, 2, 2 * WINDOW_MS),
    meter_count=2,
    capacity_milliwatts=200 * KWH,
    complete_through_ms=NOON_MS + WINDOW_MS + 60_000,
    close_ms=NOW_MS,
)
LIST: dict[str, Any] = {
    "region": "North",
    "start_time": from_ms(NOON_MS),
    "end_time": from_ms(NOON_MS + DAY_MS),
    "resolution": pb.REGION_LOAD_RESOLUTION_QUARTER_HOUR,
}
FIVE_MS = 300_000
FINE: dict[str, Any] = {"resolution": pb.REGION_LOAD_RESOLUTION_FIVE_MINUTES}
SET: dict[str, Any] = {"region": "North", "capacity_kw": 200.0, "actor": "jo"}


@dataclass
class Door:
    """Analytics over a real store."""

    stub: Any
    desk: Desk
    stores: WindowStores

    @property
    def feed(self) -> RegionLoadFeed:
        """What watchers are told of; the test says when it looks."""
        return self.desk.region_loads.feed

    async def look(self) -> None:
        """One round of the gauges, and a look."""
        async with asyncio.TaskGroup() as group:
            gauges = group.create_task(self.desk.fleet_report.keep_gauges(60))
            async with asyncio.timeout(5):
                while self.desk.fleet_report.newest is None:  # noqa: ASYNC110 - a test looks from outside
                    await asyncio.sleep(0)
            gauges.cancel()
        await self.feed.look()

    async def refused(self, method: Any, request: Any) -> tuple[str | None, list[str]]:
        """The reason of a refusal, and the fields it names."""
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await method(request)
        status = status_of(refusal.value)
        assert status is not None
        bad = BadRequest()
        for detail in status.details:
            detail.Unpack(bad)
        return reason_of(refusal.value), [violation.field for violation in bad.field_violations]


@pytest_asyncio.fixture(loop_scope="session")
async def door(database: Database) -> AsyncIterator[Door]:
    """Two meters in the north, of which one has told a power and one is silent; nothing is closed yet."""
    async with AsyncExitStack() as stack:
        desk = Desk(stack)
        desk.database = database
        desk.registry.add("meter-1", METER)
        desk.registry.add("meter-2", METER)
        desk.registry.add("meter-3", METER, region="South")
        desk.picture.apply([seen("meter-1", "REPORTING")._replace(power_kw=50.0)])
        stores = window_stores(database)
        await stores.prepare()
        yield Door(await desk.open(), desk, stores)


async def filled(door: Door, starts_ms: range | list[int]) -> list[RegionWindow]:
    """Closed windows of these starts."""
    windows = [replace(WINDOW, start_ms=start_ms) for start_ms in starts_ms]
    for window in windows:
        assert await door.stores.windows.close_first(window)
    return windows


async def test_the_shipped_capacities_are_set_once_however_often_they_are_loaded(door: Door) -> None:
    """By the command that ships with them; and they are valid for what was before."""
    async with grpc.aio.insecure_channel(door.desk.address) as channel:
        for _ in range(2):
            assert await set_capacities(channel, read_capacities(SHIPPED_FILE)) == 10

    history = await door.stores.capacities.history(())

    assert len(history) == 10
    assert [one.capacity_kw for one in history["Pune-East"]] == [224_000.0]
    valid = await door.stores.capacities.valid_at("Pune-East", NOON_MS)
    assert valid == history["Pune-East"][0]


async def test_the_load_of_a_region_is_what_its_meters_do_now(door: Door) -> None:
    """In percent of what is valid now; what is not known is absent."""
    await door.stub.SetRegionCapacity(pb.SetRegionCapacityRequest(**SET))

    north = (await door.stub.GetRegionLoad(pb.GetRegionLoadRequest(region="North"))).load
    south = (await door.stub.GetRegionLoad(pb.GetRegionLoadRequest(region="South"))).load

    assert (north.load_kw, north.capacity_kw, north.load_percent) == (50.0, 200.0, 25.0)
    assert (north.meter_count, north.reporting_meter_count, north.silent_meter_count) == (2, 1, 1)
    assert north.time == from_ms(NOW_MS)
    assert not any(south.HasField(name) for name in ("load_kw", "capacity_kw", "load_percent"))


async def test_the_newest_closed_window_comes_along(door: Door) -> None:
    """Once there is one."""
    assert not (await door.stub.GetRegionLoad(pb.GetRegionLoadRequest(region="North"))).HasField("newest_window")
    windows = await filled(door, [NOON_MS + WINDOW_MS, NOON_MS])

    answer = await door.stub.GetRegionLoad(pb.GetRegionLoadRequest(region="North"))

    assert answer.newest_window == window_message(windows[0])
    assert (answer.newest_window.mean_load_kw, answer.newest_window.load_percent) == (100.0, 50.0)


async def test_a_region_of_which_nothing_is_known_is_not_found(door: Door) -> None:
    """One that has a capacity is known, though no device is in it."""
    asked = pb.GetRegionLoadRequest(region="Nowhere")
    assert await door.refused(door.stub.GetRegionLoad, asked) == ("REGION_NOT_FOUND", [])

    await door.stub.SetRegionCapacity(pb.SetRegionCapacityRequest(**(SET | {"region": "Nowhere"})))

    assert (await door.stub.GetRegionLoad(asked)).load.meter_count == 0


async def test_closed_windows_are_listed_by_page_as_they_are_stored(door: Door) -> None:
    """Only those of the region and the span."""
    windows = await filled(door, range(NOON_MS - WINDOW_MS, NOON_MS + DAY_MS + WINDOW_MS, WINDOW_MS))
    await door.stores.windows.close_first(replace(WINDOW, region="South"))
    found: list[Any] = []
    token, pages = "", 0
    while token or not pages:
        answer = await door.stub.ListRegionLoad(pb.ListRegionLoadRequest(**LIST, page_size=40, page_token=token))
        found, token, pages = [*found, *answer.windows], answer.next_page_token, pages + 1

    assert found == [window_message(window) for window in windows[1:-1]]
    assert pages == 3


async def test_hours_are_listed_by_page(door: Door) -> None:
    """An hour is never cut by a page, and an hour without a window is left out."""
    starts_ms = [NOON_MS + quarter * WINDOW_MS for quarter in range(16) if quarter // 4 != 2 and quarter != 5]
    await filled(door, starts_ms)
    hourly = LIST | {"resolution": pb.REGION_LOAD_RESOLUTION_HOUR, "page_size": 2}

    first = await door.stub.ListRegionLoad(pb.ListRegionLoadRequest(**hourly))
    second = await door.stub.ListRegionLoad(pb.ListRegionLoadRequest(**hourly, page_token=first.next_page_token))

    hours = [*first.windows, *second.windows]
    assert [(hour.start_time.seconds * 1000 - NOON_MS) // HOUR_MS for hour in hours] == [0, 1, 3]
    assert [(hour.import_kwh, hour.mean_load_kw, hour.covered_share) for hour in hours] == [
        (100.0, 100.0, 1.0),
        (75.0, 100.0, 0.75),
        (100.0, 100.0, 1.0),
    ]
    assert (len(first.windows), second.next_page_token) == (2, "")


@pytest.mark.parametrize(
    ("change", "reason", "fields"),
    [
        ({"region": ""}, "FIELD_REQUIRED", ["region"]),
        ({"region": "x" * 65}, "OUT_OF_RANGE", ["region"]),
        ({"resolution": pb.REGION_LOAD_RESOLUTION_UNSPECIFIED}, "FIELD_REQUIRED", ["resolution"]),
        ({"start_time": None}, "FIELD_REQUIRED", ["start_time"]),
        ({"end_time": from_ms(NOON_MS)}, "OUT_OF_RANGE", ["end_time"]),
        ({"end_time": from_ms(NOON_MS + 366 * DAY_MS + 1)}, "REQUEST_TOO_EXPENSIVE", []),
        (FINE | {"end_time": from_ms(NOON_MS + DAY_MS + FIVE_MS)}, "REQUEST_TOO_EXPENSIVE", []),
        (FINE | {"start_time": from_ms(NOON_MS + 60_000)}, "OUT_OF_RANGE", ["start_time"]),
        ({"page_size": -1}, "OUT_OF_RANGE", ["page_size"]),
        ({"page_token": "nonsense"}, "PAGE_TOKEN_INVALID", ["page_token"]),
    ],
)
async def test_a_list_that_cannot_be_is_refused(
    door: Door, change: dict[str, Any], reason: str, fields: list[str]
) -> None:
    """With the field."""
    request = pb.ListRegionLoadRequest(**(LIST | change))

    assert await door.refused(door.stub.ListRegionLoad, request) == (reason, fields)


async def test_a_token_is_of_its_own_question_only(door: Door) -> None:
    """Of the region it was given for."""
    await filled(door, [NOON_MS, NOON_MS + WINDOW_MS])
    answer = await door.stub.ListRegionLoad(pb.ListRegionLoadRequest(**LIST, page_size=1))

    request = pb.ListRegionLoadRequest(**(LIST | {"region": "South"}), page_token=answer.next_page_token)

    assert await door.refused(door.stub.ListRegionLoad, request) == ("PAGE_TOKEN_INVALID", ["page_token"])


async def test_a_capacity_is_set_from_now_on_and_saying_it_again_changes_nothing(
    door: Door, database: Database
) -> None:
    """Whoever says it; another one begins after it, and both are on record."""
    first = await door.stub.SetRegionCapacity(pb.SetRegionCapacityRequest(**SET))
    again = await door.stub.SetRegionCapacity(pb.SetRegionCapacityRequest(**(SET | {"actor": "sam"})))

    expected = RegionCapacity(
        region="North", capacity_kw=200.0, start_time=from_ms(NOW_MS), actor="jo", create_time=from_ms(NOW_MS)
    )
    assert first.capacity == again.capacity == expected
    assert await database["region_capacities"].count_documents({}) == 1


async def test_a_capacity_may_begin_at_another_instant(door: Door) -> None:
    """What was valid before stays; the same said again is the same; something else from then on is a conflict."""
    earlier = SET | {"start_time": from_ms(NOON_MS)}
    later = SET | {"start_time": from_ms(NOON_MS + DAY_MS), "capacity_kw": 300.0}
    kept = await door.stub.SetRegionCapacity(pb.SetRegionCapacityRequest(**earlier))
    await door.stub.SetRegionCapacity(pb.SetRegionCapacityRequest(**later))

    again = await door.stub.SetRegionCapacity(pb.SetRegionCapacityRequest(**earlier))
    other = pb.SetRegionCapacityRequest(**(earlier | {"capacity_kw": 1.0}))

    assert again == kept
    assert await door.refused(door.stub.SetRegionCapacity, other) == ("REGION_CAPACITY_EXISTS", [])
    history = (await door.stores.capacities.history(["North"]))["North"]
    assert [(one.capacity_kw, one.start_ms) for one in history] == [(200.0, NOON_MS), (300.0, NOON_MS + DAY_MS)]


@pytest.mark.parametrize(
    ("change", "reason", "fields"),
    [
        ({"region": "", "actor": "", "capacity_kw": 0.0}, "FIELD_REQUIRED", ["region", "capacity_kw", "actor"]),
        ({"capacity_kw": -1.0}, "OUT_OF_RANGE", ["capacity_kw"]),
        ({"capacity_kw": float("nan")}, "OUT_OF_RANGE", ["capacity_kw"]),
        ({"capacity_kw": 1e-9}, "OUT_OF_RANGE", ["capacity_kw"]),
        ({"capacity_kw": 1.1e9}, "OUT_OF_RANGE", ["capacity_kw"]),
        ({"actor": "x" * 129}, "OUT_OF_RANGE", ["actor"]),
    ],
)
async def test_a_capacity_that_cannot_be_is_refused(
    door: Door, change: dict[str, Any], reason: str, fields: list[str]
) -> None:
    """Every field at once."""
    request = pb.SetRegionCapacityRequest(**(SET | change))

    assert await door.refused(door.stub.SetRegionCapacity, request) == (reason, fields)


async def test_a_watcher_is_told_the_load_and_each_window_once(door: Door) -> None:
    """First what is newest, then what is closed, by whichever replica; each version is news."""
    await filled(door, [NOON_MS, NOON_MS + WINDOW_MS])
    await door.look()
    call = door.stub.WatchRegionLoad(pb.WatchRegionLoadRequest(regions=["North"]))
    first = await call.read()
    await filled(door, [NOON_MS + 2 * WINDOW_MS])
    await door.stores.windows.replace(replace(WINDOW, version=2, meter_count=3))
    await door.stores.windows.close_first(replace(WINDOW, region="South"))
    await door.look()
    second = await call.read()
    await door.look()
    await door.stores.windows.replace(replace(WINDOW, version=3, meter_count=4))
    await door.look()
    third = await call.read()
    call.cancel()

    assert [(load.region, load.load_kw) for load in first.loads] == [("North", 50.0)]
    starts = [
        [((window.start_time.seconds * 1000 - NOON_MS) // WINDOW_MS, window.version) for window in news.windows]
        for news in (first, second, third)
    ]
    assert [sorted(some) for some in starts] == [[(1, 1)], [(0, 2), (2, 1)], [(0, 3)]]


async def test_a_watcher_that_reads_slowly_is_told_how_much_it_has_missed(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept for it is bounded, whoever many watch."""
    monkeypatch.setattr("analytics.windows.region_load_feed._KEPT_WINDOWS", 2)
    feed = RegionLoadFeed(
        loads=door.desk.region_loads.report.every,
        windows=door.stores.windows,
        metrics=door.feed._metrics,
        look_seconds=60,
        now_ms=lambda: NOW_MS,
    )
    await feed.look()
    watching = feed.watch([])
    await anext(watching)
    for number in range(5):
        await filled(door, [NOON_MS + number * WINDOW_MS])
        await feed.look()

    news = await anext(watching)
    await watching.aclose()

    assert [(window.start_ms - NOON_MS) // WINDOW_MS for window in news.windows] == [3, 4]
    assert news.missed_window_count == 3


async def test_a_watch_ends_when_the_service_does(door: Door) -> None:
    """With the reason, at once."""
    await door.look()
    call = door.stub.WatchRegionLoad(pb.WatchRegionLoadRequest())
    assert len((await call.read()).loads) == 2

    await door.feed.close()

    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call.read()
    assert reason_of(ended.value) == "SHUTTING_DOWN"


async def test_too_many_regions_or_one_without_a_name_cannot_be_watched(door: Door) -> None:
    """With the field."""
    many = pb.WatchRegionLoadRequest(regions=[f"r-{number}" for number in range(1001)])
    nameless = pb.WatchRegionLoadRequest(regions=["North", ""])

    async def read(request: pb.WatchRegionLoadRequest) -> None:
        await door.stub.WatchRegionLoad(request).read()

    assert await door.refused(read, many) == ("OUT_OF_RANGE", ["regions"])
    assert await door.refused(read, nameless) == ("FIELD_REQUIRED", ["regions[1]"])
