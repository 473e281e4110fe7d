"""Instants and spans as whole milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from common import instants

_YEAR_1_MS = -62_135_596_800_000
_YEAR_9999_MS = 253_402_300_799_999


@given(st.integers(min_value=_YEAR_1_MS, max_value=_YEAR_9999_MS))
def test_an_instant_survives_the_wire_and_a_datetime(instant_ms: int) -> None:
    """Milliseconds to Timestamp and back, and to datetime and back, lose nothing in any year."""
    assert instants.to_ms(instants.from_ms(instant_ms)) == instant_ms
    assert instants.datetime_to_ms(instants.datetime_from_ms(instant_ms)) == instant_ms
    assert instants.from_ms(instant_ms).ToDatetime(UTC) == instants.datetime_from_ms(instant_ms)


@given(st.integers(min_value=-(10**14), max_value=10**14))
def test_a_span_survives_the_wire(span_ms: int) -> None:
    """Milliseconds to Duration and back, negative ones too, as protobuf's own conversion has them."""
    duration = instants.duration_from_ms(span_ms)

    assert instants.duration_to_ms(duration) == span_ms
    assert duration.ToMilliseconds() == span_ms


@pytest.mark.parametrize(
    ("timestamp", "problem"),
    [
        (Timestamp(seconds=0, nanos=1), "whole milliseconds"),
        (Timestamp(seconds=0, nanos=999_999_999), "whole milliseconds"),
        (Timestamp(seconds=0, nanos=-1_000_000), "whole milliseconds"),
        (Timestamp(seconds=0, nanos=1_000_000_000), "whole milliseconds"),
        (Timestamp(seconds=_YEAR_1_MS // 1000 - 1), "0001 to 9999"),
        (Timestamp(seconds=_YEAR_9999_MS // 1000 + 1), "0001 to 9999"),
    ],
)
def test_a_timestamp_that_is_too_fine_or_out_of_range_is_refused(timestamp: Timestamp, problem: str) -> None:
    """Finer than a millisecond is refused, never rounded."""
    with pytest.raises(ValueError, match=problem):
        instants.to_ms(timestamp)


@pytest.mark.parametrize(
    ("duration", "problem"),
    [
        (Duration(seconds=1, nanos=1), "whole milliseconds"),
        (Duration(seconds=0, nanos=1_000_000_000), "whole milliseconds"),
        (Duration(seconds=1, nanos=-1_000_000), "valid duration"),
        (Duration(seconds=315_576_000_001), "valid duration"),
    ],
)
def test_a_duration_that_is_too_fine_or_invalid_is_refused(duration: Duration, problem: str) -> None:
    """Finer than a millisecond, beyond protobuf's range, or with two signs."""
    with pytest.raises(ValueError, match=problem):
        instants.duration_to_ms(duration)


@given(st.integers(min_value=0, max_value=_YEAR_9999_MS))
def test_an_instant_or_a_span_may_be_set_in_place(whole_ms: int) -> None:
    """What a message has then is what it would have been given."""
    timestamp, duration = Timestamp(), Duration()
    instants.set_ms(timestamp, whole_ms)
    instants.set_span_ms(duration, whole_ms)

    assert timestamp == instants.from_ms(whole_ms)
    assert duration == instants.duration_from_ms(whole_ms)


def test_a_datetime_of_any_zone_is_the_instant_it_names() -> None:
    """The zone of a datetime moves the clock face, not the instant."""
    kolkata = timezone(timedelta(hours=5, minutes=30))

    instant_ms = instants.datetime_to_ms(datetime(2026, 1, 1, 5, 30, tzinfo=kolkata))

    assert instant_ms == instants.datetime_to_ms(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "instant",
    [datetime(2026, 1, 1), datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)],  # noqa: DTZ001 - naive is the point
)
def test_a_naive_or_too_fine_datetime_is_refused(instant: datetime) -> None:
    """A datetime without a zone names no instant."""
    with pytest.raises(ValueError, match="must"):
        instants.datetime_to_ms(instant)


def test_an_instant_is_shown_to_people_in_utc_with_milliseconds() -> None:
    """RFC 3339 with a Z."""
    assert instants.rfc3339(1_000) == "1970-01-01T00:00:01.000Z"
