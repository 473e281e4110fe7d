"""What the power of a device usually is, and what is unusual about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.detection.power_baseline import (
    LASTING_OUTAGE_READINGS,
    LASTING_READINGS,
    WARM_UP_READINGS,
    Baselines,
    Limits,
    count_equal,
    judge,
)

LIMITS = (0.1, 1.0, 100.0, 4.0, 50.0, 4.0)
USUAL = [2.0, 2.2] * WARM_UP_READINGS


def limits(count: int = 1) -> Limits:
    """The defaults."""
    return Limits(*(np.full(count, value) for value in LIMITS))


def said(powers_kw: Sequence[float], state: Baselines | None = None) -> list[str]:
    """What each reading of one device is."""
    state = state or Baselines.empty(1)
    found = []
    for power_kw in powers_kw:
        unusual = judge(state, np.array([power_kw]), limits())
        names = {"outage": unusual.is_outage, "spike": unusual.is_spike, "drop": unusual.is_drop}
        found.append(" ".join(name for name, there in names.items() if there[0]) or "usual")
    return found


@pytest.mark.parametrize(
    ("power_kw", "is_"),
    [
        (0.0, "outage"),
        (-0.05, "outage"),
        (0.5, "drop"),
        (2.0, "usual"),
        (3.9, "usual"),
        (4.5, "spike"),
        (50.0, "spike"),
    ],
)
def test_a_reading_is_held_against_the_usual(power_kw: float, is_: str) -> None:
    """Of 2.1 kW: no power at all is an outage and not a drop, more than double is a spike, less than half a drop."""
    assert said([*USUAL, power_kw])[-1] == is_


def test_nothing_is_unusual_before_the_usual_is_known() -> None:
    """Ten readings make it."""
    assert said([2.0] * (WARM_UP_READINGS - 1) + [50.0])[-1] == "usual"
    assert said([2.0] * WARM_UP_READINGS + [50.0])[-1] == "spike"


def test_a_device_that_changes_much_anyway_is_not_unusual_for_it() -> None:
    """One that goes between half a kilowatt and four is at four as it always was."""
    assert said([0.5, 0.5, 4.0] * 10)[-3:] == ["usual"] * 3


def test_zero_is_a_value() -> None:
    """A device that usually takes nothing has no outage when it takes nothing, and a spike when it takes a little."""
    assert said([0.0] * 20)[-1] == "usual"
    assert said([*([0.0] * 20), 0.5])[-1] == "spike"


def test_an_unusual_reading_teaches_nothing() -> None:
    """What is unusual the first time is so the tenth."""
    assert set(said([*USUAL, *([9.0] * (LASTING_READINGS - 1))])[len(USUAL) :]) == {"spike"}


def test_a_lasting_change_is_the_new_usual() -> None:
    """After thirty readings; then the old one is unusual."""
    state = Baselines.empty(1)

    found = said([*USUAL, *([9.0, 9.2] * LASTING_READINGS)], state)

    assert found[len(USUAL) :].count("spike") == LASTING_READINGS - 1
    assert state.mean_kw[0] == pytest.approx(9.1, abs=0.15)
    assert said([2.0], state) == ["drop"]


def test_an_outage_of_hours_is_one_to_its_end_and_one_of_more_than_a_day_is_the_new_usual() -> None:
    """A device that was switched off for good has no outage for ever; when it is used again that is unusual."""
    state = Baselines.empty(1)

    found = said([*USUAL, *([0.0] * (LASTING_OUTAGE_READINGS + 1))], state)[len(USUAL) :]

    assert found == ["outage"] * (LASTING_OUTAGE_READINGS - 1) + ["usual"] * 2
    assert state.mean_kw[0] == 0.0
    assert said([2.0], state) == ["spike"]


def test_an_outage_within_a_drop_begins_a_run_of_its_own() -> None:
    """Neither makes the other last."""
    drops = [0.5] * (LASTING_READINGS - 1)

    found = said([*USUAL, *drops, *([0.0] * LASTING_READINGS), *drops])[len(USUAL) :]

    assert found == ["drop"] * len(drops) + ["outage"] * LASTING_READINGS + ["drop"] * len(drops)


def test_what_is_unusual_one_way_and_then_the_other_is_no_lasting_change() -> None:
    """The run begins anew."""
    assert set(said([*USUAL, *([9.0, 0.5] * LASTING_READINGS)])[len(USUAL) :]) == {"spike", "drop"}


def test_equal_readings_are_counted_and_zeros_are_not() -> None:
    """A meter may well say nothing for a long time."""
    state = Baselines.empty(1)

    counts = [int(count_equal(state, np.array([power_kw]))[0]) for power_kw in (1.0, 1.0, 1.0, 2.0, 0.0, 0.0, 1.0)]

    assert counts == [1, 2, 3, 1, 1, 1, 1]


@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
        min_size=1,
        max_size=60,
    )
)
def test_devices_side_by_side_are_judged_as_each_by_itself(powers_kw: list[list[float]]) -> None:
    """A column operation knows nothing of neighbours, and no value makes the state anything but finite."""
    together = Baselines.empty(3)
    for row in powers_kw:
        judge(together, np.array(row), limits(3))
    alone = [Baselines.empty(1) for _ in range(3)]
    for place, state in enumerate(alone):
        said([row[place] for row in powers_kw], state)

    assert together.mean_kw.tolist() == [state.mean_kw[0] for state in alone]
    assert together.variance.tolist() == [state.variance[0] for state in alone]
    assert np.isfinite(together.mean_kw).all()
    assert np.isfinite(together.variance).all()
