"""Checks what people ask of periods of devices: every broken rule is named with its field, before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1 import device_scope_pb2
from energy.registry.v1 import device_pb2

from analytics.fleet.device_scope import Scope
from analytics.fleet.request_checks import REGION_LENGTH_MAXIMUM, refuse, span_of, text_violations
from analytics.usage.measured_energy import Window
from common.errors import FieldViolation, RequestTooExpensive
from common.local_time import is_zone

LIMIT_DEFAULT, LIMIT_MAXIMUM = 10, 100
PERIOD_DAYS_MAXIMUM = 3660
DEVICE_DAYS_MAXIMUM = 400_000
"""What billing sums up at once at most; devices that are asked about in several questions count together."""

DAY_MS = 86_400_000
_NAME_LENGTH_MAXIMUM = 128


@dataclass(frozen=True, slots=True)
class TopQuestion:
    """Which devices of a scope took the most in a window, at most so many."""

    scope: Scope
    window: Window
    limit: int


@dataclass(frozen=True, slots=True)
class StatsQuestion:
    """What the devices of a scope did in a window, and in the one before."""

    scope: Scope
    window: Window
    has_days: bool
    has_months: bool

    @property
    def previous(self) -> Window:
        """The window of the same length that ends where this one starts."""
        return Window(2 * self.window.start_ms - self.window.end_ms, self.window.start_ms)


@dataclass(frozen=True, slots=True)
class ComparisonQuestion:
    """Two windows of the devices of a scope; `zone` is whose days are meant, empty for that of the devices."""

    scope: Scope
    first: Window
    second: Window
    zone: str


def top_question(request: pb.ListTopConsumersRequest) -> TopQuestion:
    """Whose top consumers a request asks for.

    Raises:
        InvalidArgument: a field is absent or out of its range.
        RequestTooExpensive: the period is too long.
    """
    violations: list[FieldViolation] = []
    scope = scope_of(request.scope, request.kind, violations)
    start_ms, end_ms = span_of(request, violations)
    if not 0 <= request.limit <= LIMIT_MAXIMUM:
        violations.append(
            FieldViolation("limit", "OUT_OF_RANGE", f"must be 1 to {LIMIT_MAXIMUM}, or 0 for the default")
        )
    refuse(violations)
    window = Window(start_ms, end_ms)
    require_days(window, PERIOD_DAYS_MAXIMUM)
    return TopQuestion(scope, window, request.limit or LIMIT_DEFAULT)


def stats_question(request: pb.GetStatsRequest) -> StatsQuestion:
    """What a request wants to know of a period.

    Raises:
        InvalidArgument: a field is absent or out of its range.
        RequestTooExpensive: the period is too long.
    """
    violations: list[FieldViolation] = []
    scope = scope_of(request.scope, request.kind, violations)
    start_ms, end_ms = span_of(request, violations)
    refuse(violations)
    window = Window(start_ms, end_ms)
    # The period before is as long.
    require_days(window, PERIOD_DAYS_MAXIMUM // 2)
    return StatsQuestion(scope, window, request.include_days, request.include_months)


def comparison_question(request: pb.ComparePeriodsRequest) -> ComparisonQuestion:
    """Which periods a request compares.

    Raises:
        InvalidArgument: a field is absent or out of its range.
        RequestTooExpensive: a period is too long.
    """
    violations: list[FieldViolation] = []
    scope = scope_of(request.scope, request.kind, violations)
    first, second = (Window(*span_of(request, violations, prefix=prefix)) for prefix in ("first_", "second_"))
    if request.time_zone and not is_zone(request.time_zone):
        violations.append(FieldViolation("time_zone", "INVALID_FORMAT", "must be an IANA time zone"))
    refuse(violations)
    for window in (first, second):
        require_days(window, PERIOD_DAYS_MAXIMUM)
    return ComparisonQuestion(scope, first, second, request.time_zone)


def scope_of(message: device_scope_pb2.DeviceScope, kind: int, violations: list[FieldViolation]) -> Scope:
    """The scope that a message names; adds what is wrong with it and the kind."""
    if kind not in device_pb2.DeviceKind.values():
        violations.append(FieldViolation("kind", "OUT_OF_RANGE", "must be one of the listed ones"))
    field = message.WhichOneof("scope")
    if field is None or (field == "all" and not message.all):
        violations.append(FieldViolation("scope", "FIELD_REQUIRED", "is required"))
        return Scope("all", "")
    if field == "all":
        return Scope(field, "", kind)
    name = getattr(message, field)
    longest = REGION_LENGTH_MAXIMUM if field == "region" else _NAME_LENGTH_MAXIMUM
    violations += text_violations(f"scope.{field}", name, longest)
    return Scope(field, name, kind)


def require_days(window: Window, days: int) -> None:
    """Refuses windows longer than so many days.

    Raises:
        RequestTooExpensive: it is longer.
    """
    if window.end_ms - window.start_ms > days * DAY_MS:
        raise RequestTooExpensive(f"at most {days} days at once")


def require_affordable(device_count: int, windows: Sequence[Window]) -> None:
    """Refuses what would keep billing busy for too long: the cost is by the device and the day begun.

    Raises:
        RequestTooExpensive: devices times days are more than 400 000.
    """
    if device_days(device_count, windows) > DEVICE_DAYS_MAXIMUM:
        raise RequestTooExpensive(f"at most {DEVICE_DAYS_MAXIMUM} devices times days at once")


def device_days(device_count: int, windows: Sequence[Window]) -> int:
    """Devices times days, each begun day whole."""
    return device_count * sum(-(-(window.end_ms - window.start_ms) // DAY_MS) for window in windows)
