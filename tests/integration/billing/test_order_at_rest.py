"""In whatever order readings of every kind come, and whoever folds and rolls up meanwhile: the same documents."""

import random
from collections import defaultdict
from collections.abc import Sequence

import pytest

from billing.cold.day_notice_store import Day
from billing.cold.span import SUPERSEDED_MAXIMUM
from billing.cold.span_document import from_document
from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation, Value, settle
from billing.log.schema import DAY_MS, KINDS, Kind
from billing.log.segment import Segment
from common.instants import datetime_to_ms
from common.mongo import Database
from tests.integration.billing.store import PARTITION, Store, instant_ms, store_on
from tests.integration.billing.test_readings_at_rest import dump

MINUTE_MS = 60_000
START_MS = instant_ms("2026-03-01T21:00:00")
MINUTES = 300
WAIT_MS = 15 * MINUTE_MS


def value_of(kind: Kind, place: int, minute: int, random_: random.Random) -> Value:
    """A value of a column, or nothing; registers go on."""
    column = kind.columns[place]
    if random_.random() < 0.2:
        return None
    if "register" in column.name:
        return 50_000_000 + minute * 1_000 + random_.randrange(1_000)
    return random_.randrange(1, 5_000) if column.type == "integer" else random_.randrange(1, 400) / 4


def sent(seed: int) -> list[LoggedReading]:
    """Five hours over midnight of two devices a kind.

    With corrections, values of one revision that contradict each other, one start that is corrected again and again,
    and duplicates that are received earlier or later.
    """
    random_ = random.Random(seed)
    readings = []
    for kind in KINDS.values():
        for device in range(2):
            for minute in range(MINUTES):
                revisions = 40 if minute == 17 else random_.choice([1, 1, 1, 2, 3])
                for _ in range(revisions):
                    values = tuple(value_of(kind, place, minute, random_) for place in range(len(kind.columns)))
                    at_ms = START_MS + minute * MINUTE_MS
                    receive_ms = at_ms + random_.randrange(1, 5) * MINUTE_MS
                    revision = random_.randrange(revisions)
                    device_id = f"{kind.name}-{device}"
                    readings.append(LoggedReading(kind.name, device_id, at_ms, MINUTE_MS, revision, receive_ms, values))
    again = random_.sample(readings, len(readings) // 5)
    readings += [one._replace(receive_ms=one.receive_ms + random_.randrange(-2, 3) * 1_000) for one in again]
    random_.shuffle(readings)
    return readings


def segments_of(readings: Sequence[LoggedReading], random_: random.Random) -> list[Segment]:
    """Segments of various sizes, each recorded at a time of its own, not in the order of their numbers."""
    found, first = list[Segment](), 0
    while first < len(readings):
        end = first + random_.randrange(50, 900)
        record_ms = START_MS + DAY_MS + random_.randrange(10_000_000)
        found.append(Segment.of(f"b-{first}", PARTITION, "w", len(found) + 1, 0, record_ms, readings[first:end]))
        first = end
    return found


async def known(database: Database) -> dict[tuple[str, int, int], tuple[Observation, list[Observation]]]:
    """Everything that was ever known of each start, what rests beside the hours among it, by device, hour and offset.

    Of duplicates more may rest beside than need be, when a better one came after they had found no room.
    """
    by_start: defaultdict[tuple[str, int, int], list[Observation]] = defaultdict(list)
    for kind in KINDS.values():
        async for document in database[kind.history].find():
            key, span = from_document(kind, document)
            for one in (*span.in_order(), *span.superseded_in_order()):
                by_start[key.device_id, key.span_start_ms, one.offset_ms].append(one)
    async for document in database["readings_superseded"].find():
        fields = {name: document[name] for name in Observation._fields}
        one = Observation(**{**fields, "values": tuple(document["values"])})
        by_start[document["device_id"], datetime_to_ms(document["span_start"]), one.offset_ms].append(one)
    return {start: settle(some) for start, some in by_start.items()}


async def roll_up(store: Store) -> None:
    """Makes every day that is due or missing."""
    store.clock.advance_ms(WAIT_MS)
    for kind in KINDS.values():
        while due := await store.days.due(kind, 20):
            for day in due:
                await store.days.make_again(kind, day)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_order_repeats_and_rounds_leave_no_trace_in_any_document(database: Database, seed: int) -> None:
    """Hours, what found no room in them, days and newest readings of meters, vehicles and batteries alike."""
    random_ = random.Random(seed)
    some = segments_of(sent(seed), random_)
    clean_database = database.client[f"{database.name}_clean"]
    clean = await store_on(clean_database)
    await clean.take(some)
    await clean.fold_everything()
    await roll_up(clean)
    expected, expected_known = await dump(clean_database), await known(clean_database)
    await database.client.drop_database(clean_database.name)

    store = await store_on(database)
    left = random_.sample(some, len(some))
    while left:
        count = random_.randrange(1, 5)
        await store.take(left[:count])
        await store.take(random_.sample(some, 1))
        left = left[count:]
        if random_.random() < 0.7:
            await store.fold_everything()
        if random_.random() < 0.3:
            await roll_up(store)
    await store.take(some)
    await store.fold_everything()
    await roll_up(store)

    found = await dump(database)
    assert {name for name, documents in expected.items() if not documents} == set()
    for name, documents in expected.items():
        assert found[name] == documents, name
    assert await known(database) == expected_known
    assert max(len(superseded) for _, superseded in expected_known.values()) > SUPERSEDED_MAXIMUM
    for kind in KINDS.values():
        for device in range(2):
            for day_ms in (START_MS - START_MS % DAY_MS, START_MS - START_MS % DAY_MS + DAY_MS):
                assert await store.days.seal(kind, Day(f"{kind.name}-{device}", day_ms)) == "sealed"
