"""Whatever happens on the way from the queue to the documents, they are those of the clean sequence.

A history is what hypothesis makes of one set of readings: batches of any size in any order, batches delivered again,
readings sent again in other batches, days rolled up in between, and processes killed between a write to the store and
what should follow it.
"""

import itertools
import random
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.cold.usage_sum import Usage
from billing.invoices.invoice import Invoice, make_invoice
from billing.live.hot_reading import Latest
from billing.live.live_store import LiveStore
from billing.log.kind_columns import LoggedReading
from billing.log.log_store import LogStore
from billing.log.observation import Observation, settle
from billing.log.schema import METER
from billing.log.segment import Segment
from billing.tariffs.rating import rate
from billing.tariffs.tariff_assignment import TariffAssignment
from common.local_time import local_midnight_ms
from common.mongo import Database
from tests.integration.billing.store import PARTITION, Store, store_on
from tests.integration.billing.test_order_at_rest import roll_up
from tests.integration.billing.test_readings_at_rest import dump
from tests.unit.billing.rating_cases import EVENING, TARIFFS

MINUTE_MS = 60_000
DAYS = date(2026, 3, 28), date(2026, 3, 30)
ZONE = ZoneInfo("Europe/Berlin")
START_MS, END_MS = (local_midnight_ms(day, ZONE) for day in DAYS)
MONTHS_AGO_MS = START_MS - 100 * 86_400_000
RECORD_MS = 1_780_000_000_000

_numbers = itertools.count()

readings = st.lists(
    st.builds(
        lambda device, place, late, revision, receive_ms, energy, power: LoggedReading(
            "meter",
            device,
            (MONTHS_AGO_MS if late else START_MS) + place * 13 * MINUTE_MS,
            MINUTE_MS,
            revision,
            receive_ms,
            (energy, None, None, None, power, *(None,) * (len(METER.columns) - 5)),
        ),
        device=st.sampled_from(["m-1", "m-1", "m-2"]),
        place=st.integers(-3, 12) | st.integers(170, 220),
        late=st.booleans(),
        revision=st.sampled_from([0, 0, 0, 1, 2]),
        receive_ms=st.integers(1, 3),
        energy=st.none() | st.integers(0, 2_000_000),
        power=st.none() | st.sampled_from([0.1, 0.2, 7.3]),
    ),
    min_size=1,
    max_size=40,
)
steps = st.lists(
    st.sampled_from(["take", "take", "logged", "again", "fold", "roll up", "killed in the fold", "killed after it"])
)


class Killed(Exception):
    """Unexpected outside of these tests: the process is gone at this point."""


class DyingLiveStore(LiveStore):
    """The process is killed after its cold documents are written, before the hot ones are."""

    async def advance(self, latest: Collection[Latest]) -> None:
        """Never gets there."""
        raise Killed(len(latest))


class DyingLogStore(LogStore):
    """The process is killed after all is folded, before the log says so."""

    async def mark_merged(self, batch_ids: Sequence[str]) -> None:
        """Never gets there."""
        raise Killed(len(batch_ids))


def batches(some: Sequence[LoggedReading], sizes: Sequence[int], prefix: str) -> list[Segment]:
    """Segments of drawn sizes, all recorded at once: when a reading was logged is the log's to say."""
    found: list[Segment] = []
    rest = list(some)
    for number, size in enumerate(itertools.chain(sizes, itertools.repeat(7))):
        if not rest:
            return found
        found.append(Segment.of(f"{prefix}-{number}", PARTITION, "w", number + 1, 0, RECORD_MS, rest[:size]))
        rest = rest[size:]
    return found


async def killed_while_folding(database: Database, store: Store, how: str) -> Store:
    """Folds until the process is killed; what another one starts with."""
    if how == "killed in the fold":
        store.merger._live = DyingLiveStore(database)
    else:
        store.merger._log = DyingLogStore(database)
    with suppress(Killed):
        await store.fold_everything()
    successor = await store_on(database)
    successor.clock.at_ms = store.clock.at_ms
    await successor.merger.recover()
    return successor


async def disturbed(database: Database, some: Sequence[Segment], actions: Sequence[str]) -> Store:
    """The store after a history: each segment comes by one of the actions, and in the end all is folded."""
    store = await store_on(database)
    actions_left = iter([*actions, *["take"] * len(some)])
    for place, segment in enumerate(some):
        action = next(actions_left)
        # Logged and not yet acknowledged when the process was killed: another one is given it again.
        await store.take([segment], hold=action != "logged")
        if action == "again":
            await store.take(list(some[: place + 1]))
        elif action == "fold":
            await store.fold_everything()
        elif action == "roll up":
            await roll_up(store)
        elif action.startswith("killed"):
            store = await killed_while_folding(database, store, action)
    await store.merger.recover()
    await store.fold_everything()
    await roll_up(store)
    assert await store.log.unmerged_ids() == []
    return store


