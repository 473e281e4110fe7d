"""What was known at a moment: the store's answer against plain Python, and that it never changes afterwards."""

import asyncio
import random
from dataclasses import replace
from functools import partial

import pytest

from billing.cold.past_spans import Moment
from billing.cold.span import readings_of
from billing.cold.usage_bucket import Bucket
from billing.cold.usage_pipeline import UsageQuery
from billing.log.observation import Observation
from billing.log.schema import METER
from billing.log.segment import Segment
from common.errors import Overloaded, RequestTooExpensive
from common.mongo import Database
from tests.integration.billing.readings import MINUTE_MS, counting, energy_by_bucket, meter_readings, segments
from tests.integration.billing.store import DEVICE, PARTITION, Store, instant_ms, store_on

START_MS = instant_ms("2026-03-28T20:30:00")
MINUTES = 600
END_MS = START_MS + MINUTES * MINUTE_MS
ZONE = "Europe/Berlin"


def recorded_one_by_one(seed: int) -> list[Segment]:
    """Ten hours of a meter, every fifth reading corrected, in segments recorded a second apart."""
    readings = meter_readings(seed, DEVICE, START_MS, MINUTES, revision_share=0.2)
    some = segments(readings, 30, PARTITION, prefix=f"s{seed}")
    return [replace(one, record_ms=1_000_000_000_000 + number * 1_000) for number, one in enumerate(some)]


def known_at(some: list[Segment], as_of_ms: int, start_ms: int, end_ms: int, bucket: str) -> dict[int, int | None]:
    """Import by bucket, by the segments recorded by then alone."""
    readings = [one for segment in some if segment.record_ms <= as_of_ms for one in segment.readings()]
    return energy_by_bucket([one for one in counting(readings) if start_ms <= one.start_ms < end_ms], bucket, ZONE)


async def asked(store: Store, bucket: Bucket, start_ms: int, end_ms: int, as_of_ms: int) -> dict[int, int | None]:
    """Import by bucket, as the store tells it."""
    query = UsageQuery(METER, DEVICE, start_ms, end_ms, bucket, ZONE)
    found = await store.usage.intervals(query, None, as_of_ms)
    return {at_ms: usage.energies.get("import_milliwatt_hours") for at_ms, usage in found}


@pytest.mark.parametrize("bucket", ["minute", "quarter_hour", "hour", "local_day"])
async def test_usage_as_of_a_moment_is_what_the_segments_recorded_by_then_add_up_to(
    database: Database, bucket: Bucket
) -> None:
    """Folded or not, corrected later or not: only what was recorded by then is in it."""
    store, some = await store_on(database), recorded_one_by_one(11)
    order = random.Random(3).sample(some, len(some))
    await store.take(order[:14])
    await store.fold_everything()
    await store.take(order[14:18])
    await store.fold_everything()
    await store.take(order[18:])
    start_ms, end_ms = START_MS + 17 * MINUTE_MS, END_MS - 44 * MINUTE_MS

    for as_of_ms in (some[0].record_ms - 1, *(one.record_ms for one in some[::6]), some[-1].record_ms):
        assert await asked(store, bucket, start_ms, end_ms, as_of_ms) == known_at(
            some, as_of_ms, start_ms, end_ms, bucket
        )


async def test_an_answer_as_of_a_moment_stays_whatever_is_recorded_later(database: Database) -> None:
    """Corrections, late readings and folds that come after it change nothing, even while it is being computed."""
    store, some = await store_on(database), recorded_one_by_one(12)
    await store.take(some[:10])
    as_of_ms = some[9].record_ms
    answers = [await asked(store, "hour", START_MS, END_MS, as_of_ms)]

    async def go_on() -> None:
        for segment in some[10:]:
            await store.take([segment])
            await store.fold_everything()

    async with asyncio.TaskGroup() as tasks:
        going_on = tasks.create_task(go_on())
        while not going_on.done():
            try:
                answers.append(await asked(store, "hour", START_MS, END_MS, as_of_ms))
            except Overloaded:
                continue
    answers.append(await asked(store, "hour", START_MS, END_MS, as_of_ms))

    assert all(answer == known_at(some, as_of_ms, START_MS, END_MS, "hour") for answer in answers)
    assert len(answers) > 2


async def test_devices_that_were_not_known_then_are_left_out_of_a_summary(database: Database) -> None:
    """The sums of each device are those of the moment."""
    store = await store_on(database)
    early = segments(meter_readings(13, "early", START_MS, 200), 500, PARTITION, prefix="early")
    late = segments(meter_readings(14, "late", START_MS, 200), 500, PARTITION, prefix="late")
    await store.take([replace(one, record_ms=1_000) for one in early])
    await store.take([replace(one, record_ms=2_000) for one in late])
    await store.fold_everything()

    then = await store.usage.by_device(METER, ["early", "late"], START_MS, END_MS, 1_000)
    now = await store.usage.by_device(METER, ["early", "late"], START_MS, END_MS)

    assert set(then) == {"early"}
    assert then["early"] == now["early"]
    assert set(now) == {"early", "late"}


async def test_the_readings_of_a_moment_are_those_that_counted_then(database: Database) -> None:
    """A correction is unknown before it is recorded, and what it superseded counts."""
    store, some = await store_on(database), recorded_one_by_one(15)
    await store.take(some)
    await store.fold_everything()
    as_of_ms = some[len(some) // 2].record_ms

    found: list[tuple[int, Observation]] = []
    async for key, span in store.usage.spans(METER, DEVICE, START_MS, END_MS):
        known = readings_of(key, span.as_of(as_of_ms), START_MS, END_MS)
        found += [(at_ms, one) for at_ms, one, superseded in known if not superseded]

    readings = [one for segment in some if segment.record_ms <= as_of_ms for one in segment.readings()]
    expected = [(one.start_ms, one.revision, one.values) for one in counting(readings)]
    assert [(at_ms, one.revision, one.values) for at_ms, one in found] == expected


async def test_a_moment_since_which_too_much_has_changed_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question takes so many changed spans back, over all its devices, and no more."""
    store = await store_on(database)
    for device_id in (devices := [f"m-{number}" for number in range(10)]):
        some = segments(meter_readings(16, device_id, START_MS, 120), 500, PARTITION, prefix=device_id)
        await store.take([replace(one, record_ms=1_000) for one in some])
    await store.fold_everything()
    monkeypatch.setattr("billing.usage.usage_store.Moment", partial(Moment, spans_left=25))

    with pytest.raises(RequestTooExpensive):
        await store.usage.by_device(METER, devices, START_MS, END_MS, 999)
    assert await store.usage.by_device(METER, devices[:8], START_MS, END_MS, 999) == {}
    assert len(await store.usage.by_device(METER, devices, START_MS, END_MS, 1_000)) == 10
