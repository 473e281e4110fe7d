"""Checks what people ask of performance: every broken rule is named with its field, before anything is read."""

from __future__ import annotations

from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1 import efficiency_state_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from analytics.fleet.request_checks import refuse
from analytics.performance.efficiency_state import EfficiencyState
from analytics.performance.fleet_performance_report import FleetQuestion
from analytics.performance.performance_window import performance_window
from analytics.performance.scope_request import scope_of
from analytics.usage.measured_energy import Window
from common.errors import FieldViolation
from common.instants import to_ms

FLEET_LIMIT_DEFAULT, FLEET_LIMIT_MAXIMUM = 100, 1000
CAPACITY_KWH_MAXIMUM = 1e6

WindowRequest = (
    pb.GetPerformanceRequest
    | pb.GetFleetPerformanceRequest
    | pb.GetStoragePerformanceRequest
    | pb.GetSiteBalanceRequest
)


def device_window(request: pb.GetPerformanceRequest | pb.GetStoragePerformanceRequest, now_ms: int) -> Window:
    """The window of a request about one device.

    Raises:
        InvalidArgument: a field is absent or out of its range.
    """
    violations = []
    if not request.device_id:
        violations.append(FieldViolation("device_id", "FIELD_REQUIRED", "is required"))
    if isinstance(request, pb.GetStoragePerformanceRequest):
        violations += _capacity_violations(request)
    return window_of(request, violations, now_ms)


def fleet_question(request: pb.GetFleetPerformanceRequest, now_ms: int) -> FleetQuestion:
    """Which vehicles in which window a request asks for.

    Raises:
        InvalidArgument: a field is absent or out of its range.
    """
    violations: list[FieldViolation] = []
    scope = scope_of(request.scope, 0, violations)
    if not 0 <= request.limit <= FLEET_LIMIT_MAXIMUM:
        must = f"must be 1 to {FLEET_LIMIT_MAXIMUM}, or 0 for the default"
        violations.append(FieldViolation("limit", "OUT_OF_RANGE", must))
    states = set()
    for place, number in enumerate(request.efficiency_states):
        if number not in efficiency_state_pb2.EfficiencyState.values() or not number:
            must = "must be one of the listed ones"
            violations.append(FieldViolation(f"efficiency_states[{place}]", "OUT_OF_RANGE", must))
            continue
        name = efficiency_state_pb2.EfficiencyState.Name(number)
        states.add(EfficiencyState(name.removeprefix("EFFICIENCY_STATE_")))
    window = window_of(request, violations, now_ms)
    return FleetQuestion(scope, window, request.limit or FLEET_LIMIT_DEFAULT, states)


def _capacity_violations(request: pb.GetStoragePerformanceRequest) -> list[FieldViolation]:
    # False for what is not a number, too.
    if not request.HasField("capacity_kwh") or 0 < request.capacity_kwh <= CAPACITY_KWH_MAXIMUM:
        return []
    must = f"must be more than 0 and at most {CAPACITY_KWH_MAXIMUM:.0f}"
    return [FieldViolation("capacity_kwh", "OUT_OF_RANGE", must)]


def window_of(request: WindowRequest, violations: list[FieldViolation], now_ms: int) -> Window:
    """The window of a request, 24 hours to now where nothing else is said.

    Raises:
        InvalidArgument: it is none, or something was found to be wrong before.
    """
    instants: dict[str, int | None] = {}
    for field in ("start_time", "end_time"):
        timestamp: Timestamp = getattr(request, field)
        try:
            instants[field] = to_ms(timestamp) if request.HasField(field) else None
        except ValueError as fault:
            violations.append(FieldViolation(field, "INVALID_FORMAT", str(fault)))
    refuse(violations)
    return performance_window(instants["start_time"], instants["end_time"], now_ms)
