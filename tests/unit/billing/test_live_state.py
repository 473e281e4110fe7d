"""What a device does now follows from its readings alone, not from how they came."""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.live.live_state import FiveMinuteMean, LiveState, Timed, advanced, five_minute_mean
from billing.live.live_state_codec import from_bytes, to_bytes
from billing.log.observation import settle
from tests.unit.billing.live_cases import MINUTE_MS, meter_readings, reading, values_of


def state_of(readings: list[Timed], kind: str = "meter") -> LiveState:
    """The state of at least one reading, taken at once."""
    state = advanced(None, kind, "d-1", readings)
    assert state is not None
    return state


@given(meter_readings, st.randoms(use_true_random=False), st.integers(1, 5))
def test_order_grouping_and_repetition_leave_no_trace(
    readings: list[Timed], shuffler: random.Random, group_size: int
) -> None:
    """Whatever came first, together or twice: the same state."""
    repeated = readings * 2
    shuffler.shuffle(repeated)
    state = None

    for first in range(0, len(repeated), group_size):
        state = advanced(state, "meter", "d-1", repeated[first : first + group_size])

    assert state == advanced(None, "meter", "d-1", readings)


@given(meter_readings, meter_readings)
def test_two_states_join_to_the_state_of_all_their_readings(some: list[Timed], others: list[Timed]) -> None:
    """So a cache may be filled from the store while it is being written to."""
    one, other = advanced(None, "meter", "d-1", some), advanced(None, "meter", "d-1", others)

    joined = one if other is None else advanced(one, "meter", "d-1", other.readings, other.last_receive_ms)

    assert joined == advanced(None, "meter", "d-1", [*some, *others])


@given(meter_readings.filter(bool))
def test_its_readings_are_those_that_count_in_the_last_five_minutes(readings: list[Timed]) -> None:
    """Plain Python over all readings, by the rule that decides in the cold documents, finds the same ones."""
    state = state_of(readings)

    newest_ms = max(start_ms for start_ms, _ in readings)
    expected = []
    for at_ms in sorted({start_ms for start_ms, _ in readings if newest_ms - 5 * MINUTE_MS < start_ms <= newest_ms}):
        counting, _ = settle(observation for start_ms, observation in readings if start_ms == at_ms)
        expected.append((at_ms, counting.revision, counting.receive_ms, counting.interval_ms, counting.values))
    assert [
        (at_ms, one.revision, one.receive_ms, one.interval_ms, one.values) for at_ms, one in state.readings
    ] == expected
    assert state.last_receive_ms == max(observation.receive_ms for _, observation in readings)


@given(meter_readings.filter(bool))
def test_the_mean_weighs_each_reading_by_its_interval(readings: list[Timed]) -> None:
    """Power over the time in which it was measured, energy over the time in which that was; exact fractions agree."""
    state = state_of(readings)

    powers = [(Fraction(one.values[4]), one.interval_ms) for _, one in state.readings if one.values[4] is not None]
    energies = [(Fraction(one.values[0]), one.interval_ms) for _, one in state.readings if one.values[0] is not None]
    power_kw = sum(power * ms for power, ms in powers) / sum(ms for _, ms in powers) if powers else None
    energy_kw = (
        sum(energy for energy, _ in energies) / 1_000_000 / Fraction(sum(ms for _, ms in energies), 3_600_000)
        if energies
        else None
    )
    mean = five_minute_mean(state)
    assert mean.reading_count == len(state.readings)
    assert mean.power_kw == pytest.approx(power_kw if power_kw is None else float(power_kw))
    assert mean.energy_power_kw == pytest.approx(energy_kw if energy_kw is None else float(energy_kw))


def test_five_readings_of_a_minute_are_five_minutes() -> None:
    """The reading that started exactly five minutes before the newest lies outside."""
    state = state_of([reading(minute * MINUTE_MS, values_of("meter", power_kw=1.0)) for minute in range(60)])

    assert [start_ms // MINUTE_MS for start_ms, _ in state.readings] == [55, 56, 57, 58, 59]


@pytest.mark.parametrize(
    ("kind", "values", "energy_power_kw"),
    [
        pytest.param("meter", {"import_milliwatt_hours": 50_000}, 3.0, id="a meter that imports"),
        pytest.param(
            "meter", {"import_milliwatt_hours": 0, "export_milliwatt_hours": 25_000}, -1.5, id="a meter that exports"
        ),
        pytest.param("vehicle", {"energy_delivered_milliwatt_hours": 100_000}, 6.0, id="a vehicle that charges"),
        pytest.param("storage", {"discharge_milliwatt_hours": 50_000}, 3.0, id="a battery that discharges"),
        pytest.param("storage", {"charge_milliwatt_hours": 50_000}, -3.0, id="a battery that charges"),
    ],
)
def test_energy_flows_with_the_sign_of_the_kinds_power(
    kind: str, values: dict[str, int], energy_power_kw: float
) -> None:
    """Both means of a device can be laid beside each other."""
    mean = five_minute_mean(state_of([reading(0, values_of(kind, **values))], kind))

    assert mean == FiveMinuteMean(1, None, energy_power_kw)


def test_a_late_reading_changes_nothing_but_when_it_was_heard_of() -> None:
    """Readings of last month that come today say that the device lives, not what it does now."""
    now = state_of([reading(100 * MINUTE_MS, values_of("meter", power_kw=1.0), receive_ms=7)])

    later = advanced(now, "meter", "d-1", [reading(MINUTE_MS, values_of("meter", power_kw=9.0), receive_ms=8)])

    assert later == LiveState("meter", "d-1", 8, now.readings)


def test_a_device_that_sends_very_often_is_kept_within_bounds() -> None:
    """Ten readings a second: the newest three hundred, however they were split."""
    values = values_of("meter", power_kw=1.0)
    readings = [reading(at_ms, values, interval_ms=100) for at_ms in range(0, 100_000, 100)]

    state = advanced(state_of(readings[500:]), "meter", "d-1", readings[:900])

    assert state == state_of(readings)
    assert state is not None
    assert [start_ms for start_ms, _ in state.readings] == list(range(70_000, 100_000, 100))


@given(meter_readings)
def test_a_state_survives_the_cache(readings: list[Timed]) -> None:
    """Integers and fractions come back as what they were, and nothing as nothing."""
    state = advanced(None, "meter", "d-1", readings)

    assert repr(from_bytes("d-1", to_bytes(state))) == repr(state)
