"""Readings of one device for the tests of what it does now, several of one start among them."""

from hypothesis import strategies as st

from billing.live.live_state import Timed
from billing.log.observation import Observation, Value
from billing.log.schema import KINDS

MINUTE_MS = 60_000


def reading(
    start_ms: int,
    values: tuple[Value, ...],
    *,
    revision: int = 0,
    receive_ms: int = 1,
    record_ms: int = 2,
    interval_ms: int = MINUTE_MS,
) -> Timed:
    """A reading that starts at this instant."""
    return start_ms, Observation(start_ms % 3_600_000, revision, interval_ms, receive_ms, record_ms, values)


def values_of(kind: str, **given: Value) -> tuple[Value, ...]:
    """The values of a kind in their order, those that are not given absent."""
    return tuple(given.get(column.name) for column in KINDS[kind].columns)


meter_readings = st.lists(
    st.builds(
        lambda start, energy, power, revision, receive_ms, record_ms, interval_ms: reading(
            start,
            values_of("meter", import_milliwatt_hours=energy, power_kw=power),
            revision=revision,
            receive_ms=receive_ms,
            record_ms=record_ms,
            interval_ms=interval_ms,
        ),
        start=st.integers(55, 68).map(lambda minute: minute * MINUTE_MS),
        energy=st.none() | st.integers(0, 3),
        power=st.none() | st.sampled_from([0.5, 1.5, -2.0]),
        revision=st.integers(0, 1),
        receive_ms=st.integers(1, 3),
        record_ms=st.integers(1, 3),
        interval_ms=st.sampled_from([MINUTE_MS, 30_000]),
    ),
    max_size=14,
)
