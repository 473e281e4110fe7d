"""What the hot document of a device moves forward to."""

from typing import Any

import bson
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.live.hot_reading import Latest, from_document, newest_of, to_update
from billing.live.live_state import advanced
from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation
from billing.log.schema import METER, STORAGE
from billing.log.segment import Segment, gather_by_kind, of_devices

VALUES = (1, None, -5.0, None, None, None, 3, 2)


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    """A few segments of a few devices, with ties of start, revision and receipt."""
    readings = st.builds(
        lambda device, start, revision, receive_ms, energy: LoggedReading(
            "meter", device, start * 60_000, 60_000, revision, receive_ms, (energy, *(None,) * (len(METER.columns) - 1))
        ),
        device=st.sampled_from(["m-1", "m-2", "m-3"]),
        start=st.integers(0, 3),
        revision=st.integers(0, 1),
        receive_ms=st.integers(1, 3),
        energy=st.integers(0, 2),
    )
    return [
        Segment.of(f"b-{number}", 0, "w", number + 1, 0, 1_000 + number, draw(st.lists(readings, max_size=12)))
        for number in range(draw(st.integers(1, 4)))
    ]


@settings(max_examples=150, deadline=None)
@given(segments())
def test_the_newest_reading_and_the_last_receipt_are_found_among_columns(some: list[Segment]) -> None:
    """The same that each device's readings give one by one, ties of start, revision and receipt among them."""
    found = newest_of(gather_by_kind(some))

    device_ids = {reading.device_id for segment in some for reading in segment.readings()}
    expected = {}
    for device_id in device_ids:
        timed = [
            (key.span_start_ms + observation.offset_ms, observation)
            for key, observations in of_devices(some, [device_id]).items()
            for observation in observations
        ]
        state = advanced(None, "meter", device_id, timed)
        assert state is not None
        expected[device_id] = Latest("meter", device_id, *state.newest, state.last_receive_ms)
    assert found == expected


def test_the_sub_document_begins_with_what_decides() -> None:
    """The database compares it field by field, so the order of the fields is the rule."""
    latest = Latest("storage", "pack-1", 7_200_000, Observation(0, 0, 60_000, 1, 2, VALUES), 9)

    update = to_update(latest)

    assert list(update["latest"])[:5] == ["start_time", "revision", "receive_order", "tie", "record_order"]
    body = bson.encode({"_id": "pack-1", **update})
    stored: dict[str, Any] = bson.decode(body, bson.CodecOptions(tz_aware=True))
    assert from_document(STORAGE, stored) == latest
