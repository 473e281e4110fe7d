"""Checks what people ask of usage: every broken rule is named with its field, before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass

from energy.billing.v1.usage_service_pb2 import (
    ListMinuteTotalsRequest,
    ListReadingsRequest,
    ListUsageRequest,
    SummarizeUsageRequest,
    UsageResolution,
)
from energy.billing.v1.validation_service_pb2 import (
    ListReadingEditsRequest,
    ListReadingExceptionsRequest,
    ValidateReadingsRequest,
)
from google.protobuf.timestamp_pb2 import Timestamp

from billing.cold.usage_bucket import Bucket
from common.errors import FieldViolation, InvalidArgument, RequestTooExpensive
from common.instants import to_ms

DEVICES_MAXIMUM = 1000
_DAY_MS = 86_400_000
_LONGEST_DAYS: dict[Bucket, int] = {
    "minute": 31,
    "quarter_hour": 366,
    "hour": 3 * 366,
    "local_day": 10 * 366,
    "local_month": 10 * 366,
}
_LONGEST_SUMMARY_DAYS = 10 * 366
# A month of 10 000 devices, with room.
_MOST_DEVICE_DAYS = 400_000
_MOST_DEVICE_HOURS = 10_000
# The years 2 to 9998: within the horizon on both sides, every zone still has a calendar there.
_EARLIEST_MS, _LATEST_MS = -62_104_060_800_000, 253_370_764_799_999
_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
_SCOPES = ("device_ids", "region", "account_id", "group_id", "site_id", "all")
_BUCKETS: dict["UsageResolution.ValueType", Bucket] = {
    UsageResolution.USAGE_RESOLUTION_MINUTE: "minute",
    UsageResolution.USAGE_RESOLUTION_QUARTER_HOUR: "quarter_hour",
    UsageResolution.USAGE_RESOLUTION_HOUR: "hour",
    UsageResolution.USAGE_RESOLUTION_LOCAL_DAY: "local_day",
    UsageResolution.USAGE_RESOLUTION_LOCAL_MONTH: "local_month",
}


WindowRequest = (
    ListReadingsRequest
    | ListUsageRequest
    | ListMinuteTotalsRequest
    | SummarizeUsageRequest
    | ValidateReadingsRequest
    | ListReadingExceptionsRequest
    | ListReadingEditsRequest
)


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open period [start_ms, end_ms), epoch milliseconds."""

    start_ms: int
    end_ms: int


def window(request: WindowRequest) -> Window:
    """The period of a request.

    Raises:
        InvalidArgument: an end of it is absent, finer than a millisecond, out of all calendars, or not after the start.
    """
    violations: list[FieldViolation] = []
    start_ms = _instant(request, "start_time", violations)
    end_ms = _instant(request, "end_time", violations)
    for field, instant_ms in (("start_time", start_ms), ("end_time", end_ms)):
        if not _EARLIEST_MS <= instant_ms <= _LATEST_MS:
            violations.append(FieldViolation(field, "OUT_OF_RANGE", "must lie in the years 2 to 9998"))
    if not violations and start_ms >= end_ms:
        violations.append(FieldViolation("end_time", "OUT_OF_RANGE", "must be after start_time"))
    if violations:
        raise InvalidArgument(violations)
    return Window(start_ms, end_ms)


def as_of(request: ListReadingsRequest | ListUsageRequest | SummarizeUsageRequest) -> int | None:
    """The moment as of which a request asks, epoch milliseconds; None is now.

    Raises:
        InvalidArgument: it is finer than a millisecond.
    """
    if not request.HasField("as_of"):
        return None
    violations: list[FieldViolation] = []
    found_ms = _instant(request, "as_of", violations)
    if violations:
        raise InvalidArgument(violations)
    return found_ms


def _instant(
    request: WindowRequest,
    field: str,
    violations: list[FieldViolation],
) -> int:
    if not request.HasField(field):  # type: ignore[arg-type]
        violations.append(FieldViolation(field, "FIELD_REQUIRED", "is required"))
        return 0
    timestamp: Timestamp = getattr(request, field)
    try:
        return to_ms(timestamp)
    except ValueError as problem:
        violations.append(FieldViolation(field, "INVALID_FORMAT", str(problem)))
        return 0


