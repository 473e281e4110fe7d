"""Checks what people ask of trends: every broken rule is named with its field, before anything is read."""

from __future__ import annotations

from datetime import date

from energy.analytics.v1 import analytics_service_pb2 as pb

from analytics.fleet.request_checks import refuse
from analytics.performance.scope_request import scope_of
from analytics.performance.trend_report import TrendQuestion
from common.errors import FieldViolation, RequestTooExpensive

DAYS_MAXIMUM = 366
# The years whose local days are instants that can be told.
_EARLIEST, _LATEST = date(2, 1, 1), date(9998, 1, 1)


def trend_question(request: pb.GetUsageTrendRequest) -> TrendQuestion:
    """Which days of which devices a request asks for.

    Raises:
        InvalidArgument: a field is absent or out of its range.
        RequestTooExpensive: there are too many days.
    """
    violations: list[FieldViolation] = []
    scope = scope_of(request.scope, request.kind, violations)
    known = len(violations)
    start_date, end_date = (_date(request, field, violations) for field in ("start_date", "end_date"))
    if len(violations) == known and start_date >= end_date:
        violations.append(FieldViolation("end_date", "OUT_OF_RANGE", "must be after start_date"))
    refuse(violations)
    if (end_date - start_date).days > DAYS_MAXIMUM:
        raise RequestTooExpensive(f"at most {DAYS_MAXIMUM} days at once")
    return TrendQuestion(scope, start_date, end_date)


def _date(request: pb.GetUsageTrendRequest, field: str, violations: list[FieldViolation]) -> date:
    if not request.HasField(field):  # type: ignore[arg-type]
        violations.append(FieldViolation(field, "FIELD_REQUIRED", "is required"))
        return _EARLIEST
    message = getattr(request, field)
    try:
        found = date(message.year, message.month, message.day)
    except ValueError:
        violations.append(FieldViolation(field, "INVALID_FORMAT", "must be a day of the calendar"))
        return _EARLIEST
    if not _EARLIEST <= found <= _LATEST:
        violations.append(FieldViolation(field, "OUT_OF_RANGE", "must lie in the years 2 to 9998"))
    return found
