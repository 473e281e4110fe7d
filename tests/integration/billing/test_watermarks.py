"""Watermarks on the real store: two owners, a successor that looks into the log, and partitions that grow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from prometheus_client import CollectorRegistry

from billing.log.batch_codec import DecodedBatch
from billing.log.complete_through import CompleteThrough
from billing.log.completeness import MissingBatches, PartitionCompleteness, Position, Watermark
from billing.log.log_store import LogStore
from billing.log.segment import Segment
from billing.log.watermark_store import WatermarkStore
from billing.log.watermarks import Watermarks
from common.batch_identity import batch_id_of
from common.mongo import Database
from tests.integration.billing.readings import meter_readings, segments

PARTITION = 3
LIMIT_SECONDS = 20


class Clock:
    """A steady clock that stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


def empty_batch(number: int, create_ms: int, partition_count: int = 0, writer: str = "w") -> DecodedBatch:
    """A batch without readings."""
    segment = Segment.of(f"{writer}-{number}", PARTITION, writer, number, create_ms, create_ms + 1, [])
    return DecodedBatch(segment, [], partition_count)


@asynccontextmanager
async def keeping(
    database: Database, clock: Clock, registry: CollectorRegistry | None = None
) -> AsyncIterator[Watermarks]:
    """One replica's watermarks, at work."""
    watermarks = Watermarks(
        WatermarkStore(database), registry or CollectorRegistry(), steady_clock=clock, now_ms=lambda: 10_000
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(watermarks.run())
        yield watermarks
        running.cancel()


async def test_the_watermark_of_two_owners_is_the_greater_in_each_field(database: Database) -> None:
    """Whoever writes last, what the other has told stays."""
    store = WatermarkStore(database)
    nothing = Watermark()
    further = Watermark(2_000, 8, {"w": Position(2, 2_000), "v": Position(1, 500)})
    behind = Watermark(1_000, 4, {"w": Position(1, 1_000)})

    await store.raise_to({PARTITION: (nothing, further)})
    await store.raise_to({PARTITION: (nothing, behind)})

    assert await store.load(PARTITION) == further


async def test_batches_behind_a_gap_are_at_rest_until_it_is_closed(database: Database) -> None:
    """A tick behind a gap is in no log, so its number is kept here."""
    store = WatermarkStore(database)
    gap = Watermark(1_000, 0, {"w": Position(1, 1_000)}, {"w": {3: 3_000, 4: 3_500}, "new": {2: 2_000}})
    closed = Watermark(3_500, 0, {"w": Position(4, 3_500)}, {"new": {2: 2_000}})

    await store.raise_to({PARTITION: (Watermark(), gap)})
    assert await store.load(PARTITION) == gap
    await store.raise_to({PARTITION: (gap, closed)})
    assert await store.load(PARTITION) == closed
    await store.raise_to({PARTITION: (closed, Watermark(3_600, 0, {"w": Position(5, 3_600)}))})
    assert await store.load(PARTITION) == Watermark(3_600, 0, {"w": Position(5, 3_600)})


async def test_a_forgotten_writer_leaves_the_watermark(database: Database) -> None:
    """So that the document does not grow with every restart."""
    store = WatermarkStore(database)
    before = Watermark(2_000, 0, {"w": Position(2, 2_000), "old": Position(1, 500)})
    await store.raise_to({PARTITION: (Watermark(), before)})

    await store.raise_to({PARTITION: (before, Watermark(3_000, 0, {"w": Position(3, 3_000)}))})

    assert await store.load(PARTITION) == Watermark(3_000, 0, {"w": Position(3, 3_000)})


async def test_a_successor_finds_in_the_log_what_its_predecessor_could_not_store(database: Database) -> None:
    """A replica killed between the write to the log and the watermark leaves a gap that the log fills."""
    store, log, clock = WatermarkStore(database), LogStore(database), Clock()
    await store.raise_to({PARTITION: (Watermark(), Watermark(1_000, 0, {"w": Position(1, 1_000)}))})
    some = segments(meter_readings(1, "m-1", 0, minutes=2, revision_share=0), 1, PARTITION)
    logged = [
        replace(one, batch_id=batch_id_of("w", PARTITION, number), sequence=number, create_ms=2_000)
        for number, one in enumerate(some, start=2)
    ]
    await log.append(logged)
    async with keeping(database, clock) as successor:
        state = await successor.open(PARTITION)
        successor.recorded(state, [empty_batch(4, 4_000)])
        assert state.complete_through_ms == 1_000
        assert state.missing() == [MissingBatches("w", 2, 3)]

        await _until_found(state)
        successor.recorded(state, [empty_batch(5, 5_000)])
        await successor.stored()

    assert await store.load(PARTITION) == Watermark(5_000, 0, {"w": Position(5, 5_000)})


async def test_a_batch_that_is_folded_already_is_found_by_what_follows_from_its_number(database: Database) -> None:
    """A gap does not stay for a minute because folding was faster than the successor."""
    log = LogStore(database)
    some = segments(meter_readings(1, "m-1", 0, minutes=2, revision_share=0), 1, PARTITION)
    logged = [
        replace(one, batch_id=batch_id_of("w", PARTITION, number), sequence=number, create_ms=number * 1_000)
        for number, one in enumerate(some, start=2)
    ]
    await log.append(logged)
    await log.mark_merged([one.batch_id for one in logged])

    found = await WatermarkStore(database).find_in_log(PARTITION, MissingBatches("w", 2, 4))

    assert found == {2: 2_000, 3: 3_000}


async def test_an_answer_rests_on_the_slowest_partition(database: Database) -> None:
    """The least of all, once each has told; nothing before."""
    store = WatermarkStore(database)
    complete = CompleteThrough(store)
    assert await complete.refresh() is None

    await store.raise_to({0: (Watermark(), Watermark(5_000, 2))})
    assert await complete.refresh() is None

    await store.raise_to({1: (Watermark(), Watermark(3_000, 2))})
    assert await complete.refresh() == 3_000


async def test_partitions_that_are_new_hold_answers_where_the_old_ones_were(database: Database) -> None:
    """Who first tells of more partitions vouches for them up to the moment before, and no further."""
    store, clock = WatermarkStore(database), Clock()
    complete = CompleteThrough(store)
    await store.raise_to({partition: (Watermark(), Watermark(1_000, 4)) for partition in range(4)})
    async with keeping(database, clock) as replica:
        state = await replica.open(PARTITION)
        replica.recorded(state, [empty_batch(1, 2_000, partition_count=4)])
        await replica.stored()
        replica.recorded(state, [empty_batch(2, 3_000, partition_count=6)])
        await replica.stored()
    everywhere = await store.load_all()

    assert {partition: known.complete_through_ms for partition, known in everywhere.items()} == {
        0: 1_000,
        1: 1_000,
        2: 1_000,
        3: 3_000,
        4: 2_000,
        5: 2_000,
    }
    assert await complete.refresh() == 1_000


async def test_the_lag_of_a_partition_is_a_figure_while_it_is_consumed(database: Database) -> None:
    """Seconds behind now, by partition, and gone with the lease."""
    registry = CollectorRegistry()
    async with keeping(database, Clock(), registry) as replica:
        state = await replica.open(PARTITION)
        replica.recorded(state, [empty_batch(1, 7_500)])
        labels = {"partition": str(PARTITION)}
        assert registry.get_sample_value("billing_complete_through_lag_seconds", labels) == 2.5

        await replica.close(PARTITION)
        assert registry.get_sample_value("billing_complete_through_lag_seconds", labels) is None
    assert (await WatermarkStore(database).load(PARTITION)).complete_through_ms == 7_500


async def _until_found(state: PartitionCompleteness) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while state.missing():  # noqa: ASYNC110 - the round of another task has no event
            await asyncio.sleep(0.02)
