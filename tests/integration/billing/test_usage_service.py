"""What people may ask of usage, on a real gRPC server and store: months, gaps, fleets, pages, limits and deadlines."""

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from energy.billing.v1 import usage_pb2
from energy.billing.v1 import usage_service_pb2 as pb
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub, add_UsageServiceServicer_to_server
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, DEVICE_KIND_VEHICLE
from prometheus_client import CollectorRegistry
from pymongo.monitoring import CommandListener

from billing.late_reading_store import LateReadingStore
from billing.quarantine_store import QuarantineStore
from billing.usage_service import UsageService
from common.cached_device import CachedDevice
from common.errors import DeviceNotFound
from common.grpc_client import open_channel
from common.instants import from_ms, to_ms
from common.interceptors import standard_interceptors
from common.localstack.mesh import Mesh
from common.logs import get_logger
from common.mongo import Database
from common.store_deadline import StoreDeadlineInterceptor
from common.topology import partition_of
from tests.integration.billing.pricing_mesh import error_of
from tests.integration.billing.readings import MINUTE_MS, meter_readings, segments
from tests.integration.billing.store import PARTITIONS, instant_ms, no_answers, store_on

if TYPE_CHECKING:
    from energy.billing.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

KOLKATA, LORD_HOWE = "meter-kolkata", "meter-lord-howe"
HOUR_MS = 60 * MINUTE_MS
CALL_SECONDS = 20.0


def meter(device_id: str, region: str, time_zone: str) -> CachedDevice:
    """A registered meter, alone at the site of its name and together with all others in one group."""
    return CachedDevice(
        device_id,
        DEVICE_KIND_METER,
        "acc-1",
        f"site of {device_id}",
        region,
        time_zone,
        MINUTE_MS,
        (),
        0,
        group_ids=("all", region),
    )


class MadeUpRegistry:
    """Knows a meter in each of two zones, and as many without readings as it is told."""

    def __init__(self) -> None:
        self.by_id = {
            KOLKATA: meter(KOLKATA, "Pune-East", "Asia/Kolkata"),
            LORD_HOWE: meter(LORD_HOWE, "Islands", "Australia/Lord_Howe"),
        }

    async def find(self, device_id: str) -> CachedDevice:
        """The device of an id."""
        if device_id not in self.by_id:
            raise DeviceNotFound(device_id)
        return self.by_id[device_id]

    def devices(self) -> Iterable[CachedDevice]:
        """All of them."""
        return tuple(self.by_id.values())

    def by_region(self, region: str) -> Sequence[CachedDevice]:
        """Those of a region."""
        return [device for device in self.by_id.values() if device.region == region]

    def by_site(self, site_id: str) -> Sequence[CachedDevice]:
        """Those of a site."""
        return [device for device in self.by_id.values() if device.site_id == site_id]

    def by_group(self, group_id: str) -> Sequence[CachedDevice]:
        """Those of a group."""
        return [device for device in self.by_id.values() if group_id in device.group_ids]


@dataclass(frozen=True)
class Known:
    """Completeness up to an instant, epoch milliseconds; None before anything was heard."""

    latest_ms: int | None = None


@dataclass
class Asked:
    """The service as a caller reaches it, and the registry behind it."""

    stub: "UsageServiceAsyncStub"
    registry: MadeUpRegistry


@asynccontextmanager
async def usage_service(
    database: Database, registry: MadeUpRegistry, complete_through_ms: int | None = None
) -> AsyncIterator["UsageServiceAsyncStub"]:
    """Serves usage on loopback over what the store holds."""
    store = await store_on(database)
    made_up: Any = registry
    known: Any = Known(complete_through_ms)
    unused: Any = None
    servicer = UsageService(
        usage=store.usage,
        minutes=store.minutes,
        live=unused,
        registry=made_up,
        complete_through=known,
        answers=no_answers(),
        quarantine=QuarantineStore(database),
        late=LateReadingStore(database),
        clock=store.clock,
    )
    interceptors = [
        *standard_interceptors("billing.energy", get_logger(__name__), CollectorRegistry()),
        StoreDeadlineInterceptor(),
    ]
    server = grpc.aio.server(interceptors=interceptors, options=[("grpc.so_reuseport", 0)])
    add_UsageServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"127.0.0.1:{port}")
    try:
        yield UsageServiceStub(channel)
    finally:
        await channel.close()
        await server.stop(0)


