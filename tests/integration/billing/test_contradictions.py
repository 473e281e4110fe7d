"""Devices that contradict themselves: it is told, bounded at rest, and what was known at a moment stays."""

import pytest
from energy.billing.v1 import validation_pb2
from prometheus_client import CollectorRegistry

from billing.cold.history_store import HistoryStore
from billing.cold.sealed_day_store import SealedDayStore
from billing.cold.span import SUPERSEDED_MAXIMUM
from billing.cold.usage_pipeline import UsageQuery
from billing.log.reading_quality import ReadingQuality
from billing.log.schema import METER
from billing.log.segment import Segment, of_devices
from billing.metering.reading_conflicts import ConflictReport
from billing.retention.log_retention import LogRetention, LogRetentionMetrics
from common.errors import RequestTooExpensive
from common.mongo import Database
from tests.integration.billing.store import DEVICE, PARTITION, Store, store_on
from tests.integration.billing.test_validation_service import (
    DAY_MS,
    KWH,
    MONDAY_MS,
    QUARTER_MS,
    Door,
    door,
    edit,
    energy_of,
    log,
    quarter,
    request,
)


def segment(batch_id: str, record_ms: int, energy: int, revision: int = 0) -> Segment:
    """One reading of the first quarter-hour of Monday, recorded at an instant."""
    return Segment.of(batch_id, PARTITION, "w", 1, 0, record_ms, [quarter(0, energy, revision)])


async def energy_as_of(store: Store, as_of_ms: int) -> int | None:
    """What was known of the import of that hour at a moment."""
    query = UsageQuery(METER, DEVICE, MONDAY_MS, MONDAY_MS + 4 * QUARTER_MS, "hour", "UTC")
    found = await store.usage.intervals(query, None, as_of_ms)
    return found[0][1].energies["import_milliwatt_hours"] if found else None


async def no_waiting(_: float) -> None:
    """Nobody else wants the store."""


async def test_a_device_that_corrects_itself_without_end_keeps_a_document_of_bounded_size(database: Database) -> None:
    """Five hundred corrections of one start: few of them in the document, none lost, and every moment is answered."""
    store = await store_on(database)
    some = [segment(f"b-{number}", 1_000 + number, number, revision=number) for number in range(500)]
    for first in range(0, len(some), 100):
        await store.take(some[first : first + 100])
        await store.fold_everything()

    (document,) = [found async for found in database[METER.history].find()]
    assert len(document["superseded"]["offset_ms"]) == SUPERSEDED_MAXIMUM
    assert await database["readings_superseded"].count_documents({}) == 499 - SUPERSEDED_MAXIMUM
    assert [await energy_as_of(store, 1_000 + number) for number in (0, 7, 250, 480, 498, 499)] == [
        0,
        7,
        250,
        480,
        498,
        499,
    ]
    assert await energy_as_of(store, 999) is None

    retention = LogRetention(
        store.log, store.history, SealedDayStore(database), 2, LogRetentionMetrics(CollectorRegistry()), no_waiting
    )
    await retention.let_go()
    assert await database["readings_log"].count_documents({"expire_at": {"$exists": True}}) == 500


async def test_a_bounded_document_is_the_same_whatever_the_order_of_the_corrections(database: Database) -> None:
    """Also when the oldest revision comes last, and twice."""
    some = [segment(f"b-{number}", 1_000 + number, number, revision=number) for number in range(40)]
    documents = []
    for name, order in (("forward", some), ("backward", [*reversed(some), some[0]])):
        other = database.client[f"{database.name}_{name}"]
        store = await store_on(other)
        for one in order:
            await store.take([one])
            await store.fold_everything()
        kept = [found async for found in other[METER.history].find({}, {"version": 0})]
        beside = [found async for found in other["readings_superseded"].find().sort("_id", 1)]
        documents.append((kept, beside))
        await database.client.drop_database(other.name)

    assert documents[0] == documents[1]


