"""Whether the voltage of a meter keeps to EN 50160 is what counting its means over ten minutes by hand gives."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from analytics.detection.voltage_week import DAY_MS, SLOT_MS, WEEK_DAYS, WEEK_SLOTS, Band, VoltageWeeks, Week, follow

START_MS = 1_750_032_000_000
MINUTE_MS = 60_000
BAND = Band(np.array([207.0]), np.array([253.0]), np.array([195.5]))

Reading = tuple[int, float]
Counts = tuple[int, int, int, int]


def counts(start_ms: int, week: Week, row: int) -> Counts:
    """Those of a row."""
    return start_ms, int(week.outside_count[row]), int(week.beyond_count[row]), int(week.measured_count[row])


def followed(readings: Sequence[Reading], state: VoltageWeeks | None = None) -> list[Counts]:
    """Of each reading that ends ten minutes: its start, and the counts of the week: outside, beyond and measured."""
    state = VoltageWeeks.empty(1) if state is None else state
    found = []
    for start_ms, voltage_v in readings:
        week = follow(state, np.array([start_ms]), np.array([voltage_v]), BAND)
        if week.is_over[0]:
            found.append(counts(start_ms, week, 0))
    return found


def by_hand(readings: Sequence[Reading]) -> list[Counts]:
    """The same, by looking at all readings again each time."""
    found = []
    for number, (start_ms, _) in enumerate(readings):
        slot_ms = start_ms - start_ms % SLOT_MS
        if not number or readings[number - 1][0] >= slot_ms:
            continue
        slots: dict[int, list[float]] = {}
        for at_ms, voltage_v in readings[:number]:
            if at_ms // DAY_MS > start_ms // DAY_MS - WEEK_DAYS:
                slots.setdefault(at_ms // SLOT_MS, []).append(voltage_v)
        means = [sum(some) / len(some) for some in slots.values()]
        outside = sum(not 207 <= mean <= 253 for mean in means)
        found.append((start_ms, outside, sum(not 195.5 <= mean <= 253 for mean in means), len(means)))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_the_readings_of_seven_days(seed: int) -> None:
    """With gaps of minutes, hours and weeks, and several readings or one in ten minutes."""
    chance = random.Random(seed)
    at_ms, readings = START_MS, []
    for _ in range(400):
        readings.append((at_ms, chance.choice([190.0, 200.0, 207.0, 230.0, 253.0, 254.0])))
        at_ms += chance.choice([MINUTE_MS, 4 * MINUTE_MS, SLOT_MS, 7 * SLOT_MS, DAY_MS // 3, DAY_MS // 3])
        if chance.random() < 0.01:
            at_ms += chance.choice([2, 6, 8, 30]) * DAY_MS

    assert followed(readings) == by_hand(readings)


def test_rows_do_not_mix() -> None:
    """Each is what it would be alone."""
    chance = random.Random(9)
    starts = [[START_MS + minute * chance.choice([5, 9, 300]) * MINUTE_MS for minute in range(300)] for _ in range(3)]
    volts = [[chance.choice([190.0, 230.0, 260.0]) for _ in range(300)] for _ in range(3)]
    together = VoltageWeeks.empty(3)
    found: list[list[Counts]] = [[], [], []]
    band = Band(*(np.repeat(one, 3) for one in BAND))
    histories = [sorted(set(one)) for one in starts]
    for step in range(min(map(len, histories))):
        start_ms = np.array([history[step] for history in histories])
        week = follow(together, start_ms, np.array([one[step] for one in volts]), band)
        for row in np.flatnonzero(week.is_over).tolist():
            found[row].append(counts(int(start_ms[row]), week, row))

    length = min(map(len, histories))
    assert found == [
        followed(list(zip(history[:length], one, strict=False))) for history, one in zip(histories, volts, strict=True)
    ]


def test_a_week_has_as_many_means_as_the_standard_says() -> None:
    """Each of a day fits into a byte."""
    assert WEEK_SLOTS == 1008
    assert DAY_MS // SLOT_MS == 144
    eighth_day = [(START_MS + slot * SLOT_MS, 200.0) for slot in range(7 * 144 + 1)]

    assert followed(eighth_day)[-1] == (START_MS + 7 * DAY_MS, 6 * 144, 0, 6 * 144)
    assert followed(eighth_day)[-2][1] == 7 * 144 - 1


def test_a_week_of_a_release_that_did_not_count_what_it_measured_is_taken_as_measured() -> None:
    """All but its newest day, of which the rest is counted from now on."""
    state = VoltageWeeks.empty(2)
    state.newest_day[0] = START_MS // DAY_MS
    state.take_as_measured()

    week = follow(state, np.full(2, START_MS), np.full(2, 230.0), BAND)

    assert week.measured_count.tolist() == [6 * 144, 0]