@pytest_asyncio.fixture(loop_scope="session")
async def asked(database: Database) -> AsyncIterator[Asked]:
    """The service over an empty store."""
    registry = MadeUpRegistry()
    async with usage_service(database, registry) as stub:
        yield Asked(stub, registry)


async def take(database: Database, device_id: str, start: str, minutes: int) -> None:
    """Puts a reading of every minute into the store."""
    store = await store_on(database)
    readings = meter_readings(1, device_id, instant_ms(start), minutes, 0.0)
    await store.take(segments(readings, 5000, partition_of(device_id, PARTITIONS), f"{device_id}-{start}"))
    await store.fold_everything()


def listing(device_id: str, start: str, end: str, resolution: str, **more: Any) -> pb.ListUsageRequest:
    """A question for intervals."""
    return pb.ListUsageRequest(
        device_id=device_id,
        start_time=from_ms(instant_ms(start)),
        end_time=from_ms(instant_ms(end)),
        resolution=pb.UsageResolution.Value(f"USAGE_RESOLUTION_{resolution}"),
        **more,
    )


def shown(response: pb.ListUsageResponse) -> list[tuple[float, int, float]]:
    """Of each interval its hours, its readings and the share covered."""
    return [
        (
            (to_ms(one.end_time) - to_ms(one.start_time)) / HOUR_MS,
            one.usage.reading_count,
            round(one.covered_share, 6),
        )
        for one in response.intervals
    ]


async def test_a_month_is_one_of_the_sites_clock(asked: Asked, database: Database) -> None:
    """It begins at local midnight, on the half hour of UTC, and says how much of it was measured."""
    await take(database, KOLKATA, "2026-02-28T18:00:00", 60)

    response = await asked.stub.ListUsage(
        listing(KOLKATA, "2026-01-31T18:30:00", "2026-03-31T18:30:00", "LOCAL_MONTH"), timeout=CALL_SECONDS
    )

    february, march = response.intervals
    assert to_ms(february.end_time) == to_ms(march.start_time) == instant_ms("2026-02-28T18:30:00")
    assert to_ms(march.end_time) == instant_ms("2026-03-31T18:30:00")
    assert shown(response) == [(28 * 24, 30, round(0.5 / (28 * 24), 6)), (31 * 24, 30, round(0.5 / (31 * 24), 6))]
    assert february.usage.minimum_power_kw <= february.usage.mean_power_kw <= february.usage.maximum_power_kw


@pytest.mark.parametrize(
    ("start", "end", "hours_after"),
    [("2026-04-04T13:00:00", "2026-04-05T13:30:00", 22), ("2026-10-03T13:30:00", "2026-10-04T13:00:00", 21)],
)
async def test_half_an_hour_more_or_less_is_an_interval_of_its_own(
    asked: Asked, database: Database, start: str, end: str, hours_after: int
) -> None:
    """On Lord Howe Island the clock changes by 30 minutes: 24.5 and 23.5 hours a day, every minute in one interval."""
    minutes = (instant_ms(end) - instant_ms(start)) // MINUTE_MS
    await take(database, LORD_HOWE, start, minutes)

    by_hour = await asked.stub.ListUsage(listing(LORD_HOWE, start, end, "HOUR"), timeout=CALL_SECONDS)
    by_day = await asked.stub.ListUsage(listing(LORD_HOWE, start, end, "LOCAL_DAY"), timeout=CALL_SECONDS)

    hours = [1.0, 1.0, 0.5, *[1.0] * hours_after]
    assert shown(by_hour) == [(length, round(length * 60), 1.0) for length in hours]
    assert shown(by_day) == [(sum(hours), minutes, 1.0)]


async def test_gaps_are_shown_as_gaps_on_every_page(asked: Asked, database: Database) -> None:
    """An interval nobody measured is there with no reading and no sums, and pages go on over it."""
    await take(database, KOLKATA, "2026-03-01T00:30:00", 45)
    await take(database, KOLKATA, "2026-03-01T03:00:00", 20)
    request = listing(
        KOLKATA, "2026-03-01T00:00:00", "2026-03-01T04:00:00", "QUARTER_HOUR", include_gaps=True, page_size=5
    )
    pages: list[pb.ListUsageResponse] = []

    while not pages or request.page_token:
        pages.append(await asked.stub.ListUsage(request, timeout=CALL_SECONDS))
        request.page_token = pages[-1].next_page_token

    assert [len(page.intervals) for page in pages] == [5, 5, 5, 1]
    counts = [one.usage.reading_count for page in pages for one in page.intervals]
    assert counts == [0, 0, 15, 15, 15, *[0] * 7, 15, 5, 0, 0]
    gap = pages[0].intervals[0]
    assert not gap.usage.HasField("import_kwh")
    assert gap.covered_share == 0.0
    assert round(pages[2].intervals[3].covered_share, 6) == round(5 / 15, 6)


