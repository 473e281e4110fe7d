"""What meters used together, by the minute, is what their readings come to by plain arithmetic."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from dataclasses import dataclass, field

from billing.log.kind_columns import LoggedReading
from billing.usage.minute_total import MinuteTotal
from billing.usage.quarter_total import QuarterTotal
from common.mongo import Database
from tests.integration.billing.readings import MINUTE_MS, NONE, counting, meter_readings, segments
from tests.integration.billing.store import instant_ms, store_on

START_MS = instant_ms("2026-11-20T10:30:00")
HOUR_MS = 60 * MINUTE_MS
METERS = [f"meter-{number}" for number in range(7)]


@dataclass
class Expected:
    """A minute by hand."""

    imports: list[int] = field(default_factory=list)
    devices: set[str] = field(default_factory=set)
    count: int = 0
    power_only_kw_ms: float | None = None


def by_hand(readings: list[LoggedReading], start_ms: int, end_ms: int) -> dict[int, Expected]:
    """The minutes of a period, by the readings that count."""
    minutes: defaultdict[int, Expected] = defaultdict(Expected)
    for reading in counting(readings):
        if not start_ms <= reading.start_ms < end_ms or reading.interval_ms > MINUTE_MS:
            continue
        minute = minutes[reading.start_ms - reading.start_ms % MINUTE_MS]
        minute.count += 1
        minute.devices.add(reading.device_id)
        energy, power_kw = reading.values[0], reading.values[4]
        if energy is not None:
            minute.imports.append(int(energy))
        elif power_kw is not None:
            minute.power_only_kw_ms = (minute.power_only_kw_ms or 0.0) + power_kw * reading.interval_ms
    return dict(minutes)


def as_expected(total: MinuteTotal) -> tuple[int, int, int | None, float | None]:
    """What is compared of a minute."""
    return total.reading_count, total.meter_count, total.import_milliwatt_hours, total.power_only_kw_ms


async def test_minutes_are_what_the_readings_come_to_folded_or_not(database: Database) -> None:
    """Corrected ones once, and those that wait to be folded as well; only of the devices and the time asked for."""
    store = await store_on(database)
    numbers = itertools.count()
    everything: list[LoggedReading] = []
    chance = random.Random(11)
    for device_id in [*METERS, "of-another-region"]:
        some = meter_readings(next(numbers), device_id, START_MS, 90, 0.1)
        everything += some if device_id in METERS else []
        chance.shuffle(some)
        for part, readings in enumerate((some[:60], some[60:])):
            await store.take(segments(readings, 500, 0, f"{device_id}-{part}"))
            if not part and device_id != METERS[0]:
                await store.fold_everything()
    end_ms = START_MS + HOUR_MS + 7 * MINUTE_MS

    found, _ = await store.minutes.totals(METERS, START_MS + MINUTE_MS, end_ms, with_quarters=False)

    expected = by_hand(everything, START_MS + MINUTE_MS, end_ms)
    assert len(expected) > 60
    assert [total.start_ms for total in found] == sorted(expected)
    assert {total.start_ms: as_expected(total) for total in found} == {
        at_ms: (one.count, len(one.devices), sum(one.imports) if one.imports else None, one.power_only_kw_ms)
        for at_ms, one in expected.items()
    }


async def test_readings_of_seconds_are_added_up_and_those_longer_than_a_minute_do_not_count(
    database: Database,
) -> None:
    """A device that sends four a minute is one device; what a quarter-hour used in its first minute is not known."""
    store = await store_on(database)
    quick = [
        LoggedReading("meter", "quick", START_MS + second * 1_000, 15_000, 0, 1, (1_000, *NONE))
        for second in range(0, 60, 15)
    ]
    slow = LoggedReading("meter", "slow", START_MS, 15 * MINUTE_MS, 0, 1, (9_000_000, *NONE))
    await store.take(segments([*quick, slow], 500, 0))
    await store.fold_everything()

    found, _ = await store.minutes.totals(["quick", "slow"], START_MS, START_MS + HOUR_MS, with_quarters=False)

    assert {total.start_ms: as_expected(total) for total in found} == {START_MS: (4, 1, 4_000, None)}


async def test_quarter_hours_are_what_each_meter_used_in_them_of_whatever_length_its_readings_are(
    database: Database,
) -> None:
    """Those that lie whole in the period; the energy of who told only a power apart, by its sign."""
    store = await store_on(database)
    readings = [
        LoggedReading("meter", "slow", START_MS, 15 * MINUTE_MS, 0, 1, (9_000_000, 250_000, *NONE[1:])),
        *(
            LoggedReading("meter", "fed", START_MS + n * MINUTE_MS, MINUTE_MS, 0, 1, (None,) * 4 + (-6.0,) + NONE[4:])
            for n in range(3)
        ),
        *(
            LoggedReading("meter", "quick", START_MS + n * MINUTE_MS, MINUTE_MS, 0, 1, (1_000, *NONE))
            for n in range(-1, 31)
        ),
    ]
    await store.take(segments(readings, 500, 0))
    await store.fold_everything()

    _, (first, second) = await store.minutes.totals(
        ["slow", "fed", "quick"], START_MS, START_MS + 30 * MINUTE_MS + MINUTE_MS, with_quarters=True
    )

    assert first == QuarterTotal(START_MS, 9_015_000, 250_000, 0, 300_000, 3, 33 * MINUTE_MS)
    assert second == QuarterTotal(START_MS + 15 * MINUTE_MS, 15_000, 0, 0, 0, 1, 15 * MINUTE_MS)


async def test_of_nobody_and_of_nothing_there_are_no_minutes(database: Database) -> None:
    """Not zeros."""
    store = await store_on(database)

    assert await store.minutes.totals(["nobody"], START_MS, START_MS + HOUR_MS, with_quarters=True) == ([], [])
