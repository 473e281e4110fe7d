"""More waits in the log than memory may hold: it is folded span by span, and every document is written once."""

import itertools

from prometheus_client import CollectorRegistry

from billing.cold.history_store import HistoryStore
from billing.cold.merger import Merger, MergeSettings
from billing.cold.merger_metrics import MergerMetrics
from billing.cold.quarantine_store import QuarantineStore
from billing.live.live_store import LiveStore
from billing.log.kind_columns import LoggedReading
from billing.log.log_store import LogStore
from billing.log.log_writer import LogWriter
from billing.log.schema import HOUR_MS, METER
from billing.log.segment import Segment
from billing.log.tail import Tail
from common.mongo import Database
from tests.integration.billing.store import instant_ms, store_on

MINUTES = range(0, 180, 5)
DEVICES = ("m-1", "m-2")
PARTITIONS = (0, 1)
START_MS = instant_ms("2027-01-01T00:00:00")


def segment(partition: int, minute: int) -> Segment:
    """What the devices of a partition send at a minute."""
    at_ms = START_MS + minute * 60_000
    readings = [
        LoggedReading(
            "meter", f"{device}-{partition}", at_ms, 300_000, 0, at_ms, (minute, *(None,) * (len(METER.columns) - 1))
        )
        for device in DEVICES
    ]
    return Segment.of(f"b-{partition}-{minute}", partition, "w", minute + 1, at_ms, at_ms, readings)


async def test_a_backlog_larger_than_memory_is_folded_span_by_span(database: Database) -> None:
    """Taken as it came, from all partitions, each span would be written again with every few readings."""
    log, history = LogStore(database), HistoryStore(database)
    await history.prepare()
    # An hour of a partition is 24 readings: there is room for little more than one of both.
    tail, ticks = Tail(reading_limit=60), itertools.count()
    for minute in MINUTES:
        some = [segment(partition, minute) for partition in PARTITIONS]
        await log.append(some)
        for one in some:
            tail.hold(one, 0.0)
    assert tail.is_refusing
    merger = Merger(
        tail=tail,
        log=log,
        history=history,
        live=LiveStore(database),
        partitions=lambda: frozenset(PARTITIONS),
        settings=MergeSettings(wait_seconds=0.0, readings_per_round=30, search_seconds=1.0),
        metrics=MergerMetrics(CollectorRegistry()),
        publish=lambda _: None,
        give_way=LogWriter(log),
        clock=lambda: float(next(ticks)),
        quarantine=QuarantineStore(database),
    )

    while await log.unmerged_ids() or tail.is_refusing:
        await merger.recover()
        await merger.fold_due()

    documents = [document async for document in database["meter_history"].find().sort("_id", 1)]
    assert [len(document["offset_ms"]) for document in documents] == [12] * 12
    # Nothing tells that the newest hour is over: it may be taken in pieces.
    writes = {
        document["_id"]: document["version"]
        for document in documents
        if document["span_start"].timestamp() * 1000 < START_MS + 2 * HOUR_MS
    }
    assert len(writes) == 8
    assert set(writes.values()) == {1}
    assert tail.reading_count == 0
    assert tail.hold(segment(0, 200), 0.0)


async def test_marks_that_a_crash_left_without_a_segment_keep_nobody_from_memory(database: Database) -> None:
    """However many there are: what is new is held again once all that is in the log is here."""
    store = await store_on(database)
    marks = [{"_id": f"lost-{number}", "partition": 0, "logged_by": "gone"} for number in range(300)]
    await database["readings_unmerged"].insert_many(marks)
    tail = store.tail
    tail.refuse()

    await store.merger.recover()
    await store.merger.recover()

    assert not tail.is_refusing
    assert tail.hold(segment(0, 0), 0.0)
