"""Readings in the real store: nothing is counted twice, and the database adds up what plain Python adds up."""

import random

import pytest

from billing.cold.span import readings_of
from billing.cold.usage_bucket import Bucket
from billing.cold.usage_pipeline import UsageQuery
from billing.log.kind_columns import LoggedReading
from billing.log.schema import KINDS, METER
from billing.log.segment import Segment
from billing.log.tail import Tail
from common.mongo import Database
from tests.integration.billing.readings import MINUTE_MS, counting, energy_by_bucket, meter_readings, segments
from tests.integration.billing.store import DEVICE, PARTITION, PARTITIONS, instant_ms, store_on

# How often a document was written, and what is still to be done for it, depend on who came first.
PASSING = {"version", "versions", "due_at"}


async def dump(database: Database) -> dict[str, list[dict[str, object]]]:
    """Every document that is made of what is in the log, by collection."""
    derived = [name for kind in KINDS.values() for name in (kind.history, kind.days, kind.live)]
    return {
        name: [
            {field: value for field, value in document.items() if field not in PASSING}
            async for document in database[name].find().sort("_id", 1)
        ]
        for name in derived
    }


async def test_every_segment_twice_and_in_reverse_gives_the_same_documents(database: Database) -> None:
    """Redelivery and disorder leave no trace in the cold and hot collections."""
    readings = meter_readings(1, DEVICE, instant_ms("2026-03-01T00:30:00"), minutes=300)
    some = segments(readings, 40, PARTITION)
    clean = await store_on(database)
    await clean.take(some)
    await clean.fold_everything()
    expected = await dump(database)

    await clean.take(some)
    await clean.take([*reversed(some)])
    await clean.fold_everything()

    assert await dump(database) == expected
    assert len(expected["meter_history"]) == 6

    other_name = f"{database.name}_other"
    other = await store_on(database.client[other_name])
    for segment in reversed(some):
        await other.take([segment])
        await other.fold_everything()
    assert await dump(database.client[other_name]) == expected
    await database.client.drop_database(other_name)


async def test_two_mergers_on_the_same_segments_give_the_documents_of_one(database: Database) -> None:
    """Two processes that both believe a partition is theirs do no harm."""
    readings = meter_readings(2, DEVICE, instant_ms("2026-03-01T00:30:00"), minutes=120)
    some = segments(readings, 10, PARTITION)
    one, two = await store_on(database), await store_on(database)
    await one.take(some)
    await two.merger.recover()

    for _ in range(20):
        await one.merger.fold_due(everything=True)
        await two.merger.fold_due(everything=True)

    usage = await one.usage.by_device(METER, [DEVICE], 0, instant_ms("2027-01-01T00:00:00"))
    assert usage[DEVICE].reading_count == 120
    assert await one.log.unmerged_ids(range(PARTITIONS)) == []


@pytest.mark.parametrize("bucket", ["minute", "quarter_hour", "hour", "local_day"])
@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("Asia/Kolkata", "2026-03-01T17:40:00"),
        ("America/New_York", "2026-03-08T03:10:00"),
        ("America/New_York", "2026-11-01T03:10:00"),
        ("Europe/Berlin", "2026-10-24T22:05:00"),
    ],
)
async def test_the_database_adds_up_like_plain_python(
    database: Database, bucket: Bucket, zone: str, start: str
) -> None:
    """Usage by the local clock, clock changes among it, some of it folded and some still in the log."""
    store = await store_on(database)
    start_ms, minutes = instant_ms(start), 1700
    readings = meter_readings(3, DEVICE, start_ms, minutes)
    early, late = readings[:2000:2], readings[1::2]
    await store.take(segments(early, 100, PARTITION, "early"))
    await store.fold_everything()
    await store.take(segments(late, 100, PARTITION, "late"))
    first_ms, end_ms = start_ms + 7 * MINUTE_MS, start_ms + (minutes - 11) * MINUTE_MS

    found = await store.usage.intervals(UsageQuery(METER, DEVICE, first_ms, end_ms, bucket, zone), limit=10_000)

    expected = energy_by_bucket(
        [one for one in counting([*early, *late]) if first_ms <= one.start_ms < end_ms], bucket, zone
    )
    assert {at_ms: usage.energies.get("import_milliwatt_hours") for at_ms, usage in found} == expected
    assert sum(usage.reading_count for _, usage in found) == minutes - 18


