"""Segments carry their traces over the store, to whichever process folds them."""

from dataclasses import replace

from common.mongo import Database
from tests.integration.billing.readings import meter_readings, segments
from tests.integration.billing.store import PARTITION, store_on
from tests.kept_spans import KeptSpans, links_of, parent_of, traceparent_of

START_MS = 1_772_323_200_000
MERGE = "merge segments"
ONE, TWO = (f"00-{digit * 32}-{digit * 16}-01" for digit in "12")


async def test_a_merge_goes_on_in_the_trace_of_each_segment_that_another_process_has_logged(
    database: Database,
) -> None:
    """Those that are folded at once are tied; one that is not traced has no span, and no mark in its document."""
    some = segments(meter_readings(1, "m-1", START_MS, 36, 0.0), 12, PARTITION)
    traced = [replace(some[0], traceparent=ONE), some[1], replace(some[2], traceparent=TWO)]
    await (await store_on(database)).take(traced, hold=False)
    kept = KeptSpans()
    folding = await store_on(database, kept.tracing)

    await folding.merger.recover()
    await folding.fold_everything()

    by_parent = {parent_of(span): span for span in kept.ended(MERGE)}
    batch_ids = {parent: (span.attributes or {})["gridmesh.batch.id"] for parent, span in by_parent.items()}
    assert batch_ids == {ONE: traced[0].batch_id, TWO: traced[2].batch_id}
    first, second = kept.ended(MERGE)
    assert links_of(first) == [parent_of(second)]
    assert links_of(second) == [traceparent_of(first)]
    assert {(span.attributes or {})["gridmesh.readings.count"] for span in (first, second)} == {36}
    stored = {found["_id"]: found.get("traceparent") async for found in database["readings_log"].find()}
    assert stored == {traced[0].batch_id: ONE, traced[1].batch_id: None, traced[2].batch_id: TWO}
    assert await folding.log.unmerged_ids() == []


async def test_a_process_without_tracing_folds_traced_segments_all_the_same(database: Database) -> None:
    """The traceparent is of no concern to it."""
    (segment,) = segments(meter_readings(1, "m-1", START_MS, 12, 0.0), 12, PARTITION)
    store = await store_on(database)

    await store.take([replace(segment, traceparent=ONE)])
    await store.fold_everything()

    assert await store.log.unmerged_ids() == []
    (loaded,) = await store.log.load([segment.batch_id])
    assert (loaded.traceparent, loaded.readings()) == (ONE, segment.readings())
