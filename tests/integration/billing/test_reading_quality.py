"""Estimates and edits in the real store: they travel the same way, give way as they should, and are counted apart."""

import itertools
from collections import Counter

import pytest

from billing.cold.span import readings_of
from billing.cold.usage_bucket import Bucket
from billing.cold.usage_pipeline import UsageQuery
from billing.log.kind_columns import LoggedReading
from billing.log.reading_quality import ESTIMATE_REVISION_FIRST, ReadingQuality
from billing.log.schema import METER
from billing.log.segment import Segment
from common.mongo import Database
from tests.integration.billing.readings import MINUTE_MS
from tests.integration.billing.store import DEVICE, PARTITION, instant_ms, store_on
from tests.integration.billing.test_usage_of_days import roll_up

START_MS = instant_ms("2026-03-01T00:00:00")


def reading(minute: int, energy: int, revision: int = 0, quality: int = 0) -> LoggedReading:
    """A reading of one minute with this import."""
    at_ms = START_MS + minute * MINUTE_MS
    return LoggedReading(
        "meter", DEVICE, at_ms, MINUTE_MS, revision, at_ms + 1, (energy, *[None] * (len(METER.columns) - 1)), quality
    )


MEASURED = [reading(minute, 1000 + minute) for minute in range(150) if not 20 <= minute < 90]
ESTIMATED = [reading(minute, 5, ESTIMATE_REVISION_FIRST, 1 + minute % 2) for minute in range(150) if 15 <= minute < 60]
EDITED = [reading(minute, 7, 1, ReadingQuality.EDITED) for minute in (3, 64, 100)]
# What whoever read the meter sent in the place of measurements: those count like any reading of their revision.
SENT = [reading(minute, 9, 2, ReadingQuality.SENT_SUBSTITUTED) for minute in (4, 5, 101)] + [
    reading(minute, 11, 0, ReadingQuality.SENT_ESTIMATED) for minute in (66, 67)
]
SEGMENTS = {
    name: Segment.of(name, PARTITION, "w", number, 0, 1000 + number, some)
    for number, (name, some) in enumerate(
        [("measured", MEASURED), ("estimated", ESTIMATED), ("edited", EDITED), ("sent", SENT)]
    )
}
# What counts in the end: 3 and 100 were measured and edited, 64 only edited; 15 to 19 were measured and estimated.
EXPECTED = {
    **{one.start_ms: one for one in ESTIMATED},
    **{one.start_ms: one for one in MEASURED},
    **{one.start_ms: one for one in EDITED},
    **{one.start_ms: one for one in SENT},
}
ESTIMATES = {ReadingQuality.INTERPOLATED, ReadingQuality.REFERENCE_DAYS, ReadingQuality.SENT_ESTIMATED}


@pytest.mark.parametrize("order", list(itertools.permutations(SEGMENTS)), ids="-".join)
async def test_what_counts_does_not_depend_on_what_came_first(database: Database, order: tuple[str, ...]) -> None:
    """Readings above estimates, edits above readings; all folded, none folded, and any part of it."""
    store = await store_on(database)
    for name in order[:2]:
        await store.take([SEGMENTS[name]])
        await store.fold_everything()
    await store.take([SEGMENTS[name] for name in order[2:]])

    found = {
        at_ms: (observation.values[0], observation.quality)
        async for key, span in store.usage.spans(METER, DEVICE, 0, START_MS * 2)
        for at_ms, observation, superseded in readings_of(key, span, 0, START_MS * 2)
        if not superseded
    }

    assert found == {at_ms: (one.values[0], one.quality) for at_ms, one in EXPECTED.items()}


@pytest.mark.parametrize("bucket", ["minute", "quarter_hour", "hour", "local_day"])
@pytest.mark.parametrize("folded", ["none", "some", "all", "rolled_up"])
async def test_usage_counts_what_was_not_measured(database: Database, bucket: Bucket, folded: str) -> None:
    """The database counts estimates and edits as plain Python does, in each interval."""
    store = await store_on(database)
    await store.take([SEGMENTS["measured"], SEGMENTS["estimated"]])
    if folded != "none":
        await store.fold_everything()
    await store.take([SEGMENTS["edited"], SEGMENTS["sent"]])
    if folded in {"all", "rolled_up"}:
        await store.fold_everything()
    if folded == "rolled_up":
        await roll_up(store, database)
    lengths = {
        "minute": MINUTE_MS,
        "quarter_hour": 15 * MINUTE_MS,
        "hour": 60 * MINUTE_MS,
        "local_day": 24 * 60 * MINUTE_MS,
    }
    length_ms = lengths[bucket]
    start_ms, end_ms = START_MS + 2 * MINUTE_MS, START_MS + 140 * MINUTE_MS

    found = await store.usage.intervals(UsageQuery(METER, DEVICE, start_ms, end_ms, bucket), limit=10_000)

    counts = {name: Counter[int]() for name in ("all", "estimated", "edited", "substituted")}
    for at_ms, one in EXPECTED.items():
        if start_ms <= at_ms < end_ms:
            bucket_ms = at_ms - at_ms % length_ms
            counts["all"][bucket_ms] += 1
            counts["estimated"][bucket_ms] += one.quality in ESTIMATES
            counts["substituted"][bucket_ms] += one.quality == ReadingQuality.SENT_SUBSTITUTED
            counts["edited"][bucket_ms] += one.quality == ReadingQuality.EDITED
    assert {at_ms: usage.reading_count for at_ms, usage in found} == counts["all"]
    assert {at_ms: usage.estimated_count for at_ms, usage in found} == dict(counts["estimated"])
    assert {at_ms: usage.edited_count for at_ms, usage in found} == dict(counts["edited"])
    assert {at_ms: usage.substituted_count for at_ms, usage in found} == dict(counts["substituted"])


async def test_a_bill_knows_its_estimates(database: Database) -> None:
    """The quarter-hours that bills are rated from carry the count of estimates."""
    store = await store_on(database)
    await store.take(list(SEGMENTS.values()))
    await store.fold_everything()

    found = await store.usage.quarters(DEVICE, START_MS, START_MS + 60 * MINUTE_MS)

    assert [(one.reading_count, one.estimated_reading_count, one.substituted_reading_count) for one in found] == [
        (15, 0, 2),
        (15, 10, 0),
        (15, 15, 0),
        (15, 15, 0),
    ]


async def test_the_newest_reading_is_one_that_the_device_sent(database: Database) -> None:
    """An estimate or an edit of later minutes is no sign of life."""
    store = await store_on(database)
    later = [
        reading(minute, 5, revision, quality)
        for minute, revision, quality in [
            (150, ESTIMATE_REVISION_FIRST, ReadingQuality.INTERPOLATED),
            (149, 1, ReadingQuality.EDITED),
            (151, 0, ReadingQuality.SENT_ESTIMATED),
        ]
    ]
    await store.take([*SEGMENTS.values(), Segment.of("later", PARTITION, "w", 9, 0, 2000, later)])
    await store.fold_everything()

    latest = (await store.live.find([DEVICE]))[DEVICE]

    assert (latest.start_ms, latest.observation.values[0]) == (MEASURED[-1].start_ms, MEASURED[-1].values[0])