async def bill(store: Store) -> Invoice | None:
    """What the days cost meter m-1; None when it used nothing."""
    quarters = await store.usage.quarters("m-1", START_MS, END_MS)
    if all(quarter.import_milliwatt_hours is None for quarter in quarters):
        return None
    return make_invoice(
        rate(
            device_id="m-1",
            zone=ZONE,
            start_date=DAYS[0],
            end_date=DAYS[1],
            assignments=[TariffAssignment("m-1", EVENING.tariff_id, 0)],
            tariffs=TARIFFS,
            quarters=quarters,
        )
    )


def used_by_hand(some: Sequence[LoggedReading], device_id: str) -> tuple[object, ...]:
    """Readings, import and outer powers of the days, by the one rule that decides which reading of a start counts."""
    by_start: dict[int, list[Observation]] = {}
    for one in some:
        if one.device_id == device_id and START_MS <= one.start_ms < END_MS:
            observation = Observation(0, one.revision, one.interval_ms, one.receive_ms, RECORD_MS, one.values)
            by_start.setdefault(one.start_ms, []).append(observation)
    values = [settle(rivals)[0].values for _, rivals in sorted(by_start.items())]
    powers = [one[4] for one in values if one[4] is not None]
    outer = (powers[0], powers[-1]) if powers else (None, None)
    return len(values), sum(int(one[0]) for one in values if one[0] is not None), *outer


async def usage_of(store: Store) -> Mapping[str, Any]:
    """What both meters used in the days."""
    return await store.usage.by_device(METER, ["m-1", "m-2"], START_MS, END_MS)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some=readings,
    repeated=st.floats(0, 1),
    sizes=st.lists(st.integers(1, 12), max_size=12),
    actions=steps,
    seed=st.integers(0, 2**32),
)
async def test_every_disturbed_history_ends_like_the_clean_one(
    database: Database,
    *,
    some: list[LoggedReading],
    repeated: float,
    sizes: list[int],
    actions: list[str],
    seed: int,
) -> None:
    """Documents, usage and bill are equal, and equal to what plain Python makes of the readings."""
    random_ = random.Random(seed)
    sent = [*some, *random_.sample(some, int(repeated * len(some)))]
    random_.shuffle(sent)
    number = next(_numbers)
    names = [f"{database.name}_{number}_{which}" for which in ("clean", "disturbed")]
    clean_database, other_database = (database.client[name] for name in names)
    try:
        clean = await store_on(clean_database)
        await clean.take(batches(some, [], "clean"))
        await clean.fold_everything()
        await roll_up(clean)

        other = await disturbed(other_database, batches(sent, sizes, "other"), actions)

        found = await dump(other_database)
        assert found == await dump(clean_database)
        assert all("columns" in day for day in found[METER.days])
        used = await usage_of(other)
        assert used == await usage_of(clean)
        assert await bill(other) == await bill(clean)
        for device_id in ("m-1", "m-2"):
            found = used.get(device_id, Usage())
            energy = found.energies.get("import_milliwatt_hours", 0)
            counted = (found.reading_count, energy, found.first_power_kw, found.last_power_kw)
            assert counted == used_by_hand(some, device_id)
    finally:
        for name in names:
            await database.client.drop_database(name)


async def test_a_correction_from_months_ago_changes_the_bill_of_its_own_day_only(database: Database) -> None:
    """Late data lands where its start says, in the documents, in usage and in the bill of that time."""
    store = await store_on(database)
    first = [
        LoggedReading(
            "meter", "m-1", at_ms + minute * MINUTE_MS, MINUTE_MS, 0, 1, (1_000, *(None,) * (len(METER.columns) - 1))
        )
        for at_ms in (MONTHS_AGO_MS, START_MS)
        for minute in range(120)
    ]
    await store.take(batches(first, [], "first"))
    await store.fold_everything()
    before = await dump(database)
    now = await bill(store)

    correction = first[7]._replace(revision=1, receive_ms=9, values=(5_000, *(None,) * (len(METER.columns) - 1)))
    await store.take([Segment.of("late", PARTITION, "w", 99, 0, RECORD_MS, [correction])])
    await store.fold_everything()

    after = await dump(database)
    changed = [
        document["_id"]
        for document, old in zip(after["meter_history"], before["meter_history"], strict=True)
        if document != old
    ]
    assert changed == [f"m-1@{MONTHS_AGO_MS - MONTHS_AGO_MS % METER.span_ms}"]
    assert await bill(store) == now
    then = await store.usage.by_device(METER, ["m-1"], MONTHS_AGO_MS, MONTHS_AGO_MS + 120 * MINUTE_MS)
    assert then["m-1"].energies["import_milliwatt_hours"] == 120 * 1_000 + 4_000