async def test_pages_go_on_after_a_restart(asked: Asked, database: Database) -> None:
    """A token means the same to another process: together the pages are the whole answer."""
    await take(database, KOLKATA, "2026-03-01T00:30:00", 200)
    window = ("2026-03-01T00:00:00", "2026-03-01T06:00:00", "QUARTER_HOUR")
    whole = await asked.stub.ListUsage(listing(KOLKATA, *window), timeout=CALL_SECONDS)

    token = ""
    found: list[usage_pb2.UsageInterval] = []
    while token or not found:
        async with usage_service(database, MadeUpRegistry()) as stub:
            page = await stub.ListUsage(listing(KOLKATA, *window, page_size=6, page_token=token), timeout=CALL_SECONDS)
        found += page.intervals
        token = page.next_page_token

    assert found == list(whole.intervals)
    assert len(found) == 14


async def test_pages_of_readings_go_on_after_a_restart(database: Database) -> None:
    """Each page by another process; superseded readings stay with those that count, and none is missing or twice."""
    store = await store_on(database)
    readings = meter_readings(7, KOLKATA, instant_ms("2026-03-01T00:30:00"), 100, 0.3)
    await store.take(segments(readings, 5000, partition_of(KOLKATA, PARTITIONS)))
    await store.fold_everything()
    question = pb.ListReadingsRequest(
        device_id=KOLKATA,
        start_time=from_ms(instant_ms("2026-03-01T00:00:00")),
        end_time=from_ms(instant_ms("2026-03-01T03:00:00")),
        include_superseded=True,
        page_size=9,
    )

    found = list[tuple[int, int]]()
    while question.page_token or not found:
        async with usage_service(database, MadeUpRegistry()) as stub:
            page = await stub.ListReadings(question, timeout=CALL_SECONDS)
        found += [(to_ms(one.reading.start_time), one.reading.revision) for one in page.readings]
        question.page_token = page.next_page_token

    assert found == sorted(((one.start_ms, one.revision) for one in readings), key=lambda one: (one[0], -one[1]))


