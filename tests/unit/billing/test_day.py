"""A day's roll-up holds what its hours hold, quarter by quarter and in all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.cold.day import QUARTERS_A_DAY, day_columns, has_ended, newest_ready_day
from billing.cold.quarter import cell, quarters
from billing.log.observation import Observation, SpanKey
from billing.log.schema import DAY_MS, HOUR_MS, METER, QUARTER_MS

DAY_START_MS = 20_000 * DAY_MS


@st.composite
def observations(draw: st.DrawFn) -> dict[int, Observation]:
    """Meter readings of a day by their offset from its start, whole quarters of kilowatts so that sums are exact."""
    found = {}
    for minute in draw(st.lists(st.integers(0, 24 * 60 - 1), max_size=60, unique=True)):
        energy = draw(st.none() | st.integers(0, 2**40))
        power_kw = draw(st.none() | st.integers(-8, 8).map(lambda quarter: quarter / 4))
        degrees = draw(st.none() | st.integers(-20, 40).map(float))
        values = (energy, None, None, None, power_kw, None, None, None, None, degrees, None, None)
        interval_ms = draw(st.sampled_from([60_000, 900_000]))
        quality = draw(st.sampled_from([0, 0, 1, 2, 3, 4]))
        found[minute * 60_000] = Observation(minute * 60_000, 0, interval_ms, 1, 2, values, quality)
    return found


def rolled_up(found: dict[int, Observation]) -> dict[str, object]:
    """The day made of the quarters of its hours."""
    by_hour: dict[int, list[Observation]] = {}
    for at_ms in sorted(found):
        hour_ms = at_ms // HOUR_MS * HOUR_MS
        by_hour.setdefault(hour_ms, []).append(found[at_ms]._replace(offset_ms=at_ms - hour_ms))
    spans = {
        SpanKey("meter", "meter-1", DAY_START_MS + hour_ms): quarters(METER, some) for hour_ms, some in by_hour.items()
    }
    return day_columns(METER, spans)


@settings(max_examples=100, deadline=None)
@given(observations())
def test_a_day_is_what_its_readings_are(found: dict[int, Observation]) -> None:
    """Each of the 96 places is the cell of its readings, and the total is the cell of all."""
    in_order = [found[at_ms] for at_ms in sorted(found)]

    made = rolled_up(found)

    assert made["total"] == cell(METER, 0, in_order)
    expected = {one["offset_ms"] // QUARTER_MS: one for one in quarters(METER, in_order)}
    columns = made["columns"]
    assert isinstance(columns, dict)
    for place in range(QUARTERS_A_DAY):
        there = {name: column[place] for name, column in columns.items() if column[place] is not None}
        wanted = expected.get(place, {"reading_count": 0})
        assert there == {name: value for name, value in wanted.items() if name != "offset_ms" and value is not None}


def test_what_nobody_measured_has_no_column() -> None:
    """A meter without a thermometer pays nothing for temperatures."""
    values = (5, *[None] * (len(METER.columns) - 1))

    columns = rolled_up({0: Observation(0, 0, 60_000, 1, 2, values)})["columns"]

    assert isinstance(columns, dict)
    assert "import_milliwatt_hours" in columns
    assert not {"export_milliwatt_hours", "first_power_kw"} & set(columns)


@pytest.mark.parametrize("minutes", [-1, 0, 29, 30, 89, 90, 24 * 60 + 89])
def test_no_day_is_made_within_an_hour_of_the_last_fold_that_does_not_announce_itself(minutes: int) -> None:
    """Whatever two clocks differ by, up to an hour, a fold that found its day open came before the making."""
    folder_ms = DAY_START_MS + DAY_MS + minutes * 60_000

    assert has_ended(DAY_START_MS + 5 * HOUR_MS, folder_ms) == (minutes >= 30)
    if not has_ended(DAY_START_MS, folder_ms):
        assert newest_ready_day(folder_ms + HOUR_MS - 1) < DAY_START_MS
    assert (newest_ready_day(folder_ms) >= DAY_START_MS) == (minutes >= 90)
