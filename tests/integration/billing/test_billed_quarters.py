"""The quarter-hours that bills rest on, as of any moment: those of readings that were recorded by then, and counted."""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from billing.cold.past_spans import SPANS_MAXIMUM
from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation, settle
from billing.log.reading_quality import QUALITY_COUNTS, ReadingQuality
from billing.log.schema import HOUR_MS, QUARTER_MS
from billing.log.segment import Segment
from billing.tariffs.rated_line import Quarter
from common.errors import RequestTooExpensive
from common.mongo import Database
from tests.integration.billing.readings import MINUTE_MS, meter_readings
from tests.integration.billing.store import DEVICE, PARTITION, instant_ms, store_on

START_MS = instant_ms("2026-03-28T23:00:00")
MINUTES = 300
QUALITIES = [0, 0, 0, ReadingQuality.SENT_ESTIMATED, ReadingQuality.SENT_SUBSTITUTED, ReadingQuality.SENT_EDITED]


def history(seed: int) -> list[Segment]:
    """Segments recorded one after the other of minutes in any order, some of them corrected more than once."""
    made_up = random.Random(seed)
    readings = [
        one._replace(quality=made_up.choice(QUALITIES))
        for one in meter_readings(seed, DEVICE, START_MS, MINUTES, revision_share=0.4)
    ]
    return [
        Segment.of(f"s-{seed}-{first}", PARTITION, "w", first + 1, 0, 1_000 + first, readings[first : first + 60])
        for first in range(0, len(readings), 60)
    ]


def recomputed(segments: Iterable[Segment], as_of_ms: int) -> list[Quarter]:
    """By plain arithmetic over the readings that were recorded by a moment."""
    by_start: dict[int, list[Observation]] = {}
    for segment in segments:
        if segment.record_ms <= as_of_ms:
            for one in segment.readings():
                observation = Observation(
                    0, one.revision, one.interval_ms, one.receive_ms, segment.record_ms, one.values, one.quality
                )
                by_start.setdefault(one.start_ms, []).append(observation)
    groups: dict[int, list[tuple[int, Observation]]] = {}
    for start_ms, some in sorted(by_start.items()):
        groups.setdefault(start_ms - start_ms % QUARTER_MS, []).append((start_ms, settle(some)[0]))

    def total(some: list[tuple[int, Observation]], position: int) -> int | None:
        energies = [int(energy) for _, one in some if (energy := one.values[position]) is not None]
        return sum(energies) if energies else None

    def count(some: list[tuple[int, Observation]], name: str) -> int:
        return sum(one.quality in QUALITY_COUNTS[name] for _, one in some)

    return [
        Quarter(
            at_ms,
            max(start_ms + one.interval_ms for start_ms, one in some),
            total(some, 0),
            len(some),
            count(some, "estimated_count"),
            total(some, 1),
            count(some, "edited_count"),
            sum(one.interval_ms for _, one in some),
            count(some, "substituted_count"),
        )
        for at_ms, some in sorted(groups.items())
    ]


@pytest.mark.parametrize("folded", ["nothing", "some", "everything"])
async def test_a_moment_has_what_had_been_recorded_by_then(database: Database, folded: str) -> None:
    """Whatever is folded since, and of every moment at which something was recorded."""
    store, segments = await store_on(database), history(7)
    for place, segment in enumerate(segments):
        await store.take([segment])
        if folded == "everything" or (folded == "some" and place == len(segments) // 2):
            await store.fold_everything()
    end_ms = START_MS + MINUTES * MINUTE_MS

    for segment in segments:
        found = await store.usage.quarters(DEVICE, START_MS, end_ms, segment.record_ms)
        assert found == recomputed(segments, segment.record_ms)
    assert await store.usage.quarters(DEVICE, START_MS, end_ms, 999) == []
    assert any(one.estimated_reading_count and one.substituted_reading_count for one in found)


@pytest.mark.parametrize(("first_ms", "last_ms"), [(QUARTER_MS, 3 * HOUR_MS), (20 * MINUTE_MS, 133 * MINUTE_MS)])
async def test_a_window_has_its_own_readings_only(database: Database, first_ms: int, last_ms: int) -> None:
    """Also one that cuts hours, or quarter-hours, as the midnights of some old clocks do."""
    store, segments = await store_on(database), history(8)
    await store.take(segments)
    await store.fold_everything()
    start_ms, end_ms = START_MS + first_ms, START_MS + last_ms

    found = await store.usage.quarters(DEVICE, start_ms, end_ms, 10_000)

    def inside(one: LoggedReading) -> bool:
        return start_ms <= one.start_ms < end_ms

    cut = [
        replace(one, kinds=())
        if not any(map(inside, one.readings()))
        else Segment.of(one.batch_id, 0, "w", 1, 0, one.record_ms, [each for each in one.readings() if inside(each)])
        for one in segments
    ]
    assert found == recomputed(cut, 10_000)


async def test_readings_folded_while_it_is_read_change_nothing(database: Database) -> None:
    """Of a moment before them; again and again, with a fold on its way."""
    store, segments = await store_on(database), history(9)
    await store.take(segments[:4])
    await store.fold_everything()
    as_of_ms = segments[3].record_ms
    expected = recomputed(segments, as_of_ms)

    async def fold_the_rest() -> None:
        for segment in segments[4:]:
            await store.take([segment])
            await store.fold_everything()

    async def read() -> list[list[Quarter]]:
        return [await store.usage.quarters(DEVICE, START_MS, START_MS + 6 * HOUR_MS, as_of_ms) for _ in range(12)]

    found, _ = await asyncio.gather(read(), fold_the_rest())

    assert all(one == expected for one in found)


async def test_more_that_has_changed_since_than_one_question_may_read_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hours are too many where four are allowed."""
    store, segments = await store_on(database), history(10)
    await store.take(segments)
    await store.fold_everything()
    monkeypatch.setattr("billing.usage.billed_quarters.SPANS_MAXIMUM", 4)

    assert SPANS_MAXIMUM > 4
    with pytest.raises(RequestTooExpensive):
        await store.usage.quarters(DEVICE, START_MS, START_MS + 6 * HOUR_MS, 1_000)