async def test_a_fleet_is_summed_up_only_when_all_of_it_is_asked_for(asked: Asked, database: Database) -> None:
    """`all` is the total of every device; a region lists its devices and how much of the time each covers."""
    await take(database, KOLKATA, "2026-03-01T00:00:00", 60)
    await take(database, LORD_HOWE, "2026-03-01T00:30:00", 60)
    window: dict[str, Any] = {
        "start_time": from_ms(instant_ms("2026-03-01T00:00:00")),
        "end_time": from_ms(instant_ms("2026-03-01T02:00:00")),
    }

    fleet = await asked.stub.SummarizeUsage(pb.SummarizeUsageRequest(all=True, **window), timeout=CALL_SECONDS)
    region = await asked.stub.SummarizeUsage(pb.SummarizeUsageRequest(region="Islands", **window), timeout=CALL_SECONDS)

    assert fleet.total.reading_count == 120
    assert list(fleet.devices) == []
    assert [(one.device_id, one.usage.reading_count, one.covered_share) for one in region.devices] == [
        (LORD_HOWE, 60, 0.5)
    ]
    for request in (pb.SummarizeUsageRequest(**window), pb.SummarizeUsageRequest(all=True, region="x", **window)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked.stub.SummarizeUsage(request, timeout=CALL_SECONDS)
        assert error_of(refused.value)[3] == ["device_ids"]


@pytest.mark.parametrize("scope", [{"region": "Big"}, {"group_id": "Big"}, {"all": True}])
async def test_a_call_may_cost_a_month_of_10_000_devices_and_no_more(asked: Asked, scope: dict[str, Any]) -> None:
    """The limit is on devices times days, told before anything is read."""
    asked.registry.by_id |= {f"m-{number}": meter(f"m-{number}", "Big", "UTC") for number in range(13_000)}
    window: dict[str, Any] = {
        "start_time": from_ms(instant_ms("2026-03-01T00:00:00")),
        "end_time": from_ms(instant_ms("2026-04-01T00:00:00")),
    }

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await asked.stub.SummarizeUsage(pb.SummarizeUsageRequest(**scope, **window), timeout=CALL_SECONDS)

    code, reason, metadata, _ = error_of(refused.value)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_TOO_EXPENSIVE")
    assert "400000 device-days" in metadata["limit"]


class Limits(CommandListener):
    """Keeps the limit that each reading command was sent with."""

    def __init__(self) -> None:
        self.found: list[int | None] = []

    def started(self, event: Any) -> None:
        """Takes note of one."""
        if event.command_name in {"find", "aggregate"}:
            self.found.append(event.command.get("maxTimeMS"))

    def succeeded(self, event: Any) -> None:
        """Nothing to note."""

    def failed(self, event: Any) -> None:
        """Nothing to note."""


@pytest.mark.parametrize(
    ("deadline_seconds", "expected_ms", "most_ms"), [(20.0, 19_800, 20_000), (60.0, 25_000, 25_000)]
)
async def test_the_store_is_given_no_more_time_than_the_caller_has(
    servers: Mesh, database: Database, deadline_seconds: float, expected_ms: int, most_ms: int
) -> None:
    """What is left of the deadline goes along with every question, and never more than 25 s.

    A hundredth is kept back, for by so much the protocol may round a deadline up on its way.
    """
    from motor.motor_asyncio import AsyncIOMotorClient

    limits = Limits()
    begun_at = time.monotonic()
    client: Any = AsyncIOMotorClient(servers.mongo_url, tz_aware=True, event_listeners=[limits])
    async with usage_service(client[database.name], MadeUpRegistry()) as stub:
        limits.found.clear()
        await stub.ListUsage(
            listing(KOLKATA, "2026-03-01T00:00:00", "2026-03-02T00:00:00", "HOUR"), timeout=deadline_seconds
        )
        passed_ms = (time.monotonic() - begun_at) * 1000
    client.close()

    # The driver takes off what has passed, and once more the longest that the server took to answer since it was met.
    least_ms = expected_ms - 2 * passed_ms - 1
    assert limits.found
    assert [limit for limit in limits.found if limit is None or not least_ms <= limit <= most_ms] == []


async def test_minutes_of_several_meters_are_answered_together(database: Database, asked: Asked) -> None:
    """With the end of what is known to be complete, where that is known."""
    for device_id in (KOLKATA, LORD_HOWE):
        await take(database, device_id, "2026-10-01T10:00:00", 3)

    answer = await asked.stub.ListMinuteTotals(minutes_of([KOLKATA, LORD_HOWE], 0, 2))

    assert [minute.meter_count for minute in answer.minutes] == [2, 2]
    assert [to_ms(minute.start_time) % 3_600_000 for minute in answer.minutes] == [0, 60_000]
    assert not answer.HasField("complete_through")


@pytest.mark.parametrize(
    ("device_ids", "start_s", "end_s", "refusal"),
    [
        ([KOLKATA], 1, 60, ("OUT_OF_RANGE", ["start_time"])),
        ([KOLKATA], 0, 61, ("OUT_OF_RANGE", ["end_time"])),
        ([KOLKATA], 60, 60, ("OUT_OF_RANGE", ["end_time"])),
        ([], 0, 60, ("OUT_OF_RANGE", ["device_ids"])),
        ([KOLKATA, "vehicle-1"], 0, 60, ("OUT_OF_RANGE", ["device_ids"])),
        (["unknown"], 0, 60, ("DEVICE_NOT_FOUND", [])),
        ([KOLKATA, LORD_HOWE] * 250, 0, 21 * 3600, ("REQUEST_TOO_EXPENSIVE", [])),
    ],
)
async def test_minutes_that_cannot_be_told_are_refused(
    device_ids: list[str], start_s: int, end_s: int, refusal: tuple[str, list[str]], asked: Asked
) -> None:
    """By the field, or because they cost too much."""
    asked.registry.by_id["vehicle-1"] = replace(meter("vehicle-1", "Islands", "UTC"), kind=DEVICE_KIND_VEHICLE)

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await asked.stub.ListMinuteTotals(minutes_of(device_ids, start_s / 60, end_s / 60))

    _, reason, _, fields = error_of(failure.value)
    assert (reason, fields) == refusal


def minutes_of(device_ids: list[str], first: float, last: float) -> pb.ListMinuteTotalsRequest:
    """A question about minutes from ten o'clock on."""
    ten_ms = instant_ms("2026-10-01T10:00:00")
    return pb.ListMinuteTotalsRequest(
        device_ids=device_ids,
        start_time=from_ms(ten_ms + round(first * 60_000)),
        end_time=from_ms(ten_ms + round(last * 60_000)),
    )