async def test_what_waits_to_be_folded_is_displaced_beside_and_expires_with_its_span(database: Database) -> None:
    """An answer has it before it is folded; when the span is let go of, so is what rests beside it."""
    store = await store_on(database)
    await store.take([segment(f"b-{number}", 1_000 + number, number, revision=number) for number in range(40)])
    before = [await energy_as_of(store, 1_000 + number) for number in range(40)]
    await store.fold_everything()

    assert before == [await energy_as_of(store, 1_000 + number) for number in range(40)] == list(range(40))

    await store.history.expire(METER, DEVICE, MONDAY_MS, MONDAY_MS + DAY_MS, 5)
    assert await database["readings_superseded"].count_documents({"expire_at": {"$exists": False}}) == 0


async def test_a_moment_at_which_too_much_contradicted_itself_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty values of one revision, all weaker than what came afterwards: the question is told to be too dear."""
    monkeypatch.setattr("billing.cold.displaced_store._RIVALS_MAXIMUM", 10)
    store = await store_on(database)
    await store.take([segment(f"b-{number}", 1_000 + number, number) for number in range(30)])
    await store.take([segment(f"c-{number}", 2_000 + number, number, revision=1 + number) for number in range(20)])
    await store.fold_everything()

    assert await energy_as_of(store, 2_019) == 19
    with pytest.raises(RequestTooExpensive):
        await energy_as_of(store, 1_029)


async def test_conflicts_are_counted_once_however_often_they_come(database: Database) -> None:
    """Two starts in conflict are two, and a redelivery is nothing new."""
    store, registry = await store_on(database), CollectorRegistry()
    history = HistoryStore(database, store.days, ConflictReport(registry, lambda: 0.0).tell)
    first, second = ([quarter(place, energy) for place in range(2)] for energy in (5, 6))
    for readings in (first, second, second):
        await history.fold(METER, of_devices(log(*readings), [DEVICE]))

    assert registry.get_sample_value("billing_reading_conflicts_total") == 2


async def open_rules(mesh: Door) -> list[int]:
    """The rules that are broken now."""
    return [one.rule for one in await mesh.exceptions() if not one.HasField("resolved_time")]


async def test_two_values_of_one_revision_are_an_exception_until_an_edit_settles_them(database: Database) -> None:
    """The one received first counts meanwhile."""
    async with door(database) as mesh:
        await mesh.store.take(log(*[quarter(place, energy_of(place)) for place in range(96)]))
        other = quarter(7, energy_of(9))
        await mesh.store.take(
            [Segment.of("b-other", PARTITION, "w", 2, 0, 6, [other._replace(receive_ms=MONDAY_MS * 2)])]
        )
        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        (found,) = await mesh.exceptions()
        assert found.rule == validation_pb2.VALIDATION_RULE_CONFLICT
        assert found.start_time.seconds * 1000 == MONDAY_MS + 7 * QUARTER_MS
        assert (await mesh.counting())[7] == (energy_of(7), ReadingQuality.MEASURED)

        await mesh.stub.EditReadings(request(edit(7, energy_of(7) / KWH, 0)))
        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)
        assert await open_rules(mesh) == []


async def test_a_reading_that_comes_for_an_edited_start_is_an_exception_and_the_edit_counts(database: Database) -> None:
    """Whether the device received its ack before or after the edit."""
    async with door(database) as mesh:
        await mesh.store.take(log(*[quarter(place, energy_of(place)) for place in range(96) if place not in {3, 4}]))
        await mesh.stub.EditReadings(request(edit(3, 0.5, None), edit(4, 0.25, None)))
        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)
        assert await open_rules(mesh) == []

        late = [quarter(3, 7), quarter(4, 8)._replace(receive_ms=MONDAY_MS * 2)]
        await mesh.store.take([Segment.of("b-late", PARTITION, "w", 2, 0, 6, late)])
        await mesh.store.fold_everything()
        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        assert await open_rules(mesh) == [validation_pb2.VALIDATION_RULE_CONFLICT]
        counting = await mesh.counting()
        assert (counting[3], counting[4]) == ((500_000, ReadingQuality.EDITED), (250_000, ReadingQuality.EDITED))
