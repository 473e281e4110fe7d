"""Days are rolled up once they are over, made again when an hour changes, and believed only when nothing is missing."""

from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from billing.cold.day_notice_store import Day
from billing.cold.day_store import DayStore
from billing.cold.history_store import HistoryStore
from billing.cold.quarter import quarters
from billing.cold.roller import Roller, RollerMetrics
from billing.cold.span import Span
from billing.live.hot_reading import newest_of
from billing.live.live_store import LiveStore
from billing.log.kind_columns import LoggedReading
from billing.log.observation import SpanKey
from billing.log.schema import DAY_MS, HOUR_MS, METER
from billing.log.segment import Segment, gather_by_kind, of_devices
from common.mongo import Database
from tests.integration.billing.readings import MINUTE_MS, meter_readings

DAY_START_MS = 20_500 * DAY_MS
SOON_MS, READY_MS = DAY_START_MS + DAY_MS + 10 * MINUTE_MS, DAY_START_MS + DAY_MS + 90 * MINUTE_MS
DEVICE = "meter-1"


@dataclass
class Days:
    """The history and the roller of one process, with a clock that is set by hand."""

    database: Database
    at_ms: int = SOON_MS

    def __post_init__(self) -> None:
        self.days = DayStore(self.database, lambda: self.at_ms)
        self.history = HistoryStore(self.database, self.days)
        self.live = LiveStore(self.database)
        self.roller = self.another_roller()

    def another_roller(self) -> Roller:
        """A roller as another process has it."""

        async def at_once(_: float) -> None:
            return

        return Roller(
            days=self.days,
            live=self.live,
            metrics=RollerMetrics(CollectorRegistry()),
            give_way=at_once,
            rest_per_work=0.0,
            clock_ms=lambda: self.at_ms,
        )

    async def fold(self, readings: list[LoggedReading]) -> None:
        """Folds readings as the merger does, the live documents after them."""
        segment = Segment.of("b", 0, "w", 1, 0, 1, readings)
        pending = of_devices([segment], {one.device_id for one in readings})
        while pending:
            pending = {key: pending[key] for key in await self.history.fold(METER, pending)}
        await self.live.advance(newest_of(gather_by_kind([segment])).values())

    async def document(self, device_id: str = DEVICE) -> dict[str, Any] | None:
        """The day's document as it is stored."""
        return await self.database[METER.days].find_one({"_id": f"{device_id}@{DAY_START_MS}"})

    async def require_fresh(self, readings: list[LoggedReading]) -> None:
        """The document may be believed and holds exactly what the readings come to."""
        document = await self.document()
        assert document is not None
        assert "due_at" not in document
        span = Span()
        spans: dict[SpanKey, Span] = {}
        for key, some in of_devices([Segment.of("b", 0, "w", 1, 0, 1, readings)], [DEVICE]).items():
            span = spans.setdefault(key, Span())
            span.fold(some)
        cells = {
            (key.span_start_ms - DAY_START_MS + cell["offset_ms"]) // (15 * MINUTE_MS): cell
            for key, span in spans.items()
            for cell in quarters(METER, span.in_order())
        }
        columns = document["columns"]
        assert columns["reading_count"] == [cells.get(place, {}).get("reading_count", 0) for place in range(96)]
        assert columns["import_milliwatt_hours"] == [
            cells.get(place, {}).get("import_milliwatt_hours") for place in range(96)
        ]


def of_hours(first: int, count: int, seed: int = 1) -> list[LoggedReading]:
    """Readings of some hours of the day."""
    return meter_readings(seed, DEVICE, DAY_START_MS + first * HOUR_MS, count * 60)


async def days_on(database: Database) -> Days:
    """A process on an empty database with its indexes."""
    found = Days(database)
    await found.history.prepare()
    return found


async def test_a_day_is_rolled_up_once_it_is_over(database: Database) -> None:
    """Not before an hour and a half after its end, and then from all its hours."""
    process = await days_on(database)
    readings = of_hours(0, 24)
    await process.fold(readings)

    await process.roller.sweep()
    assert await process.document() is None

    process.at_ms = READY_MS
    await process.roller.sweep()
    await process.require_fresh(readings)


async def test_folding_of_the_running_day_tells_nobody(database: Database) -> None:
    """The merger's way costs no call more until the day has ended."""
    process = await days_on(database)

    await process.fold(of_hours(0, 3))
    await process.fold(of_hours(1, 3, seed=2))

    assert await database[METER.days].count_documents({}) == 0


