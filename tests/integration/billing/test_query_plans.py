"""Every question to the store reads its range and nothing beside it: what was sent is sent again to be explained."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandListener

from billing.cold.usage_pipeline import UsageQuery
from billing.cold.usage_sum import Usage
from billing.log.observation import Observation
from billing.log.schema import DAY_MS, HOUR_MS, METER
from billing.metering.reading_exception_store import ReadingExceptionStore
from billing.metering.validation_rule import Finding, Severity, ValidationRule
from billing.usage import usage_store
from billing.validation.reading_edit_store import ReadingEdit, ReadingEditStore
from common.localstack.mesh import Mesh
from common.mongo import Database
from common.topology import partition_of
from tests.integration.billing.readings import MINUTE_MS, meter_readings, segments
from tests.integration.billing.store import PARTITIONS, Store, instant_ms, store_on
from tests.integration.billing.test_usage_of_days import roll_up

DEVICES = [f"meter-{number}" for number in range(6)]
START_MS = instant_ms("2026-03-01T00:00:00")
DAYS = 3
_NOT_EXPLAINED = {"lsid", "$db", "$clusterTime", "$readPreference", "txnNumber", "maxTimeMS"}


class Sent(CommandListener):
    """Keeps the questions that were sent."""

    def __init__(self) -> None:
        self.questions: list[dict[str, Any]] = []

    def started(self, event: Any) -> None:
        """Takes note of one."""
        if event.command_name in {"find", "aggregate"}:
            self.questions.append({name: value for name, value in event.command.items() if name not in _NOT_EXPLAINED})

    def succeeded(self, event: Any) -> None:
        """Nothing to note."""

    def failed(self, event: Any) -> None:
        """Nothing to note."""


class Observed:
    """A filled store, the last day of it not rolled up, and what is asked of it."""

    def __init__(self, store: Store, watched: Database, database: Database, sent: Sent) -> None:
        self.store = store
        self.watched = watched
        self.database = database
        self.sent = sent

    async def require_narrow(self, collection: str, most: int, least: int = 1) -> None:
        """All questions to a collection went by an index and examined so many documents together, at most."""
        await require_narrow(self.sent, self.database, collection, most, least)


async def require_narrow(sent: Sent, database: Database, collection: str, most: int, least: int = 1) -> None:
    """All questions to a collection went by an index and examined so many documents together, at most."""
    examined = 0
    asked = [one for one in sent.questions if collection in (one.get("find"), one.get("aggregate"))]
    assert asked
    for question in asked:
        plan = await database.command({"explain": question, "verbosity": "executionStats"})
        stages = set(named(plan, "stage"))
        assert stages & {"IXSCAN", "IDHACK", "EXPRESS_IXSCAN"}
        assert "COLLSCAN" not in stages
        examined += max(named(plan, "totalDocsExamined"))
    assert least <= examined <= most


def named(plan: Any, name: str) -> Iterator[Any]:
    """Every value of a name, however deep in a plan: servers nest them differently."""
    if isinstance(plan, dict):
        for key, value in plan.items():
            if key == name:
                yield value
            yield from named(value, name)
    elif isinstance(plan, list):
        for value in plan:
            yield from named(value, name)


@pytest_asyncio.fixture(loop_scope="session")
async def observed(servers: Mesh, database: Database) -> AsyncIterator[Observed]:
    """A store of six meters and three days, an hour of each day, two of the days rolled up."""
    sent = Sent()
    client: Any = AsyncIOMotorClient(servers.mongo_url, tz_aware=True, event_listeners=[sent])
    watched = client[database.name]
    store = await store_on(watched)
    for day in range(DAYS):
        for device_id in DEVICES:
            start_ms = START_MS + day * DAY_MS + 5 * 60 * MINUTE_MS
            readings = meter_readings(day, device_id, start_ms, 130, 0.0)
            partition = partition_of(device_id, PARTITIONS)
            await store.take(segments(readings, 200, partition, f"{device_id}-{day}"))
        if day == DAYS - 2:
            await store.fold_everything()
            await roll_up(store, watched)
    await store.fold_everything()
    sent.questions.clear()
    yield Observed(store, watched, database, sent)
    client.close()


async def test_readings_are_found_by_device_and_span(observed: Observed) -> None:
    """Three hours of one device on one day are three documents of fifty-four."""
    spans = observed.store.usage.spans(METER, DEVICES[2], START_MS, START_MS + DAY_MS)

    assert len([key async for key, _ in spans]) == 3

    await observed.require_narrow(METER.history, most=3)


async def test_usage_reads_the_days_it_needs_and_hours_only_of_the_others(observed: Observed) -> None:
    """Two days from their roll-ups, of the third its hours."""
    query = UsageQuery(METER, DEVICES[3], START_MS, START_MS + DAYS * DAY_MS, "quarter_hour", "Asia/Kolkata")

    found = await observed.store.usage.intervals(query)

    assert sum(usage.reading_count for _, usage in found) == DAYS * 130
    # The third is there too, not yet believed.
    await observed.require_narrow(METER.days, most=DAYS, least=2)
    await observed.require_narrow(METER.history, most=3)


async def test_usage_as_of_a_moment_reads_no_other_devices_hours(observed: Observed) -> None:
    """It looks for what changed, sums, and looks again: three times nine hours; days only whether any is sealed."""
    query = UsageQuery(METER, DEVICES[3], START_MS, START_MS + DAYS * DAY_MS, "quarter_hour", "Asia/Kolkata")

    assert await observed.store.usage.intervals(query, as_of_ms=0) == []

    await observed.require_narrow(METER.history, most=3 * 3 * DAYS, least=3 * DAYS)
    await observed.require_narrow(METER.days, most=DAYS)


async def test_a_summary_reads_each_devices_own_range(observed: Observed) -> None:
    """Totals of days and of hours, device by device."""
    asked = DEVICES[:2]

    found = await observed.store.usage.by_device(METER, asked, START_MS, START_MS + DAYS * DAY_MS)

    assert [found[device_id].reading_count for device_id in asked] == [DAYS * 130] * 2
    await observed.require_narrow(METER.days, most=2 * DAYS, least=4)
    await observed.require_narrow(METER.history, most=2 * 3)


async def test_the_roller_finds_what_is_due_by_its_index(observed: Observed) -> None:
    """Six of eighteen days are due, and only those are looked at; which are missing is asked by their ids."""
    observed.store.clock.advance_ms(10 * 60_000)

    assert len(await observed.store.days.due(METER, 100)) == 6

    await observed.require_narrow(METER.days, most=6, least=6)
    observed.sent.questions.clear()
    await observed.store.days.missing(METER, DEVICES, START_MS)
    await observed.require_narrow(METER.days, most=6, least=6)


async def test_live_documents_and_segments_are_found_by_their_ids(observed: Observed) -> None:
    """One document for each id asked for."""
    await observed.store.live.find([DEVICES[0], DEVICES[4]])
    await observed.require_narrow(METER.live, most=2, least=2)

    assert len(await observed.store.log.load(["meter-1-0-0", "meter-2-1-0"])) == 2
    await observed.require_narrow("readings_log", most=2, least=2)


@pytest.mark.parametrize("is_later_page", [False, True])
async def test_what_was_found_and_edited_is_read_by_device_and_start(observed: Observed, is_later_page: bool) -> None:
    """Of six devices with ten each, two of one of them."""
    found, edits = ReadingExceptionStore(observed.watched), ReadingEditStore(observed.watched)
    await found.prepare()
    await edits.prepare()
    for device_id in DEVICES:
        starts_ms = [START_MS + number * MINUTE_MS for number in range(10)]
        await found.replace(device_id, START_MS, START_MS + DAY_MS, map(gap_at, starts_ms), START_MS)
        assert await edits.add([edit_at(device_id, start_ms) for start_ms in starts_ms])
    observed.sent.questions.clear()
    first_ms, end_ms = START_MS + 3 * MINUTE_MS, START_MS + 5 * MINUTE_MS

    exceptions = await found.find(DEVICES[2], first_ms, end_ms, 5, "a" if is_later_page else "")
    edited = await edits.find(DEVICES[2], first_ms, end_ms, 5, 0 if is_later_page else None)

    assert [one.device_id for one in exceptions] == [one.device_id for one in edited] == [DEVICES[2]] * 2
    assert [one.start_ms for one in edited] == [first_ms, first_ms + MINUTE_MS]
    await observed.require_narrow("reading_exceptions", most=2, least=2)
    await observed.require_narrow("reading_edits", most=2, least=2)


def gap_at(start_ms: int) -> Finding:
    """A minute without a reading."""
    return Finding(
        ValidationRule.GAP, Severity.WARNING, "import", start_ms, start_ms + MINUTE_MS, float(MINUTE_MS), None
    )


def edit_at(device_id: str, start_ms: int) -> ReadingEdit:
    """A reading that was put in by hand."""
    after = Observation(start_ms % HOUR_MS, 1, MINUTE_MS, START_MS, START_MS, (1, *(None,) * (len(METER.columns) - 1)))
    return ReadingEdit("meter", device_id, start_ms, None, after, "jo", "read by hand", START_MS)


async def test_a_short_window_of_many_devices_reads_one_document_of_each(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their ids, in one question; it comes to what asking about each alone comes to."""
    monkeypatch.setattr(usage_store, "_QUERIES_AT_ONCE", 2)
    start_ms = START_MS + (DAYS - 1) * DAY_MS + 6 * HOUR_MS
    observed.store.clock.at_ms = START_MS + DAYS * DAY_MS
    window = (METER, start_ms + 15 * MINUTE_MS, start_ms + 45 * MINUTE_MS)

    found = await observed.store.usage.by_device(window[0], DEVICES, *window[1:])
    await observed.require_narrow(METER.history, most=len(DEVICES))

    alone: dict[str, Usage] = {}
    for device_id in DEVICES:
        alone |= await observed.store.usage.by_device(window[0], [device_id], *window[1:])
    assert len(found) == len(DEVICES)
    assert found == alone


async def test_a_reading_that_waits_to_be_folded_counts_in_a_short_window(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the folded ones of its own device and of the others."""
    monkeypatch.setattr(usage_store, "_QUERIES_AT_ONCE", 2)
    start_ms = START_MS + (DAYS - 1) * DAY_MS + 7 * HOUR_MS + 15 * MINUTE_MS
    observed.store.clock.at_ms = START_MS + DAYS * DAY_MS
    window = (start_ms, start_ms + 15 * MINUTE_MS)
    before = await observed.store.usage.by_device(METER, DEVICES, *window)
    waiting = meter_readings(9, DEVICES[1], start_ms, 15, 0.0)
    await observed.store.take(segments(waiting, 200, partition_of(DEVICES[1], PARTITIONS), "late"))

    after = await observed.store.usage.by_device(METER, DEVICES, *window)

    assert before == {}
    assert {device_id: usage.reading_count for device_id, usage in after.items()} == {DEVICES[1]: 15}
