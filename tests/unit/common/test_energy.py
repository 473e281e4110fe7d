"""The rounding of energy: the one place where a reading loses digits."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.energy import kwh, milliwatt_hours, milliwatt_hours_of

_LARGEST_KWH = 9.2e12


def _by_decimal(energy_kwh: float) -> int:
    return int((Decimal(repr(energy_kwh)) * 1_000_000).to_integral_value(rounding=ROUND_HALF_UP))


def _steps_away(energy_kwh: float, steps: int) -> float:
    for _ in range(abs(steps)):
        energy_kwh = math.nextafter(energy_kwh, math.inf * steps)
    return energy_kwh


@pytest.mark.parametrize(
    ("energy_kwh", "expected_milliwatt_hours"),
    [
        (0.0, 0),
        (-0.0, 0),
        (1.0, 1_000_000),
        (0.123456, 123_456),
        (0.0000004, 0),
        (0.0000005, 1),
        (0.0000015, 2),
        (0.0000025, 3),
        (-0.0000005, -1),
        (4.216 / 60, 70_267),
        (2.675e-06, 3),
        (1e9, 10**15),
        (5e-324, 0),
    ],
)
def test_energy_is_rounded_to_the_nearest_milliwatt_hour_ties_away_from_zero(
    energy_kwh: float, expected_milliwatt_hours: int
) -> None:
    """Ties are those of the decimal that people write, not of the binary float behind it."""
    assert milliwatt_hours(energy_kwh) == expected_milliwatt_hours


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
@example(1_099_511.6277765)
@example(1_099_511.6277755)
@example(549_755.8138885)
def test_the_fast_path_gives_what_decimal_gives(energy_kwh: float) -> None:
    """For any float the result is that of exact decimal arithmetic."""
    assert milliwatt_hours(energy_kwh) == _by_decimal(energy_kwh)


@given(st.integers(min_value=-(2**43), max_value=2**43), st.integers(min_value=-2, max_value=2))
def test_numbers_next_to_a_tie_are_rounded_as_decimal_rounds_them(milliwatt_hours_below: int, steps: int) -> None:
    """The floats around k + 0.5 milliwatt-hours, where the product of floats may fall on the wrong side."""
    energy_kwh = _steps_away((milliwatt_hours_below + 0.5) / 1_000_000, steps)

    assert milliwatt_hours(energy_kwh) == _by_decimal(energy_kwh)


@given(st.integers(min_value=-(2**43), max_value=2**43))
def test_whole_milliwatt_hours_survive_the_wire(whole: int) -> None:
    """An integer sent as kWh and rounded again is the same integer."""
    assert milliwatt_hours(kwh(whole)) == whole


@pytest.mark.parametrize("energy_kwh", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(energy_kwh: float) -> None:
    """NaN and the infinities are no energy."""
    with pytest.raises(ValueError, match="finite"):
        milliwatt_hours(energy_kwh)


@pytest.mark.parametrize("energy_kwh", [9.3e12, -9.3e12, 1.7e308])
def test_an_energy_that_64_bits_cannot_hold_is_refused(energy_kwh: float) -> None:
    """Whoever keeps it as a column could not."""
    with pytest.raises(ValueError, match="64 bits"):
        milliwatt_hours(energy_kwh)


_ENERGIES = st.one_of(
    st.floats(allow_nan=False, min_value=-_LARGEST_KWH, max_value=_LARGEST_KWH),
    st.floats(min_value=0.0, max_value=100.0),
    st.builds(
        lambda below, steps: _steps_away((below + 0.5) / 1_000_000, steps),
        st.integers(min_value=-(2**43), max_value=2**43),
        st.integers(min_value=-2, max_value=2),
    ),
)


@given(st.lists(_ENERGIES, max_size=20))
@example([0.0000005, -0.0, 0.0000025, 1_099_511.6277765, 0.123456])
def test_many_energies_are_rounded_as_each_one_is(energies_kwh: list[float]) -> None:
    """Neighbours change nothing, whether they are near a tie, large or plain."""
    rounded = milliwatt_hours_of(np.array(energies_kwh, np.float64))

    assert rounded.dtype == np.int64
    assert rounded.tolist() == [milliwatt_hours(energy_kwh) for energy_kwh in energies_kwh]


@pytest.mark.parametrize("energy_kwh", [math.nan, math.inf, -math.inf, 1.7e308, 1e13])
def test_many_energies_are_refused_if_one_is_no_energy(energy_kwh: float) -> None:
    """NaN, the infinities, and what 64 bits cannot hold."""
    with pytest.raises(ValueError, match="must be"):
        milliwatt_hours_of(np.array([1.0, energy_kwh, 2.0]))