def bucket(request: ListUsageRequest, asked: Window) -> Bucket:
    """The intervals a request asks for.

    Raises:
        InvalidArgument: no resolution, or an unknown one.
        RequestTooExpensive: the period is too long for it.
    """
    found = _BUCKETS.get(request.resolution)
    if found is None:
        raise InvalidArgument(
            [FieldViolation("resolution", "FIELD_REQUIRED", "is required, and one of the listed ones")]
        )
    require_at_most(asked, _LONGEST_DAYS[found])
    return found


def summary_window(request: SummarizeUsageRequest) -> Window:
    """The period of a summary.

    Raises:
        InvalidArgument: as for `window`.
        RequestTooExpensive: it is longer than ten years.
    """
    asked = window(request)
    require_at_most(asked, _LONGEST_SUMMARY_DAYS)
    return asked


def require_at_most(asked: Window, days: int) -> None:
    """Refuses periods longer than so many days.

    Raises:
        RequestTooExpensive: it is longer.
    """
    if asked.end_ms - asked.start_ms > days * _DAY_MS:
        raise RequestTooExpensive(f"at most {days} days at once")


def require_affordable(asked: Window, device_count: int) -> None:
    """Refuses summaries that would keep the store busy for too long: the cost is by the device and the day begun.

    Raises:
        RequestTooExpensive: devices times days are more than 400 000.
    """
    days = -(-(asked.end_ms - asked.start_ms) // _DAY_MS)
    if device_count * days > _MOST_DEVICE_DAYS:
        raise RequestTooExpensive(
            f"at most {_MOST_DEVICE_DAYS} device-days at once; {device_count} devices for {days} days are more"
        )


def minutes_window(request: ListMinuteTotalsRequest) -> Window:
    """The period of minutes.

    Raises:
        InvalidArgument: as for `window`, or an end is no whole minute.
        RequestTooExpensive: devices times hours begun are more than 10 000.
    """
    asked = window(request)
    violations = [
        FieldViolation(field, "OUT_OF_RANGE", "must be a whole minute")
        for field, at_ms in (("start_time", asked.start_ms), ("end_time", asked.end_ms))
        if at_ms % _MINUTE_MS
    ]
    if violations:
        raise InvalidArgument(violations)
    hours = -(-asked.end_ms // _HOUR_MS) - asked.start_ms // _HOUR_MS
    if hours * len(request.device_ids) > _MOST_DEVICE_HOURS:
        raise RequestTooExpensive(f"at most {_MOST_DEVICE_HOURS} device-hours at once")
    return asked


def device_ids(field: str, given: Sequence[str]) -> list[str]:
    """The distinct devices of a request in its order.

    Raises:
        InvalidArgument: there are none, an empty one, or more than 1000.
    """
    if not 1 <= len(given) <= DEVICES_MAXIMUM:
        raise InvalidArgument([FieldViolation(field, "OUT_OF_RANGE", f"must hold 1 to {DEVICES_MAXIMUM} devices")])
    if not all(given):
        raise InvalidArgument([FieldViolation(field, "FIELD_REQUIRED", "must not hold an empty id")])
    return list(dict.fromkeys(given))


def required_device_id(device_id: str, field: str = "device_id") -> str:
    """The device that a field of a request names.

    Raises:
        InvalidArgument: it is empty.
    """
    if not device_id:
        raise InvalidArgument([FieldViolation(field, "FIELD_REQUIRED", "is required")])
    return device_id


def summary_scope(request: SummarizeUsageRequest) -> str:
    """Which of its scopes a summary is over.

    Raises:
        InvalidArgument: none or more than one is given.
    """
    given = [field for field in _SCOPES if getattr(request, field)]
    if len(given) != 1:
        allowed = f"exactly one of {', '.join(_SCOPES[:-1])} and {_SCOPES[-1]} is required"
        raise InvalidArgument([FieldViolation("device_ids", "FIELD_REQUIRED", allowed)])
    return given[0]