async def test_a_late_reading_makes_its_day_doubtful_until_it_is_made_again(database: Database) -> None:
    """From before the fold until the roller has been there."""
    process = await days_on(database)
    early, late = of_hours(0, 20), of_hours(20, 2)
    await process.fold(early)
    process.at_ms = READY_MS
    await process.roller.sweep()

    await process.fold(late)

    stale = await process.document()
    assert stale is not None
    assert "due_at" in stale
    assert not await process.roller.make_due()
    process.at_ms += 11 * MINUTE_MS
    assert await process.roller.make_due()
    await process.require_fresh([*early, *late])
    assert not await process.roller.make_due()


async def test_a_fold_that_was_announced_and_never_came_leaves_a_day_that_is_not_believed(database: Database) -> None:
    """A crash between the two writes; the segment comes again and the day is whole."""
    process = await days_on(database)
    early, late = of_hours(0, 20), of_hours(19, 2, seed=3)
    await process.fold(early)
    process.at_ms = READY_MS
    await process.roller.sweep()

    await process.days.announce(METER, [(SpanKey("meter", DEVICE, DAY_START_MS + 19 * HOUR_MS), 2)])
    process.at_ms += 11 * MINUTE_MS
    await process.roller.make_due()

    stale = await process.document()
    assert stale is not None
    assert "due_at" in stale
    await process.fold(late)
    process.at_ms += 11 * MINUTE_MS
    await process.roller.make_due()
    await process.require_fresh([*early, *late])


async def test_a_fold_during_the_making_is_not_lost(database: Database) -> None:
    """What was announced after the roller had read the versions keeps its document from being written."""
    process = await days_on(database)
    early, late = of_hours(0, 4), of_hours(2, 3, seed=4)
    process.at_ms = READY_MS
    await process.fold(early)
    process.at_ms += 11 * MINUTE_MS
    (due,) = await process.days.due(METER, 10)

    await process.fold(late)

    assert not await process.days.make_again(METER, due)
    process.at_ms += 11 * MINUTE_MS
    await process.roller.make_due()
    await process.require_fresh([*early, *late])


async def test_a_first_document_gives_way_to_a_fold_that_was_announced(database: Database) -> None:
    """The roller found no document, read the hours, and a late fold came before its insert."""
    process = await days_on(database)
    early, late = of_hours(0, 4), of_hours(2, 3, seed=4)
    await process.fold(early)
    process.at_ms = READY_MS
    missing = await process.days.missing(METER, [DEVICE], DAY_START_MS)
    await process.fold(late)

    assert await process.days.make_first(METER, missing) == 0

    process.at_ms += 11 * MINUTE_MS
    await process.roller.make_due()
    await process.require_fresh([*early, *late])


async def test_a_day_that_was_told_of_is_not_told_of_again_for_a_while(database: Database) -> None:
    """The import of a past day costs one small document; what is folded meanwhile is in the day when it is made."""
    process = await days_on(database)
    early, more, late = of_hours(0, 4), of_hours(2, 3, seed=4), of_hours(8, 2)
    process.at_ms = READY_MS
    await process.fold(early)
    told = await process.document()

    process.at_ms += 4 * MINUTE_MS
    await process.fold(more)
    assert await process.document() == told
    process.at_ms += 4 * MINUTE_MS
    await process.fold(late)

    assert await process.document() != told
    process.at_ms += 11 * MINUTE_MS
    assert await process.roller.make_due()
    await process.require_fresh([*early, *more, *late])


async def test_telling_what_was_told_before_keeps_the_making_from_ending(database: Database) -> None:
    """Whoever told may fold more without telling again, so what was being made must not be believed."""
    process = await days_on(database)
    early, late = of_hours(0, 4), of_hours(2, 1, seed=4)
    process.at_ms = READY_MS
    await process.fold(early)
    await process.days.announce(METER, [(SpanKey("meter", DEVICE, DAY_START_MS), 1)])
    process.at_ms += 11 * MINUTE_MS
    (due,) = await process.days.due(METER, 10)

    await process.days.announce(METER, [(SpanKey("meter", DEVICE, DAY_START_MS), 1)])
    assert not await process.days.make_again(METER, due)

    await process.fold(late)
    process.at_ms += 11 * MINUTE_MS
    assert await process.roller.make_due()
    await process.require_fresh([*early, *late])


async def test_two_rollers_make_the_days_of_one(database: Database) -> None:
    """Whoever comes second finds the work done, or does it again to the same end."""
    process = await days_on(database)
    readings = of_hours(0, 24)
    await process.fold(readings)
    process.at_ms = READY_MS
    other = process.another_roller()
    missing = [await process.days.missing(METER, [DEVICE], DAY_START_MS) for _ in range(2)]

    assert [await process.days.make_first(METER, one) for one in missing] == [1, 0]
    await process.roller.sweep()
    await other.sweep()

    await process.require_fresh(readings)
    assert missing[0] == [Day(DEVICE, DAY_START_MS)]
