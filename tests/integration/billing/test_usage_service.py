"""What people may ask of usage, on a real gRPC server and store: months, gaps, pages and minutes."""

from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
import pytest_asyncio
from energy.billing.v1 import usage_pb2
from energy.billing.v1 import usage_service_pb2 as pb
from energy.registry.v1.device_pb2 import DEVICE_KIND_VEHICLE

from common.instants import from_ms, to_ms
from common.mongo import Database
from common.topology import partition_of
from tests.integration.billing.pricing_mesh import error_of
from tests.integration.billing.readings import MINUTE_MS, meter_readings, segments
from tests.integration.billing.store import PARTITIONS, instant_ms, store_on
from tests.integration.billing.usage_mesh import (
    CALL_SECONDS,
    KOLKATA,
    LORD_HOWE,
    Asked,
    MadeUpRegistry,
    listing,
    meter,
    shown,
    take,
    usage_service,
)


@pytest_asyncio.fixture(loop_scope="session")
async def asked(database: Database) -> AsyncIterator[Asked]:
    """The service over an empty store."""
    registry = MadeUpRegistry()
    async with usage_service(database, registry) as stub:
        yield Asked(stub, registry)


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
