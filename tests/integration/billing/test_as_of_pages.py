"""Questions as of a moment at the door: lowered to what is complete, and one moment for all pages."""

from dataclasses import replace
from typing import Any, cast

import pytest
from energy.billing.v1 import usage_service_pb2 as pb

from billing.cold.quarantine_store import QuarantineStore
from billing.log.complete_through import CompleteThrough
from billing.log.completeness import Watermark
from billing.log.late_reading_store import LateReadingStore
from billing.log.watermark_store import WatermarkStore
from billing.usage.live_reader import LiveReader
from billing.usage_service import UsageService
from common.errors import DependencyUnavailable, InvalidArgument, PageTokenInvalid
from common.instants import from_ms, to_ms
from common.mongo import Database
from common.registry_cache import RegistryCache
from tests.integration.billing.pricing_mesh import MadeUpRegistry
from tests.integration.billing.readings import MINUTE_MS, meter_readings, segments
from tests.integration.billing.store import PARTITION, Store, no_answers, store_on

DEVICE = "meter-berlin"
START_MS = 1_772_323_200_000
MINUTES = 120
END_MS = START_MS + MINUTES * MINUTE_MS
RECORD_MS = START_MS + 86_400_000


async def complete_through(database: Database, before_ms: int | None, through_ms: int) -> None:
    """Moves the one partition of this mesh on."""
    before = Watermark() if before_ms is None else Watermark(before_ms, 1)
    await WatermarkStore(database).raise_to({0: (before, Watermark(through_ms, 1))})


async def service_on(database: Database) -> tuple[Store, UsageService]:
    """The service before a store with two hours of a meter, one segment a second."""
    store = await store_on(database)
    readings = meter_readings(21, DEVICE, START_MS, MINUTES, revision_share=0.2)
    some = segments(readings, 20, PARTITION)
    await store.take([replace(one, record_ms=RECORD_MS + number * 1_000) for number, one in enumerate(some)])
    service = UsageService(
        usage=store.usage,
        minutes=store.minutes,
        live=cast("LiveReader", None),
        registry=cast("RegistryCache", MadeUpRegistry()),
        complete_through=CompleteThrough(WatermarkStore(database)),
        answers=no_answers(),
        quarantine=QuarantineStore(database),
        late=LateReadingStore(database),
        is_catching_up=lambda: store.tail.is_refusing,
        clock=lambda: RECORD_MS,
    )
    return store, service


def question(as_of_ms: int, token: str = "", page_size: int = 25) -> pb.ListReadingsRequest:
    """All readings of the meter as of a moment."""
    return pb.ListReadingsRequest(
        device_id=DEVICE,
        start_time=from_ms(START_MS),
        end_time=from_ms(END_MS),
        as_of=from_ms(as_of_ms),
        page_token=token,
        page_size=page_size,
    )


NO_CONTEXT = cast("Any", None)


async def test_all_pages_are_of_the_moment_of_the_first(database: Database) -> None:
    """What becomes complete between two pages is in none of them."""
    _, service = await service_on(database)
    await complete_through(database, None, RECORD_MS + 2_500)
    whole = await service.ListReadings(question(RECORD_MS + 99_000, page_size=1_000), NO_CONTEXT)
    first = await service.ListReadings(question(RECORD_MS + 99_000), NO_CONTEXT)

    await complete_through(database, RECORD_MS + 2_500, RECORD_MS + 5_000)
    readings, page = list(first.readings), first
    while page.next_page_token:
        page = await service.ListReadings(question(RECORD_MS + 99_000, page.next_page_token), NO_CONTEXT)
        assert to_ms(page.as_of) == RECORD_MS + 2_500
        readings += page.readings

    assert to_ms(whole.as_of) == RECORD_MS + 2_500
    assert readings == list(whole.readings)
    assert max(to_ms(one.record_time) for one in readings) == RECORD_MS + 2_000


async def test_who_asks_is_told_whether_answers_read_the_log(database: Database) -> None:
    """While more waits to be folded than there is room for; what answers are complete through is told all the same."""
    store, service = await service_on(database)
    await complete_through(database, None, RECORD_MS)
    request = pb.GetCompleteThroughRequest()

    before = await service.GetCompleteThrough(request, NO_CONTEXT)
    store.tail.refuse()
    meanwhile = await service.GetCompleteThrough(request, NO_CONTEXT)
    store.tail.refuse_no_more()
    after = await service.GetCompleteThrough(request, NO_CONTEXT)

    assert [one.is_catching_up for one in (before, meanwhile, after)] == [False, True, False]
    assert meanwhile.complete_through == before.complete_through


async def test_an_earlier_moment_is_taken_as_it_is(database: Database) -> None:
    """Only what lies beyond the complete instant is lowered; usage and summaries follow the same rule."""
    _, service = await service_on(database)
    await complete_through(database, None, RECORD_MS + 50_000)
    window: dict[str, Any] = {
        "start_time": from_ms(START_MS),
        "end_time": from_ms(END_MS),
        "as_of": from_ms(RECORD_MS + 1_000),
    }

    listed = await service.ListReadings(question(RECORD_MS + 1_000), NO_CONTEXT)
    hours = await service.ListUsage(
        pb.ListUsageRequest(device_id=DEVICE, resolution=pb.USAGE_RESOLUTION_HOUR, **window), NO_CONTEXT
    )
    summary = await service.SummarizeUsage(pb.SummarizeUsageRequest(device_ids=[DEVICE], **window), NO_CONTEXT)

    for answer in (listed, hours, summary):
        assert to_ms(answer.as_of) == RECORD_MS + 1_000
        assert to_ms(answer.complete_through) == RECORD_MS + 50_000
    known = sum(interval.usage.reading_count for interval in hours.intervals)
    assert summary.total.reading_count == known
    assert 0 < known <= 40


async def test_without_a_moment_the_answer_is_of_now(database: Database) -> None:
    """It says what it is complete through, as soon as that is known, and no moment."""
    _, service = await service_on(database)
    request = question(0, page_size=1_000)
    request.ClearField("as_of")

    answer = await service.ListReadings(request, NO_CONTEXT)

    assert len(answer.readings) == MINUTES
    assert not answer.HasField("as_of")
    assert not answer.HasField("complete_through")


async def test_while_nothing_is_known_to_be_complete_there_is_no_moment_to_ask_of(database: Database) -> None:
    """The caller is told to try again."""
    _, service = await service_on(database)

    with pytest.raises(DependencyUnavailable):
        await service.ListReadings(question(RECORD_MS), NO_CONTEXT)


async def test_a_token_of_another_moment_is_refused(database: Database) -> None:
    """A token goes with the question it was made for."""
    _, service = await service_on(database)
    await complete_through(database, None, RECORD_MS + 5_000)
    first = await service.ListReadings(question(RECORD_MS + 2_000), NO_CONTEXT)

    with pytest.raises(PageTokenInvalid):
        await service.ListReadings(question(RECORD_MS + 3_000, first.next_page_token), NO_CONTEXT)


async def test_a_moment_finer_than_a_millisecond_names_its_field(database: Database) -> None:
    """As every instant does."""
    _, service = await service_on(database)
    request = question(RECORD_MS)
    request.as_of.nanos = 1

    with pytest.raises(InvalidArgument) as refused:
        await service.ListReadings(request, NO_CONTEXT)

    assert [violation.field for violation in refused.value.violations] == ["as_of"]
