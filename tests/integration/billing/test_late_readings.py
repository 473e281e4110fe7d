"""What was recorded late, on a real store: noted with the log, and told once, page by page."""

from typing import Any

import pytest
from energy.billing.v1 import usage_service_pb2 as pb

from billing.late_reading_methods import LateReadingMethods
from billing.log.kind_columns import LoggedReading
from billing.log.late_reading import QUARTER_MS
from billing.log.late_reading_store import LateReadingStore
from billing.log.log_store import LogStore
from billing.log.schema import METER
from billing.log.segment import Segment
from common.errors import InvalidArgument
from common.instants import from_ms, to_ms
from common.mongo import Database

NOON_MS = 1_767_268_800_000
MINUTE_MS = 60_000
NO_CONTEXT: Any = None
NOTHING = (None,) * len(METER.columns)


class Completeness:
    """Says what a test wants it to say."""

    latest_ms: int | None = None


async def logged(log: LogStore, number: int, record_ms: int, start_ms: int) -> None:
    """A segment with one reading is logged."""
    reading = LoggedReading("meter", f"m-{number}", start_ms, MINUTE_MS, 0, start_ms, NOTHING)
    await log.append([Segment.of(f"b-{number}", 0, "w", number, record_ms - 1, record_ms, [reading])])


async def all_pages(methods: LateReadingMethods, after_ms: int = 0) -> list[tuple[int, list[str], int]]:
    """Start, devices and instant of everything that is told, as whoever asks goes through it."""
    found: list[tuple[int, list[str], int]] = []
    while True:
        request = pb.ListLateReadingsRequest(recorded_after=from_ms(after_ms))
        answer = await methods.ListLateReadings(request, NO_CONTEXT)
        found += [
            (to_ms(one.start_time), list(one.device_ids), to_ms(one.latest_record_time)) for one in answer.quarter_hours
        ]
        if not answer.HasField("listed_through"):
            return found
        after_ms = to_ms(answer.listed_through)


async def test_everything_late_is_told_once_up_to_what_is_complete(database: Database) -> None:
    """Page by page, several of one instant among them; what came in time is not told, nor what may lack company."""
    log, completeness = LogStore(database), Completeness()
    await log.prepare()
    late_ms = NOON_MS - 8 * QUARTER_MS
    for number, record_ms in enumerate((NOON_MS, NOON_MS + 1, NOON_MS + 1, NOON_MS + 1, NOON_MS + 2, NOON_MS + 9), 1):
        await logged(log, number, record_ms, late_ms + number * QUARTER_MS)
    await logged(log, 7, NOON_MS + 3, NOON_MS - MINUTE_MS)
    methods = LateReadingMethods(LateReadingStore(database), completeness, limit=2)  # type: ignore[abstract]
    assert await all_pages(methods) == []

    completeness.latest_ms = NOON_MS + 8
    told = sorted(await all_pages(methods))

    wanted = [(1, 0), (2, 1), (3, 1), (4, 1), (5, 2)]
    assert told == [(late_ms + number * QUARTER_MS, [f"m-{number}"], NOON_MS + after) for number, after in wanted]
    completeness.latest_ms = NOON_MS + 20
    assert await all_pages(methods, NOON_MS + 8) == [(late_ms + 6 * QUARTER_MS, ["m-6"], NOON_MS + 9)]


async def test_an_instant_finer_than_a_millisecond_is_refused(database: Database) -> None:
    """As everywhere."""
    methods = LateReadingMethods(LateReadingStore(database), Completeness())  # type: ignore[abstract]
    request = pb.ListLateReadingsRequest()
    request.recorded_after.nanos = 1

    with pytest.raises(InvalidArgument):
        await methods.ListLateReadings(request, NO_CONTEXT)


async def test_what_was_noted_goes_after_forty_days(database: Database) -> None:
    """By an index of the server."""
    await LogStore(database).prepare()

    indexes = await database["readings_late"].index_information()

    assert any(index.get("expireAfterSeconds") == 0 for index in indexes.values())
