"""The newest readings of many devices as columns, and as bytes that sort as readings do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kind_columns import LoggedReading
from billing.live import Latest, newest
from billing.newest import Newest, latest_rows, newest_of_all, packed_rows, packed_width, unpacked
from billing.observation import Observation, SpanKey
from billing.schema import STORAGE
from billing.segment import Segment, of_devices

HOUR_MS = 3_600_000

values = st.tuples(
    st.none() | st.integers(0, 3),
    st.none(),
    st.none() | st.floats(-5, 5),
    st.none(),
    st.none(),
    st.none(),
    st.none() | st.integers(0, 2),
    st.none(),
)
readings = st.builds(
    LoggedReading,
    kind=st.just("storage"),
    device_id=st.sampled_from(["pack-1", "pack-2", "pack-3"]),
    start_ms=st.sampled_from([-HOUR_MS, 0, 60_000, HOUR_MS]),
    interval_ms=st.sampled_from([60_000, 900_000]),
    revision=st.integers(0, 2),
    receive_ms=st.integers(1, 3),
    values=values,
)
segments = st.lists(st.lists(readings, min_size=1, max_size=6), min_size=1, max_size=5)


def segments_of(batches: list[list[LoggedReading]]) -> list[Segment]:
    """A segment a batch, logged one after the other."""
    return [Segment.of(str(number), 0, "w", number, 1, 100 + number, some) for number, some in enumerate(batches)]


def found_in(newest_by_kind: dict[str, Newest]) -> dict[str, Latest]:
    """By device."""
    return {
        device_id: latest
        for some in newest_by_kind.values()
        for device_id in some.device_ids()
        if (latest := some.find(device_id)) is not None
    }


@given(batches=segments)
def test_columns_find_what_objects_find(batches: list[list[LoggedReading]]) -> None:
    """Event time decides, then the rule for readings of one start."""
    logged = segments_of(batches)

    expected = newest(of_devices(logged, ["pack-1", "pack-2", "pack-3"]).items())

    found = found_in(newest_of_all(logged, {}))
    assert {device_id: latest.order for device_id, latest in found.items()} == {
        device_id: latest.order for device_id, latest in expected.items()
    }


@given(batches=segments)
def test_it_does_not_matter_in_how_many_steps(batches: list[list[LoggedReading]]) -> None:
    """What was the newest before, from columns or as objects, takes part."""
    logged = segments_of(batches)
    step_by_step: dict[str, Newest] = {}
    for segment in logged:
        step_by_step = newest_of_all([segment], step_by_step)
    first = list(found_in(newest_of_all(logged[:1], {})).values())

    at_once = found_in(newest_of_all(logged, {}))

    assert found_in(step_by_step) == at_once
    assert found_in(newest_of_all(logged[1:], {}, first)) == at_once


@given(batches=segments)
def test_bytes_sort_as_readings_do_and_give_them_back(batches: list[list[LoggedReading]]) -> None:
    """So the cache needs no rule of its own."""
    for one in segments_of(batches):
        for some in newest_of_all([one], {}).values():
            packed = [row.tobytes() for row in packed_rows(some.gathered)]
            latest = latest_rows(some.gathered, np.arange(len(packed)))

            assert [unpacked(STORAGE, each.device_id, row) for each, row in zip(latest, packed, strict=True)] == latest
            by_bytes = sorted(range(len(packed)), key=lambda place: packed[place])
            assert [latest[place].order for place in by_bytes] == sorted(each.order for each in latest)


def test_other_lengths_are_no_reading() -> None:
    """A value of another version of the schema is not misread."""
    with pytest.raises(ValueError, match="storage"):
        unpacked(STORAGE, "pack-1", bytes(packed_width(STORAGE) - 1))


def test_of_duplicates_the_first_record_is_kept() -> None:
    """Whichever comes first."""
    reading = LoggedReading("storage", "pack-1", 0, 60_000, 0, 1, (1, None, None, None, None, None, None, None))
    early = Segment.of("a", 0, "w", 1, 1, 100, [reading])
    late = Segment.of("b", 0, "w", 2, 1, 200, [reading])

    for order in ([early, late], [late, early]):
        found = found_in(newest_of_all(order, {}))
        assert found["pack-1"].observation.record_ms == 100


def test_the_span_of_the_reading_is_kept() -> None:
    """The offset is within the span of the start."""
    reading = LoggedReading("storage", "pack-1", 2 * HOUR_MS + 60_000, 60_000, 0, 1, (None,) * 8)
    logged = [Segment.of("a", 0, "w", 1, 1, 100, [reading])]

    assert found_in(newest_of_all(logged, {}))["pack-1"] == Latest(
        "storage", "pack-1", 2 * HOUR_MS + 60_000, Observation(60_000, 0, 60_000, 1, 100, (None,) * 8)
    )
    assert SpanKey("storage", "pack-1", 2 * HOUR_MS) in of_devices(logged, ["pack-1"])
