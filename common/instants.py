"""When a reading was: instants and spans as whole milliseconds, to and from protobuf and datetime."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_NANOS_PER_MS = 1_000_000
_NANOS_PER_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# The range that google.protobuf.Timestamp documents: years 0001 to 9999.
_TIMESTAMP_SECONDS_MINIMUM = -62_135_596_800
_TIMESTAMP_SECONDS_MAXIMUM = 253_402_300_799

# The range that google.protobuf.Duration documents: about 10 000 years.
_DURATION_SECONDS_MAXIMUM = 315_576_000_000


def to_ms(timestamp: Timestamp) -> int:
    """Milliseconds since 1970 in UTC of a `Timestamp`.

    Raises:
        ValueError: the instant is finer than a millisecond, or outside the years 0001 to 9999.
    """
    seconds, nanos = timestamp.seconds, timestamp.nanos
    if nanos % _NANOS_PER_MS or not 0 <= nanos < _NANOS_PER_SECOND:
        raise ValueError("must be whole milliseconds")
    if not _TIMESTAMP_SECONDS_MINIMUM <= seconds <= _TIMESTAMP_SECONDS_MAXIMUM:
        raise ValueError("must lie in the years 0001 to 9999")
    return seconds * 1000 + nanos // _NANOS_PER_MS


def from_ms(instant_ms: int) -> Timestamp:
    """The `Timestamp` of milliseconds since 1970 in UTC."""
    seconds, milliseconds = divmod(instant_ms, 1000)
    return Timestamp(seconds=seconds, nanos=milliseconds * _NANOS_PER_MS)


def set_ms(timestamp: Timestamp, instant_ms: int) -> None:
    """Sets an empty `Timestamp` within a message, which costs half of what making one and copying it does."""
    seconds, milliseconds = divmod(instant_ms, 1000)
    timestamp.seconds = seconds
    timestamp.nanos = milliseconds * _NANOS_PER_MS


def optional_from_ms(instant_ms: int | None) -> Timestamp | None:
    """As `from_ms`; None where there is no instant."""
    return None if instant_ms is None else from_ms(instant_ms)


def duration_to_ms(duration: Duration) -> int:
    """Milliseconds of a `Duration`, negative if it is.

    Raises:
        ValueError: the span is finer than a millisecond, too long, or its seconds and nanos differ in sign.
    """
    seconds, nanos = duration.seconds, duration.nanos
    if nanos % _NANOS_PER_MS or abs(nanos) >= _NANOS_PER_SECOND:
        raise ValueError("must be whole milliseconds")
    if seconds * nanos < 0 or abs(seconds) > _DURATION_SECONDS_MAXIMUM:
        raise ValueError("must be a valid duration")
    return seconds * 1000 + nanos // _NANOS_PER_MS


def duration_from_ms(span_ms: int) -> Duration:
    """The `Duration` of a span in milliseconds."""
    sign = -1 if span_ms < 0 else 1
    seconds, milliseconds = divmod(abs(span_ms), 1000)
    return Duration(seconds=sign * seconds, nanos=sign * milliseconds * _NANOS_PER_MS)


def set_span_ms(duration: Duration, span_ms: int) -> None:
    """Sets a `Duration` within a message to a span that is not negative, as `set_ms` does an instant."""
    seconds, milliseconds = divmod(span_ms, 1000)
    duration.seconds = seconds
    duration.nanos = milliseconds * _NANOS_PER_MS


def datetime_to_ms(instant: datetime) -> int:
    """Milliseconds since 1970 in UTC of an aware datetime.

    Raises:
        ValueError: the datetime is naive or finer than a millisecond.
    """
    if instant.tzinfo is None:
        raise ValueError("must have a time zone")
    if instant.microsecond % 1000:
        raise ValueError("must be whole milliseconds")
    return (instant - _EPOCH) // _MILLISECOND


def datetime_from_ms(instant_ms: int) -> datetime:
    """The aware UTC datetime of milliseconds since 1970; exact, for no float is involved."""
    return _EPOCH + timedelta(milliseconds=instant_ms)


def rfc3339(instant_ms: int) -> str:
    """The instant as people read it: `2026-10-25T00:00:00.000Z`."""
    return datetime_from_ms(instant_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
