"""What every request to analytics is checked for alike: texts, regions, spans of time."""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.message import Message

from common.errors import FieldViolation, InvalidArgument
from common.instants import to_ms

REGION_LENGTH_MAXIMUM = 64
ACTOR_LENGTH_MAXIMUM = 128

# No reading is older. The years before, with which some answers compare, still have a calendar, and the year after has.
_EARLIEST_MS, _LATEST_MS = 0, 253_370_764_799_999


def refuse(violations: Collection[FieldViolation]) -> None:
    """Raises them, if there are any.

    Raises:
        InvalidArgument: there are.
    """
    if violations:
        raise InvalidArgument(list(violations))


def text_violations(field: str, text: str, length_maximum: int) -> list[FieldViolation]:
    """What is wrong with a text that is required."""
    if not text:
        return [FieldViolation(field, "FIELD_REQUIRED", "is required")]
    if len(text) > length_maximum:
        return [FieldViolation(field, "OUT_OF_RANGE", f"must have at most {length_maximum} characters")]
    return []


def span_of(request: Message, violations: list[FieldViolation], *, prefix: str = "") -> tuple[int, int]:
    """Start and end of the span of a request, UTC milliseconds; adds what is wrong with them.

    They are its `start_time` and `end_time`, or fields whose names begin with the prefix.
    """
    known = len(violations)
    start_ms, end_ms = (instant_of(request, f"{prefix}{field}", violations) for field in ("start_time", "end_time"))
    if len(violations) == known and start_ms >= end_ms:
        violations.append(FieldViolation(f"{prefix}end_time", "OUT_OF_RANGE", f"must be after {prefix}start_time"))
    return start_ms, end_ms


def instant_of(request: Message, field: str, violations: list[FieldViolation]) -> int:
    """An instant that is required, UTC milliseconds; adds what is wrong with it, and is 0 then."""
    if not request.HasField(field):
        violations.append(FieldViolation(field, "FIELD_REQUIRED", "is required"))
        return 0
    try:
        instant_ms = to_ms(getattr(request, field))
    except ValueError as fault:
        violations.append(FieldViolation(field, "INVALID_FORMAT", str(fault)))
        return 0
    if not _EARLIEST_MS <= instant_ms <= _LATEST_MS:
        violations.append(FieldViolation(field, "OUT_OF_RANGE", "must lie in the years 1970 to 9998"))
    return instant_ms
