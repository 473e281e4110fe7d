"""A meter behind transformers counts at their secondary side: what was used is the difference times its multiplier."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.register import (
    MeterExchange,
    RegisterOutcome,
    RegisterRead,
    RegisterScale,
    difference,
    differences,
    register_count_milliwatt_hours,
)

HOUR_MS = 3_600_000
KWH = 1_000_000
FORTY = Decimal(40)


def read(hour: int, milliwatt_hours: int) -> RegisterRead:
    """A read at an hour."""
    return RegisterRead(hour * HOUR_MS, milliwatt_hours)


def told(hour: int, multiplier: str, final: int | None = None, initial: int | None = None) -> MeterExchange:
    """A multiplier that is told from an hour on, of an exchanged meter with its registers."""
    return MeterExchange(hour * HOUR_MS, final, initial, Decimal(multiplier))


def test_the_difference_is_multiplied() -> None:
    """From 100 to 101.5 kWh behind transformers of 200/5 A: 1.5 times 40 are 60 kWh."""
    found = difference(read(0, 100 * KWH), read(1, 101_500_000), RegisterScale(5, None, FORTY))

    assert (found.milliwatt_hours, found.outcome) == (60 * KWH, RegisterOutcome.ADVANCED)


@pytest.mark.parametrize(
    ("connection_kw", "milliwatt_hours", "outcome"),
    [(200.0, 200 * KWH, RegisterOutcome.ROLLED_OVER), (199.0, None, RegisterOutcome.RESET)],
)
def test_a_rollover_needs_a_connection_that_passes_the_multiplied_energy(
    connection_kw: float, milliwatt_hours: int | None, outcome: RegisterOutcome
) -> None:
    """From 99998 to 3 are 5 kWh at the secondary side and 200 at the primary, within an hour."""
    scale = RegisterScale(5, connection_kw, FORTY)

    found = difference(read(0, 99_998 * KWH), read(1, 3 * KWH), scale)

    assert (found.milliwatt_hours, found.outcome) == (milliwatt_hours, outcome)


def test_a_rise_is_judged_by_the_multiplied_energy() -> None:
    """Of a 100 kW connection with ten percent of room: 2.75 kWh times 40 are 110, a Wh more is too much."""
    scale = RegisterScale(5, 100.0, FORTY)

    assert difference(read(0, 0), read(1, 2_750_000), scale).milliwatt_hours == 110 * KWH
    assert difference(read(0, 0), read(1, 2_751_000), scale).outcome is RegisterOutcome.IMPOSSIBLE


def test_what_no_meter_can_pass_is_no_usage_though_its_connection_is_not_known() -> None:
    """A terawatt-hour between two reads is the most; sums of more would not be exact any more."""
    scale = RegisterScale(0, None, Decimal(1_000_000))

    assert difference(read(0, 0), read(1, 1_000 * KWH), scale).milliwatt_hours == 10**15
    assert difference(read(0, 0), read(1, 1_000 * KWH + 1), scale).outcome is RegisterOutcome.IMPOSSIBLE


def test_a_multiplier_counts_from_its_instant_on() -> None:
    """1 until nobody has told one; 40 from the read at one o'clock; 30 from that at three."""
    reads = [read(hour, hour * KWH) for hour in range(5)]

    found = differences(reads, [told(3, "30"), told(1, "40")], RegisterScale(5, None))

    assert [one.milliwatt_hours for one in found] == [1 * KWH, 40 * KWH, 40 * KWH, 30 * KWH]


def test_each_meter_of_an_exchange_has_its_own_multiplier() -> None:
    """The old one from 100 to 102 by 40, the new one from 7 to 8 by 20: 80 and 20 kWh."""
    exchanges = [told(-9, "40"), told(1, "20", final=102 * KWH, initial=7 * KWH)]

    (found,) = differences([read(0, 100 * KWH), read(2, 8 * KWH)], exchanges, RegisterScale(5, None))

    assert (found.milliwatt_hours, found.outcome) == (100 * KWH, RegisterOutcome.ADVANCED)


def test_an_exchange_that_tells_no_multiplier_keeps_the_one_before() -> None:
    """The transformers stay when the meter is exchanged: 2 and 1 kWh, both by 40."""
    exchange = MeterExchange(HOUR_MS, 102 * KWH, 7 * KWH)

    (found,) = differences([read(0, 100 * KWH), read(2, 8 * KWH)], [told(-9, "40"), exchange], RegisterScale(5, None))

    assert found.milliwatt_hours == 120 * KWH


def test_a_change_that_nobody_read_the_register_at_leaves_usage_unknown() -> None:
    """How much of the 2 kWh was used before it is not known; the same multiplier told again changes nothing."""
    reads = [read(0, 100 * KWH), read(2, 102 * KWH)]

    assert differences(reads, [told(1, "40")], RegisterScale(5, None)) == [
        (0, 2 * HOUR_MS, None, RegisterOutcome.MULTIPLIER_CHANGED)
    ]
    (same,) = differences(reads, [told(-9, "40"), told(1, "40.0")], RegisterScale(5, None))
    assert same.milliwatt_hours == 80 * KWH


def test_a_count_of_the_register_is_a_multiplied_step() -> None:
    """Whole kWh at the secondary side are steps of 40 kWh; the greatest multiplier of the reads counts."""
    reads = [read(hour, hour * KWH) for hour in range(5)]

    assert register_count_milliwatt_hours(reads, [told(-1, "40")]) == 40 * KWH
    assert register_count_milliwatt_hours(reads, [told(-1, "40"), told(2, "60")]) == 60 * KWH
    assert register_count_milliwatt_hours(reads, [told(9, "40")]) == KWH


@given(
    st.lists(st.integers(0, 50 * KWH), min_size=1, max_size=30),
    st.integers(0, 10**5 * KWH - 1),
    st.decimals("0.001", "5000", places=3),
    st.data(),
)
def test_differences_add_up_to_that_of_the_ends(
    steps: list[int], first: int, multiplier: Decimal, data: st.DataObject
) -> None:
    """To the milliwatt-hour, though products are fractions of one: over rollovers, and whichever reads are left out."""
    scale = RegisterScale(5, 1e9, multiplier)
    totals = [first]
    for step in steps:
        totals.append(totals[-1] + step)
    shown = [read(hour, total % (10**5 * KWH)) for hour, total in enumerate(totals)]
    left_out = data.draw(st.sets(st.integers(1, len(steps) - 1)) if len(steps) > 1 else st.just(set[int]()))

    every = differences(shown, [], scale)
    fewer = differences([one for hour, one in enumerate(shown) if hour not in left_out], [], scale)

    exact = multiplier * sum(steps)
    for found in (every, fewer):
        usage = sum(one.milliwatt_hours or 0 for one in found)
        rollovers = totals[-1] // (10**5 * KWH) - first // (10**5 * KWH)
        # A rollover begins a new count, whose rounding is its own.
        assert abs(usage - exact) < 1 + rollovers
    if totals[-1] < 10**5 * KWH:
        assert sum(one.milliwatt_hours or 0 for one in every) == sum(one.milliwatt_hours or 0 for one in fewer)