async def test_means_and_extremes_come_from_the_readings_that_carried_them(database: Database) -> None:
    """Power is averaged over measured time and temperature over measured readings, folded or not."""
    store = await store_on(database)
    start_ms = instant_ms("2026-03-01T00:20:00")
    readings = meter_readings(4, DEVICE, start_ms, 200)
    await store.take(segments(readings, 50, PARTITION))
    window = (start_ms + 5 * MINUTE_MS, start_ms + 190 * MINUTE_MS)
    some = [one for one in counting(readings) if window[0] <= one.start_ms < window[1]]
    powers = [power for one in some if (power := one.values[4]) is not None]
    degrees = [temperature for one in some if (temperature := one.values[9]) is not None]

    for _ in range(2):
        usage = (await store.usage.by_device(METER, [DEVICE], *window))[DEVICE]

        assert usage.mean_power_kw == pytest.approx(sum(powers) / len(powers))
        assert usage.maximum_power_kw == max(powers)
        assert usage.mean_temperature_celsius == pytest.approx(sum(degrees) / len(degrees))
        assert usage.covered_ms == len(some) * MINUTE_MS
        await store.fold_everything()


async def test_a_device_without_readings_has_no_usage(database: Database) -> None:
    """Absent is absent, not zero."""
    store = await store_on(database)

    assert await store.usage.by_device(METER, ["nobody"], 0, 1) == {}


async def test_readings_come_back_as_they_were_sent(database: Database) -> None:
    """Listing gives each start once, superseded ones beside, from the tail and the cold documents alike."""
    store = await store_on(database)
    start_ms = instant_ms("2026-03-01T00:20:00")
    readings = meter_readings(5, DEVICE, start_ms, 150, revision_share=0.5)
    shuffled = random.Random(1).sample(readings, len(readings))
    await store.take(segments(shuffled[:100], 30, PARTITION, "early"))
    await store.fold_everything()
    await store.take(segments(shuffled[100:], 30, PARTITION, "late"))
    end_ms = start_ms + 140 * MINUTE_MS

    found = [
        (at_ms, observation.revision, observation.values, superseded)
        async for key, span in store.usage.spans(METER, DEVICE, start_ms, end_ms)
        for at_ms, observation, superseded in readings_of(key, span, start_ms, end_ms)
    ]

    best = {one.start_ms: one.revision for one in counting(readings)}
    expected = [
        (one.start_ms, one.revision, one.values, one.revision < best[one.start_ms])
        for one in sorted(readings, key=lambda one: (one.start_ms, -one.revision))
        if one.start_ms < end_ms
    ]
    assert found == expected


async def test_what_another_process_logged_is_read_and_later_folded(database: Database) -> None:
    """A crash after the write to the log loses nothing: reads see it at once, the merger finds it."""
    store = await store_on(database)
    start_ms = instant_ms("2026-03-01T00:00:00")
    await store.take(segments(meter_readings(6, DEVICE, start_ms, 60, 0), 20, PARTITION), hold=False)

    before = await store.usage.by_device(METER, [DEVICE], start_ms, start_ms + 60 * MINUTE_MS)
    await store.merger.recover()
    await store.fold_everything()
    after = await store.usage.by_device(METER, [DEVICE], start_ms, start_ms + 60 * MINUTE_MS)

    assert before == after
    assert after[DEVICE].reading_count == 60
    assert await store.log.unmerged_ids(range(PARTITIONS)) == []


async def test_a_span_too_large_for_a_document_is_set_aside_and_holds_up_nobody(database: Database) -> None:
    """A device that sends a reading a few milliseconds apart cannot stop the folding of others."""
    store = await store_on(database)
    start_ms = instant_ms("2026-03-01T00:00:00")
    values = (1, 2, 3, 4, *[1.5] * 6, 1, 1)
    flood = [LoggedReading("meter", "flood", start_ms + at, 1, 0, start_ms, values) for at in range(100_000)]
    store.tail = store.merger._tail = Tail(1_000_000)
    good = meter_readings(9, DEVICE, start_ms, 60, 0)
    await store.take(
        [Segment.of("b-flood", PARTITION, "w", 1, 0, 5, [*flood, good[0]]), *segments(good[1:], 59, PARTITION)]
    )

    await store.fold_everything()

    assert await store.log.unmerged_ids() == []
    assert [document["_id"] async for document in database["readings_quarantined"].find()] == ["b-flood"]
    spans = [document["device_id"] async for document in database[METER.history].find({}, {"device_id": 1})]
    assert spans == [DEVICE]
    assert (await store.usage.by_device(METER, [DEVICE], start_ms, start_ms + 3_600_000))[DEVICE].reading_count == 60


async def test_the_newest_reading_only_moves_forward(database: Database) -> None:
    """The hot document keeps the latest start whatever comes later."""
    store = await store_on(database)
    start_ms = instant_ms("2026-03-01T00:00:00")
    new, old = (segments(meter_readings(7, DEVICE, at, 5, 0), 5, PARTITION, f"at-{at}") for at in (start_ms, 1_000_000))
    await store.take(new)
    await store.fold_everything()

    await store.take(old)
    await store.fold_everything()

    latest = (await store.live.find([DEVICE]))[DEVICE]
    assert latest.start_ms == start_ms + 4 * MINUTE_MS
