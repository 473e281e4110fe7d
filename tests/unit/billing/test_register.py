"""A register's difference is exact, or unknown: never negative, never more than the connection can pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.physical_limit import capacity_milliwatt_hours
from billing.metering.register import (
    MeterExchange,
    RegisterOutcome,
    RegisterRead,
    RegisterScale,
    difference,
    differences,
    register_count_milliwatt_hours,
    sum_tolerance_milliwatt_hours,
)

HOUR_MS = 3_600_000
KWH = 1_000_000
HOUSE = RegisterScale(digits=5, connection_kw=20.0)


def read(hour: int, milliwatt_hours: int) -> RegisterRead:
    """A read at an hour."""
    return RegisterRead(hour * HOUR_MS, milliwatt_hours)


def test_usage_is_the_difference_of_two_reads() -> None:
    """From 100 to 107.5 kWh in an hour is 7.5 kWh."""
    found = difference(read(0, 100 * KWH), read(1, 107_500_000), HOUSE)

    assert (found.milliwatt_hours, found.outcome) == (7_500_000, RegisterOutcome.ADVANCED)


def test_a_register_goes_on_at_zero_after_its_last_digit() -> None:
    """From 99998 to 3 kWh of a register of five digits is 5 kWh."""
    found = difference(read(0, 99_998 * KWH), read(1, 3 * KWH), HOUSE)

    assert (found.milliwatt_hours, found.outcome) == (5 * KWH, RegisterOutcome.ROLLED_OVER)


@pytest.mark.parametrize(
    ("later_kwh", "outcome"),
    [(18, RegisterOutcome.ROLLED_OVER), (19, RegisterOutcome.RESET)],
)
def test_a_rollover_needs_a_power_the_connection_can_pass(later_kwh: int, outcome: RegisterOutcome) -> None:
    """Over one hour 20 kWh are possible at 20 kW, 21 kWh are not."""
    assert difference(read(0, 99_998 * KWH), read(1, later_kwh * KWH), HOUSE).outcome is outcome


@pytest.mark.parametrize(
    "scale",
    [RegisterScale(0, 20.0), RegisterScale(5, None)],
    ids=["digits not known", "connection not known"],
)
def test_what_cannot_be_shown_to_be_a_rollover_is_a_reset(scale: RegisterScale) -> None:
    """Without digits or connection a register that fell says nothing of what was used."""
    found = difference(read(0, 99_998 * KWH), read(1, 3 * KWH), scale)

    assert (found.milliwatt_hours, found.outcome) == (None, RegisterOutcome.RESET)


def test_a_rise_above_the_connection_is_no_usage() -> None:
    """Registers are compared with ten percent of room; 23 kWh in an hour of a 20 kW connection are too much."""
    assert difference(read(0, 0), read(1, 22 * KWH), HOUSE).outcome is RegisterOutcome.ADVANCED
    assert difference(read(0, 0), read(1, 23 * KWH), HOUSE).milliwatt_hours is None


def test_an_exchange_adds_what_both_meters_went_on() -> None:
    """The old meter to its final value, the new one from its initial value."""
    exchange = MeterExchange(HOUR_MS // 2, final_milliwatt_hours=104 * KWH, initial_milliwatt_hours=7 * KWH)

    found = differences([read(0, 100 * KWH), read(1, 9 * KWH)], [exchange], HOUSE)

    assert [one.milliwatt_hours for one in found] == [6 * KWH]


def test_an_exchange_whose_final_value_cannot_be_leaves_usage_unknown() -> None:
    """A final value below the last read is a reset of the old meter."""
    exchange = MeterExchange(HOUR_MS // 2, final_milliwatt_hours=99 * KWH, initial_milliwatt_hours=0)

    found = differences([read(0, 100 * KWH), read(1, 1 * KWH)], [exchange], HOUSE)

    assert [(one.milliwatt_hours, one.outcome) for one in found] == [(None, RegisterOutcome.RESET)]


def test_reads_of_one_instant_are_refused() -> None:
    """There is no usage over no time."""
    with pytest.raises(ValueError, match="after the first"):
        difference(read(1, 0), read(1, 0), HOUSE)


@pytest.mark.parametrize(
    ("values", "count"),
    [([5 * KWH, 7 * KWH], KWH), ([5 * KWH, 7_100_000], 100_000), ([1], 1), ([0, 0], KWH)],
)
def test_the_count_of_a_register_is_told_by_its_reads(values: list[int], count: int) -> None:
    """Reads in whole kWh have a count of one kWh, one with a decimal a tenth of it."""
    assert register_count_milliwatt_hours([read(place, value) for place, value in enumerate(values)]) == count


def test_the_tolerance_is_a_count_or_a_thousandth() -> None:
    """Whichever is larger."""
    assert sum_tolerance_milliwatt_hours(500 * KWH, KWH) == KWH
    assert sum_tolerance_milliwatt_hours(5000 * KWH, KWH) == 5 * KWH


reads = st.builds(read, st.integers(0, 200), st.integers(0, 10**5 * KWH - 1))


@given(st.lists(reads, min_size=2, unique_by=lambda one: one.at_ms), st.sampled_from([None, 5.0, 20.0, 1e6]))
def test_no_difference_is_negative_or_more_than_can_be(some: list[RegisterRead], connection_kw: float | None) -> None:
    """Whatever a register shows, what is billed of it lies between nothing and the connection's power."""
    for found in differences(some, [], RegisterScale(5, connection_kw)):
        if found.milliwatt_hours is not None:
            assert found.milliwatt_hours >= 0
            if connection_kw is not None:
                duration_ms = found.end_ms - found.start_ms
                assert found.milliwatt_hours <= capacity_milliwatt_hours(connection_kw, duration_ms, 1.1)
        else:
            assert found.outcome in {RegisterOutcome.RESET, RegisterOutcome.IMPOSSIBLE}


@given(st.integers(0, 10**5 * KWH - 1), st.lists(st.integers(0, 20 * KWH), min_size=1, max_size=40))
def test_usage_is_found_again_across_rollovers(first: int, used: list[int]) -> None:
    """A meter that uses what its connection can pass shows exactly that, however often it rolls over."""
    total = first
    some = [read(0, first)]
    for hour, energy in enumerate(used, 1):
        total += energy
        some.append(read(hour, total % (10**5 * KWH)))

    assert [found.milliwatt_hours for found in differences(some, [], HOUSE)] == used
